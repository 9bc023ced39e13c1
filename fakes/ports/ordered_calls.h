// OrderedCalls: the messages of one client stream as calls, one after another, answers in order.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "fakes/ports/exchange.h"
#include "fakes/ports/outside_calls.h"

namespace kvjury::ports {

class OrderedCalls : public std::enable_shared_from_this<OrderedCalls> {
 public:
  OrderedCalls(OutsideCalls* calls, std::string path) : calls_(calls), path_(std::move(path)) {}
  void Add(const Exchange::Ptr& exchange, sim::MessagePtr request);
  /// The client sends no more: the stream ends when the last answer is out.
  void Close(const Exchange::Ptr& exchange);

 private:
  void Next(const Exchange::Ptr& exchange);

  OutsideCalls* calls_;
  std::string path_;
  // Only on the world's thread.
  std::deque<sim::MessagePtr> waiting_;
  bool running_ = false;
  bool closed_ = false;
};

}  // namespace kvjury::ports
