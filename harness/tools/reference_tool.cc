#include "harness/tools/reference_tool.h"

#include <functional>

#include "harness/backup/reference_backup.h"
#include "harness/backup/reference_restore.h"
#include "harness/client/pd_client.h"
#include "harness/remote/remote_world.h"

namespace kvjury::tools {
namespace {

using Tool = std::function<sim::Task<backup::ToolReport>(backup::ToolHost)>;

sim::Task<Result<backup::ToolReport>> Play(remote::RemoteWorld* world, const ReferenceRun* run, objects::ObjectStore* objects, std::string name,
                                           const Tool* tool) {
  auto finding = remote::FindPdLeader(world->channel(), run->pd);
  CO_ASSIGN_OR_RETURN(sim::Address pd, co_await std::move(finding));
  client::Client client(world->channel(), world->scheduler(), "client-" + name, std::move(pd), nullptr);
  backup::ToolHost host;
  host.world = world->world();
  host.client = &client;
  host.channel = world->channel();
  host.objects = objects;
  host.storage = objects::LocalStorage(run->folder);
  host.label = sim::Label(name);
  auto running = (*tool)(std::move(host));
  backup::ToolReport report = co_await std::move(running);
  auto closing = client.Close();
  co_await std::move(closing);
  co_return report;
}

Result<backup::ToolReport> Run(const ReferenceRun& run, objects::DirectoryObjectStore::Access access, const std::string& name, const Tool& tool) {
  ASSIGN_OR_RETURN(const std::unique_ptr<objects::ObjectStore> objects, objects::DirectoryObjectStore::Open(run.folder, access));
  ASSIGN_OR_RETURN(const std::unique_ptr<remote::RemoteWorld> world, remote::RemoteWorld::Start(run.tls));
  return world->Run(Play(world.get(), &run, objects.get(), name, &tool));
}

}  // namespace

Result<backup::ToolReport> ReferenceBackup(const ReferenceRun& run) {
  return Run(run, objects::DirectoryObjectStore::Access::kReadWrite, "backup",
             [](backup::ToolHost host) { return backup::RunReferenceBackup(std::move(host), backup::BackupOptions()); });
}

Result<backup::ToolReport> ReferenceRestore(const ReferenceRun& run) {
  backup::RestoreOptions options;
  options.clear_target = false;
  return Run(run, objects::DirectoryObjectStore::Access::kReadOnly, "restore",
             [options](backup::ToolHost host) { return backup::RunReferenceRestore(std::move(host), options); });
}

}  // namespace kvjury::tools
