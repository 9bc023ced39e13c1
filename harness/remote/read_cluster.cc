#include "harness/remote/read_cluster.h"

#include "fakes/base/memcomparable.h"
#include "harness/client/client.h"
#include "harness/client/snapshot.h"
#include "harness/remote/remote_world.h"

namespace kvjury::remote {

namespace {

constexpr uint32_t kPageKeys = 10'240;

std::string RangeText(const Bytes& start, const Bytes& end) {
  return "[0x" + ToHex(start) + ", " + (end.empty() ? "end" : "0x" + ToHex(end)) + ")";
}

class Reader {
 public:
  Reader(RemoteWorld* world, sim::Address pd, const ReadRequest& request)
      : request_(request),
        client_(world->channel(), world->scheduler(), "reader", std::move(pd), nullptr, Passive(request)),
        labels_(std::make_shared<client::Labels>(sim::Label("read"))) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  sim::Task<Result<ReadResult>> Run() {
    client::Backoffer backoff(client_.services().messenger, labels_, client::kTimestampBudgetUs);
    auto asking = client_.services().pd->GetTimestamp(&backoff);
    CO_ASSIGN_OR_RETURN(const Timestamp now, co_await std::move(asking));
    ReadResult result;
    result.cut = request_.cut.value_or(now);
    if (result.cut > now) {
      co_return Status::Undetermined("the timestamp " + std::to_string(result.cut.value()) + " is in the cluster's future; it is " +
                                        std::to_string(now.value()) + " now");
    }
    auto checking = CheckSafePoint(result.cut);
    CO_RETURN_IF_ERROR(co_await std::move(checking));
    auto reading = ReadAll(&result);
    CO_RETURN_IF_ERROR(co_await std::move(reading));
    auto checking_again = CheckSafePoint(result.cut);
    CO_RETURN_IF_ERROR(co_await std::move(checking_again));
    auto closing = client_.Close();
    co_await std::move(closing);
    co_return result;
  }

 private:
  static client::ClientOptions Passive(const ReadRequest& request) {
    client::ClientOptions options;
    options.passive = true;
    options.lock_wait_us = request.lock_wait_us;
    return options;
  }

  sim::Task<Status> CheckSafePoint(Timestamp cut) {
    client::Backoffer backoff(client_.services().messenger, labels_, client::kTimestampBudgetUs);
    auto asking = client_.services().pd->GetGcSafePoint(&backoff);
    CO_ASSIGN_OR_RETURN(const Timestamp safe_point, co_await std::move(asking));
    if (cut < safe_point) {
      co_return Status::Undetermined("the GC safe point " + std::to_string(safe_point.value()) + " is above the timestamp " +
                                     std::to_string(cut.value()) + ": versions that were visible there may be gone");
    }
    co_return Status::Ok();
  }

  sim::Task<Status> ReadAll(ReadResult* result) {
    client::Snapshot snapshot(client_.services(), nullptr, result->cut, labels_);
    Bytes next = request_.start;
    while (true) {
      auto scanning = snapshot.ScanPage(next, request_.end, kPageKeys);
      Result<client::Snapshot::Page> page = co_await std::move(scanning);
      if (!page.ok()) {
        co_return page.error().WithContext("the range " + RangeText(next, request_.end) + " could not be read at " +
                                           std::to_string(result->cut.value()));
      }
      auto taking = Take(&snapshot, std::move(page->pairs), result);
      CO_RETURN_IF_ERROR(co_await std::move(taking));
      if (page->done) {
        co_return Status::Ok();
      }
      next = page->next;
    }
  }

  sim::Task<Status> Take(client::Snapshot* snapshot, std::vector<client::Pair> pairs, ReadResult* result) {
    std::vector<client::FateReader::Version> timestamps(pairs.size());
    if (request_.with_timestamps) {
      std::vector<Bytes> keys;
      for (const client::Pair& pair : pairs) {
        keys.push_back(pair.first);
      }
      auto asking = snapshot->VersionsOf(std::move(keys));
      CO_ASSIGN_OR_RETURN(timestamps, co_await std::move(asking));
    }
    for (size_t i = 0; i < pairs.size(); ++i) {
      auto& [key, value] = pairs[i];
      if (!result->versions.empty() && result->versions.back().key >= key) {
        co_return Status::DataLoss("a store answered with the key 0x" + ToHex(key) + " behind 0x" + ToHex(result->versions.back().key));
      }
      result->versions.push_back({std::move(key), std::move(value), timestamps[i].start_ts, timestamps[i].commit_ts});
    }
    co_return Status::Ok();
  }

  const ReadRequest& request_;
  client::Client client_;
  client::LabelsPtr labels_;
};

sim::Task<Result<ReadResult>> FindAndRead(RemoteWorld* world, const ReadRequest* request) {
  auto finding = FindPdLeader(world->channel(), request->members);
  CO_ASSIGN_OR_RETURN(sim::Address pd, co_await std::move(finding));
  Reader reader(world, std::move(pd), *request);
  auto running = reader.Run();
  co_return co_await std::move(running);
}

}  // namespace

std::map<Bytes, Bytes> ReadResult::TakePairs() {
  std::map<Bytes, Bytes> pairs;
  for (tikv::UserVersion& version : std::exchange(versions, {})) {
    pairs.emplace_hint(pairs.end(), std::move(version.key), std::move(version.value));
  }
  return pairs;
}

Result<ReadResult> ReadCluster(const ReadRequest& request) {
  ASSIGN_OR_RETURN(const std::unique_ptr<RemoteWorld> world, RemoteWorld::Start(request.tls));
  return world->Run(FindAndRead(world.get(), &request));
}

}  // namespace kvjury::remote
