#include "fakes/ports/live_world.h"

#include <chrono>
#include <deque>
#include <future>

namespace kvjury::ports {

namespace {

// Events between two looks at the inbox, so that a long chain of them keeps nobody waiting.
constexpr int kEventsAtOnce = 64;
constexpr size_t kPoolThreads = 2;

}  // namespace

// Threads for work that touches no world.
class LiveWorld::Pool : public sim::Offloader {
 public:
  explicit Pool(LiveWorld* live) : live_(live) {
    for (size_t i = 0; i < kPoolThreads; ++i) {
      threads_.emplace_back([this]() { Loop(); });
    }
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

  void Run(std::function<void()> work, std::function<void()> done) override {
    if (Recorder* recorder = live_->recorder(); recorder != nullptr) {
      done = [recorder, number = ++begun_, done = std::move(done)]() {
        recorder->Offloaded(number);
        done();
      };
    }
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back({std::move(work), std::move(done)});
    }
    changed_.notify_one();
  }

 private:
  struct Item {
    std::function<void()> work;
    std::function<void()> done;
  };
  void Loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this]() { return stopping_ || !queue_.empty(); });
      if (stopping_) {
        return;
      }
      Item item = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      item.work();
      live_->Post(std::move(item.done));
      item = {};
      lock.lock();
    }
  }

  LiveWorld* live_;
  uint64_t begun_ = 0;  // of the world's thread
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

LiveWorld::LiveWorld(sim::World* world) : world_(world), scope_(&world->scheduler()), pool_(std::make_unique<Pool>(this)) {
  world_->SetOffloader(pool_.get());
}

LiveWorld::~LiveWorld() {
  Stop();
  world_->SetOffloader(nullptr);
  if (scope_.running() > 0) {
    world_->scheduler().Abandon();
  }
}

void LiveWorld::Start() {
  CHECK(!thread_.joinable());
  started_ = std::chrono::steady_clock::now() - std::chrono::microseconds(world_->scheduler().now_us());
  thread_ = std::thread([this]() { Loop(); });
}

void LiveWorld::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
  pool_.reset();
}

bool LiveWorld::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void LiveWorld::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      return;
    }
    inbox_.push_back(std::move(work));
    if (inbox_.size() > 1) {
      return;  // the thread has been woken for the first
    }
  }
  changed_.notify_one();
}

bool LiveWorld::Run(const std::function<void()>& work) {
  auto done = std::make_shared<std::promise<bool>>();
  std::future<bool> ended = done->get_future();
  // A promise that dies unkept (dropped by Stop) wakes the waiter, too.
  Post([work, done = std::move(done)]() {
    work();
    done->set_value(true);
  });
  try {
    return ended.get();
  } catch (const std::future_error&) {
    return false;
  }
}

sim::Task<void> LiveWorld::Kept(bool only_meta) {
  if (state_ == nullptr) {
    co_return;
  }
  auto kept = std::make_shared<sim::OneShot<bool>>(&world_->scheduler());
  auto done = [this, kept]() { Post([kept]() { kept->Set(true); }); };
  if (!state_->WhenKept(only_meta, std::move(done))) {
    co_await *kept;
  }
}

Micros LiveWorld::Now() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started_).count();
}

void LiveWorld::RunDueEvents() {
  sim::Scheduler& scheduler = world_->scheduler();
  const Micros now = Now();
  for (int i = 0; i < kEventsAtOnce; ++i) {
    const Micros next = scheduler.next_event_us();
    if (next < 0 || next > now) {
      scheduler.AdvanceTo(now);
      return;
    }
    const Micros begun_us = Now();
    scheduler.RunOne();
    StepEnded(begun_us);
  }
}

void LiveWorld::StepEnded(Micros begun_us) {
  if (const Micros took_us = Now() - begun_us; took_us > longest_step_us_) {
    longest_step_us_ = took_us;
  }
}

void LiveWorld::Loop() {
  std::vector<std::function<void()>> batch;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const Micros next = world_->scheduler().next_event_us();
      auto wanted = [this]() { return stopping_ || !inbox_.empty(); };
      if (next < 0) {
        changed_.wait(lock, wanted);
      } else if (next > Now()) {
        changed_.wait_until(lock, started_ + std::chrono::microseconds(next), wanted);
      }
      if (stopping_) {
        inbox_.clear();
        return;
      }
      batch.swap(inbox_);
    }
    if (!batch.empty()) {
      world_->scheduler().AdvanceTo(Now());
      for (std::function<void()>& work : batch) {
        const Micros begun_us = Now();
        work();
        StepEnded(begun_us);
      }
      batch.clear();
    }
    RunDueEvents();
  }
}

}  // namespace kvjury::ports
