#include "fakes/ports/who_waits.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_reader.h"
#include "proto/tikv/import_sstpb.pb.h"

namespace kvjury::ports {

namespace {

using Held = WaitingCalls::Held;
using Deferred = WaitingCalls::Deferred;

// No client that comes again lets more time pass in between.
constexpr Micros kComeAgainUsMax = 20'000'000;

std::string Seconds(Micros us) {
  const double seconds = static_cast<double>(us) / 1e6;
  return seconds < 10 ? fmt::format("{:.1f} s", seconds) : fmt::format("{:.0f} s", seconds);
}

std::string Often(uint64_t times) { return times == 1 ? "once" : fmt::format("{} times", times); }

// Whoever stays open by design: a client listens there for what changes.
bool IsWatch(const std::string& method) { return method == "Watch" || method == "WatchGlobalConfig"; }

// Whether the call reads or writes this object: a download names it, and the names of a backup's files begin with the store's number.
bool IsFor(const Held& held, StoreId store, const std::string& object) {
  if (const auto* download = dynamic_cast<const import_sstpb::DownloadRequest*>(held.request.get())) {
    return download->name() == object;
  }
  const std::string number = std::to_string(store.value());
  return held.method == "backup" && object.compare(0, number.size(), number) == 0 && object.size() > number.size() &&
         (object[number.size()] == '_' || object[number.size()] == '/');
}

// All that is known while the sentences are made.
class Witness {
 public:
  Witness(tikv::Cluster* cluster, const WaitingCalls* calls, const WhoWaitsQuery* query)
      : cluster_(cluster), calls_(calls), query_(query), now_us_(cluster->world()->scheduler().now_us()) {
    for (const StoreId id : cluster_->store_ids()) {
      for (const tikv::WaitForLock& wait : cluster_->Run(id)->memory.lock_waits->List()) {
        queued_[{id, wait.waiter}] = wait;
        waits_for_.emplace(wait.waiter, wait.owner);
      }
    }
    const sim::FaultPlan& plan = cluster_->world()->faults();
    for (const record::Fault& fault : plan.fired_faults()) {
      if (fault.has_lose_request() || fault.has_lose_reply()) {
        fired_[fault.at()] = fmt::format("the fault {} holds it", sim::FaultKindName(fault));
      }
    }
    for (const record::Nudge& nudge : plan.fired_nudges()) {
      fired_.emplace(nudge.at(), fmt::format("a planned delay of {} holds it", Seconds(nudge.delay_us())));
    }
  }

  /// In a lock's queue, or silent for long.
  [[nodiscard]] bool Waits(const Held& held) const {
    return FindQueued(held) != nullptr || (!IsWatch(held.method) && SilentFor(held) >= query_->silent_us_min);
  }
  /// What the call waits for in a lock's queue; null if it is in none.
  [[nodiscard]] const tikv::WaitForLock* FindQueued(const Held& held) const {
    const auto found = queued_.find({cluster_->StoreAt(held.address), AskedBy(*held.request)});
    return found == queued_.end() || held.method != "KvPessimisticLock" ? nullptr : &found->second;
  }
  [[nodiscard]] Micros SilentFor(const Held& held) const { return now_us_ - held.silent_since_us(); }

  /// Of a store; else as the world names it.
  [[nodiscard]] std::string Place(const sim::Address& address) const {
    const StoreId store = cluster_->StoreAt(address);
    return store.valid() ? fmt::format("on store {}", store.value()) : "at " + address;
  }

  [[nodiscard]] std::string About(const Held& held) const {
    const Timestamp asker = AskedBy(*held.request);
    const std::string answers = held.messages == 0 ? "" : fmt::format(" after {} answer{}", held.messages, held.messages == 1 ? "" : "s");
    return fmt::format("{}{} {} is not answered{} for {}: {} ({})", held.method, Of(asker), Place(held.address), answers,
                       Seconds(SilentFor(held)), WhatHolds(held), held.label.text());
  }

