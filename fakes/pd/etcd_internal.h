// What the files of Etcd share.
#pragma once

#include "fakes/pd/etcd.h"

namespace kvjury::pd {

inline constexpr uint64_t kEtcdRaftTerm = 2;

template <class Response>
void Etcd::PutHeader(Response* response, const sim::CallContext& context) const {
  etcdserverpb::ResponseHeader* header = response->mutable_header();
  header->set_cluster_id(options_.cluster_id);
  const std::vector<Member> members = options_.members();
  header->set_member_id(members.front().id);
  for (const Member& member : members) {
    if (member.address == context.to) {
      header->set_member_id(member.id);
    }
  }
  header->set_revision(revision_);
  header->set_raft_term(kEtcdRaftTerm);
}

}  // namespace kvjury::pd
