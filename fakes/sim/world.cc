#include "fakes/sim/world.h"

namespace kvjury::sim {

namespace {

// Only for the words of a failed check; see SetCheckContext.
World* g_running_world = nullptr;

std::string DescribeRunningWorld() {
  if (g_running_world == nullptr) {
    return "no running world";
  }
  std::string text = "virtual time " + std::to_string(g_running_world->scheduler().now_us()) + " us, case \"" +
                     g_running_world->spec().name() + "\"";
  for (const std::string& line : g_running_world->log().tail()) {
    text += "\n    " + line;
  }
  return text;
}

/// Names the running world to failed checks while it lives.
class RunningWorld {
 public:
  explicit RunningWorld(World* world) : former_world_(g_running_world) {
    g_running_world = world;
    former_context_ = SetCheckContext(&DescribeRunningWorld);
  }
  RunningWorld(const RunningWorld&) = delete;
  RunningWorld& operator=(const RunningWorld&) = delete;
  ~RunningWorld() {
    SetCheckContext(former_context_);
    g_running_world = former_world_;
  }

 private:
  World* former_world_;
  CheckContextFunction former_context_;
};

}  // namespace

Status CheckBugNames(const record::Case& c) {
  for (const std::string& name : c.bug()) {
    RETURN_IF_ERROR(FindBug(name).status());
  }
  return Status::Ok();
}

World::World(record::Case c, FabricOptions fabric)
    : case_(std::move(c)), log_(&scheduler_), fabric_(&scheduler_, &faults_, &log_, fabric), main_(&scheduler_) {
  for (const std::string& name : case_.bug()) {
    Result<Bug> bug = FindBug(name);
    CHECK(bug.ok()) << bug.status().ToString() << "; CheckBugNames comes first";
    bugs_.SwitchOn(*bug);
  }
  faults_.Load(case_);
}

World::~World() {
  if (main_.running() > 0 || !fabric_.running_names().empty()) {
    scheduler_.Abandon();
  }
}

RandomStream World::Random(std::string_view name) const { return RandomStream(case_.explore().seed(), name); }

Task<FaultPlan::MessageFate> World::Step(Label label, std::string method) {
  const uint64_t order = label.hash();
  FaultSite site;
  site.label = std::move(label);
  site.method = std::move(method);
  const FaultPlan::MessageFate fate = faults_.At(site);
  if (fate.delay_us > 0) {
    co_await scheduler_.Sleep(fate.delay_us, order);
  }
  co_return fate;
}

Task<void> World::Offload(std::function<void()> work) {
  if (offloader_ == nullptr) {
    work();
    co_return;
  }
  OneShot<bool> done(&scheduler_);
  offloader_->Run(std::move(work), [&done]() { done.Set(true); });
  co_await done;
}

RunEnd World::Run(Task<void> main, Micros virtual_us_max, uint64_t events_max) {
  RunningWorld running(this);
  main_.Spawn("main", std::move(main));
  const Micros end_us = scheduler_.now_us() + virtual_us_max;
  const uint64_t events_end = events_max == UINT64_MAX ? UINT64_MAX : scheduler_.events_run() + events_max;
  while (main_.running() > 0) {
    if (scheduler_.now_us() > end_us || scheduler_.events_run() >= events_end) {
      return RunEnd::kTimeLimit;
    }
    if (!scheduler_.RunOne()) {
      return RunEnd::kStuck;
    }
  }
  main_.RethrowFirst();
  return RunEnd::kDone;
}

std::vector<std::string> World::late() const {
  std::vector<std::string> names = main_.running_names();
  for (std::string& name : fabric_.running_names()) {
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace kvjury::sim