  [[nodiscard]] std::string About(const Deferred& deferred) const {
    const WaitingCalls::Subject& subject = deferred.subject;
    const std::string within = deferred.times == 1 ? "" : " within " + Seconds(deferred.last_us - deferred.first_us);
    return fmt::format("{}{} {}, asked {}{}, the last time {} ago: {}", subject.method, Of(deferred.asked_by), Place(subject.address),
                       Often(deferred.times), within, Seconds(now_us_ - deferred.last_us), Reason(deferred));
  }

  /// The lock that the answer told of, as it is now; empty if it is gone.
  [[nodiscard]] std::optional<LockRecord> LockNow(const Bytes& key, Timestamp owner) const {
    const Bytes encoded = EncodeKey(key);
    std::optional<LockRecord> lock = tikv::MvccReader(cluster_->engine().Latest()).LoadLock(encoded);
    if (lock.has_value() && lock->start_ts == owner) {
      return lock;
    }
    for (const StoreId id : cluster_->store_ids()) {
      const tikv::MemoryLock* memory = cluster_->Run(id)->memory.concurrency.Find(encoded);
      if (memory != nullptr && memory->lock.start_ts == owner) {
        return memory->lock;
      }
    }
    return std::nullopt;
  }

  /// What serves nobody at present; empty if all do.
  [[nodiscard]] std::string Absent() const {
    std::vector<std::string> absent;
    for (const StoreId id : cluster_->store_ids()) {
      if (!cluster_->Run(id)->alive) {
        absent.push_back(fmt::format("store {} is down", id.value()));
      } else if (!cluster_->Responds(id)) {
        absent.push_back(fmt::format("store {} stands still", id.value()));
      }
    }
    if (!cluster_->pd().available()) {
      absent.emplace_back("PD has no leader");
    }
    for (const auto& [start, region] : cluster_->regions().by_start()) {
      if (!cluster_->raft().Leader(region->id).valid()) {
        absent.push_back(fmt::format("{} has no leader", Region(region->id.value())));
        break;
      }
    }
    return fmt::format("{}", fmt::join(absent, ", "));
  }

  /// Somebody came again and again, and not long ago: one conflict of a writer is nothing that anybody waits for.
  [[nodiscard]] bool GoesOn(const Deferred& deferred) const { return deferred.times > 1 && now_us_ - deferred.last_us <= kComeAgainUsMax; }

  /// Now that an asker and a lock's owner are known, also for circles and chains of them.
  void Learn(const Deferred& deferred) {
    if (deferred.asked_by.valid() && !deferred.asked_by.is_max()) {
      waits_for_.emplace(deferred.asked_by, deferred.subject.owner);
    }
  }

 private:
  [[nodiscard]] std::string Key(std::string_view key) const {
    return query_->key_words ? query_->key_words(key) : "\"" + Printable(key) + "\"";
  }

  static std::string Of(Timestamp asker) {
    return asker.valid() && !asker.is_max() ? fmt::format(" of transaction {}", asker.value()) : "";
  }

  [[nodiscard]] std::string Region(uint64_t id) const {
    if (id == 0) {
      return "a region";
    }
    if (cluster_->regions().Find(RegionId(id)) == nullptr) {
      return fmt::format("region {}, which is no more,", id);
    }
    const Bytes start = cluster_->RegionStart(RegionId(id));
    return start.empty() ? fmt::format("region {}, the first,", id) : fmt::format("region {}, which starts at {},", id, Key(start));
  }

