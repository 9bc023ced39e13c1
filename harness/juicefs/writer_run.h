// Writer::Run: the one place where JuiceFS's transactions begin, commit and are tried again. Internal to the writer.
#pragma once

#include <cerrno>
#include <memory>

#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {

template <class Arguments>
sim::Task<int> Writer::Run(Context* context, TransactionKind kind, Body<Arguments> body, Arguments* arguments) {
  for (uint32_t retry = 0; retry < kTransactionTriesMax && !dead_; ++retry) {
    context->transactions_begun += 1;
    sim::Label label = context->label.Numbered("txn", context->transactions_begun);
    std::string label_text = label.text();
    sim::Task<Result<std::unique_ptr<client::Transaction>>> begin = store_->Begin(label);
    Result<std::unique_ptr<client::Transaction>> transaction = co_await std::move(begin);
    if (!transaction.ok()) {
      co_return EIO;
    }
    Attempt attempt(transaction->get(), &prefix_, retry);
    attempt.uid = context->uid;
    attempt.gid = context->gid;
    sim::Task<Status> run = (this->*body)(&attempt, arguments);
    const Status status = co_await std::move(run);
    if (!status.ok()) {
      if (status.code() != StatusCode::kConflict) {
        co_return EIO;
      }
    } else {
      sim::Task<std::optional<int>> finish =
          Finish(context, kind, std::move(label_text), &attempt, transaction->get());
      const std::optional<int> finished = co_await std::move(finish);
      if (finished.has_value()) {
        co_return *finished;
      }
    }
    conflicts_ += 1;
    // JuiceFS sleeps a random time below this; the draw hangs on the label so that no stream is needed.
    const Micros bound_us = static_cast<Micros>(retry + 1) * (retry + 1) * 1000;
    const Micros sleep_us = static_cast<Micros>(label.hash() % static_cast<uint64_t>(bound_us));
    co_await store_->scheduler()->Sleep(sleep_us, label.hash());
  }
  co_return EIO;
}

}  // namespace kvjury::juicefs