  [[nodiscard]] std::string WhatHolds(const Held& held) const {
    if (held.is_answered) {
      return "its answer waits until the disk has kept it";
    }
    const StoreId store = cluster_->StoreAt(held.address);
    if (const tikv::WaitForLock* queued = FindQueued(held); queued != nullptr) {
      const std::optional<LockRecord> lock = LockNow(queued->key, queued->owner);
      return fmt::format("it waits in the queue of {}, which {}", Key(queued->key),
                         lock.has_value() ? Lock(queued->key, *lock) : fmt::format("transaction {} has locked", queued->owner.value()));
    }
    if (held.held_back_until_us > now_us_) {
      return fmt::format("a planned delay holds the answer {} back for another {}", held.held_back, Seconds(held.held_back_until_us - now_us_));
    }
    if (const auto fired = fired_.find(held.label.text()); fired != fired_.end()) {
      return fired->second;
    }
    if (store.valid() && !cluster_->Responds(store)) {
      return cluster_->Run(store)->alive ? "the store stands still" : "the store is down";
    }
    if (!store.valid() && !cluster_->pd().available()) {
      return "PD has no leader";
    }
    for (const StorageWaits::Open& open : calls_->storage().open()) {
      if (IsFor(held, store, open.name)) {
        const auto since = std::chrono::duration_cast<std::chrono::microseconds>(StorageWaits::Clock::now() - open.begun);
        return fmt::format("the store waits for its object storage, for {} now for the {}", Seconds(since.count()), open.what);
      }
    }
    return "what it waits for is not known";
  }

  [[nodiscard]] std::string Lock(const Bytes& key, const LockRecord& lock) const {
    const int64_t clock_ms = cluster_->pd().oracle().ClockMs(now_us_);
    const int64_t left_ms = lock.start_ts.physical_ms() + static_cast<int64_t>(lock.ttl_ms) - clock_ms;
    const std::string life = left_ms < 0 ? fmt::format("ended {} ago", Seconds(-left_ms * 1000)) : fmt::format("ends in {}", Seconds(left_ms * 1000));
    const WaitingCalls::Heard* heard = calls_->FindHeard(lock.start_ts);
    const std::string client = heard == nullptr ? "whose client is not known here"
                                                : fmt::format("whose client was last heard {} ago ({})", Seconds(now_us_ - heard->last_us), heard->method);
    const auto chain = waits_for_.find(lock.start_ts);
    return fmt::format("is locked by transaction {}, {}, whose time to live {}, {}{}", lock.start_ts.value(),
                       lock.primary == key ? "its primary" : "primary " + Key(lock.primary), life, client,
                       chain == waits_for_.end() ? "" : fmt::format(", and which itself waits for transaction {}", chain->second.value()));
  }

  [[nodiscard]] std::string Reason(const Deferred& deferred) const {
    const WaitingCalls::Subject& subject = deferred.subject;
    if (subject.kind == "locked") {
      const std::optional<LockRecord> lock = LockNow(subject.key, subject.owner);
      return fmt::format("{} {}", Key(subject.key),
                         lock.has_value() ? Lock(subject.key, *lock) : fmt::format("was locked by transaction {}", subject.owner.value()));
    }
    if (subject.kind == "not_leader") {
      return fmt::format("it does not lead {} and {}", Region(subject.region),
                         deferred.leader_store == 0 ? "knows no leader" : fmt::format("names store {}", deferred.leader_store));
    }
    if (subject.kind == "server_is_busy") {
      return fmt::format("it is busy ({})", deferred.words);
    }
    if (subject.kind == "region_not_found") {
      return fmt::format("it does not know {} (region not found)", Region(subject.region));
    }
    if (subject.kind == "epoch_not_match") {
      return fmt::format("{} has another epoch than the client thinks", Region(subject.region));
    }
    if (subject.kind == "status") {
      return "no answer but " + deferred.words;
    }
    if (subject.kind == "http") {
      return fmt::format("{} is answered {}", Printable(subject.key), deferred.words);
    }
    const std::string words = deferred.words.empty() ? "" : " (" + deferred.words + ")";
    const std::string of_region = subject.region == 0 ? "" : " about " + Region(subject.region);
    return subject.kind + (subject.key.empty() ? of_region : " about " + Key(subject.key)) + words;
  }

  tikv::Cluster* cluster_;
  const WaitingCalls* calls_;
  const WhoWaitsQuery* query_;
  Micros now_us_;
  std::map<std::pair<StoreId, Timestamp>, tikv::WaitForLock> queued_;
  std::map<Timestamp, Timestamp> waits_for_;
  // What holds the call with a label.
  std::map<std::string, std::string> fired_;
};

// Calls without an answer, the longest silent first. Without those that are in a lock's queue again, after answers that tell more.
// Of one method at one place by one transaction they are alike.
std::vector<std::vector<const Held*>> Waiting(const Witness& witness, const WaitingCalls& calls, const std::vector<Deferred>& locked) {
  std::vector<const Held*> waiting;
  for (const Held& held : calls.held()) {
    const tikv::WaitForLock* queued = witness.FindQueued(held);
    const bool is_told = queued != nullptr && std::any_of(locked.begin(), locked.end(), [&held, queued](const Deferred& deferred) {
      return deferred.subject.address == held.address && deferred.subject.method == held.method && deferred.subject.key == queued->key &&
             deferred.subject.owner == queued->owner && deferred.asked_by == queued->waiter;
    });
    if (!is_told && witness.Waits(held)) {
      waiting.push_back(&held);
    }
  }
  std::stable_sort(waiting.begin(), waiting.end(),
                   [](const Held* a, const Held* b) { return a->silent_since_us() < b->silent_since_us(); });
  std::vector<std::vector<const Held*>> groups;
  for (const Held* held : waiting) {
    const auto alike = std::find_if(groups.begin(), groups.end(), [held](const std::vector<const Held*>& group) {
      return group.front()->address == held->address && group.front()->method == held->method &&
             AskedBy(*group.front()->request) == AskedBy(*held->request);
    });
    if (alike == groups.end()) {
      groups.push_back({held});
    } else {
      alike->push_back(held);
    }
  }
  return groups;
}

// "2 calls without an answer, 3 kinds of answers (conflict, not_leader)"
std::string Rest(size_t calls, const std::map<std::string, uint64_t>& answers) {
  std::vector<std::string> parts;
  if (calls > 0) {
    parts.push_back(calls == 1 ? "1 call without an answer" : fmt::format("{} calls without an answer", calls));
  }
  for (const auto& [kind, times] : answers) {
    parts.push_back(fmt::format("\"{}\" {}", kind, Often(times)));
  }
  return fmt::format("and besides: {}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<std::string> WhoWaits(tikv::Cluster* cluster, const WaitingCalls& calls, const WhoWaitsQuery& query) {
  Witness witness(cluster, &calls, &query);
  std::vector<Deferred> locked;
  std::vector<Deferred> others;
  std::map<std::string, uint64_t> rest;
  for (Deferred& deferred : calls.DeferredSince(query.since_us)) {
    if (deferred.subject.kind != "locked") {
      others.push_back(std::move(deferred));
    } else if (witness.LockNow(deferred.subject.key, deferred.subject.owner).has_value()) {
      witness.Learn(deferred);
      locked.push_back(std::move(deferred));
    } else {
      rest["locked, and no longer"] += deferred.times;
    }
  }
  std::stable_sort(locked.begin(), locked.end(), [](const Deferred& a, const Deferred& b) { return a.first_us < b.first_us; });
  std::stable_sort(others.begin(), others.end(), [](const Deferred& a, const Deferred& b) { return a.times > b.times; });
  std::vector<std::string> sentences;
  if (std::string absent = witness.Absent(); !absent.empty()) {
    sentences.push_back(std::move(absent));
  }
  size_t calls_left = 0;
  for (const std::vector<const Held*>& alike : Waiting(witness, calls, locked)) {
    if (sentences.size() < query.sentences_max) {
      sentences.push_back(witness.About(*alike.front()) + (alike.size() == 1 ? "" : fmt::format(", and {} more like it", alike.size() - 1)));
    } else {
      calls_left += alike.size();
    }
  }
  for (const std::vector<Deferred>* group : {&locked, &others}) {
    for (const Deferred& deferred : *group) {
      if (sentences.size() < query.sentences_max && (group == &locked || sentences.empty() || witness.GoesOn(deferred))) {
        sentences.push_back(witness.About(deferred));
      } else {
        rest[deferred.subject.kind] += deferred.times;
      }
    }
  }
  if (calls_left > 0 || !rest.empty()) {
    sentences.push_back(Rest(calls_left, rest));
  }
  return sentences;
}

}  // namespace kvjury::ports
