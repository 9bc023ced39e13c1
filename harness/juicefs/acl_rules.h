// ACL rules as a client handles them: what a rule means for a mode, what a child inherits, and the client's cache of all rules.
//
// Rules are shared, immutable and never deleted; an inode holds ids of them. A client reads all rules when its session starts, and looks for
// gaps below the highest id that it knows before it makes a rule of its own; so two clients may store one rule under two ids.
// Not here: transactions (operations_acl.cc), the bytes of a rule (values.h), access by a rule (the kernel of a default mount checks it).
// Source: JuiceFS 1.4, pkg/acl.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "harness/juicefs/values.h"

namespace kvjury::juicefs {

/// A field of a rule that is not there.
inline constexpr uint16_t kAclUndefined = 0xFFFF;

/// Nothing is said at all: setting such a rule takes the ACL away.
bool IsEmptyAcl(const AclRule& rule);
/// Says no more than a mode does: neither named entries nor a mask.
bool IsMinimalAcl(const AclRule& rule);
/// The nine permission bits that belong to the rule; the mask stands for the group where there is one.
uint16_t ModeOfAcl(const AclRule& rule);
/// What chmod makes of a rule.
void SetAclMode(uint16_t mode, AclRule* rule);
/// Undefined owner, group and other are taken from the mode.
void FillAclFromMode(uint16_t mode, AclRule* rule);
/// The access rule of an inode made with `mode` in a directory with this default rule.
AclRule ChildAccessAcl(const AclRule& default_rule, uint16_t mode);
/// The kernel's extended attribute (version 2) as a rule; absent: not one that a client takes (a field twice, named entries without a mask, a
/// wrong length). Permissions are not checked.
std::optional<AclRule> ParsePosixAclXattr(std::string_view value);

/// What one client knows of the rules.
class AclCache {
 public:
  void Put(uint32_t id, const AclRule& rule);
  [[nodiscard]] const AclRule* Find(uint32_t id) const;
  /// The lowest id with this content; 0: none is known. (The real cache takes the one that it learnt first.)
  [[nodiscard]] uint32_t IdOf(const AclRule& rule) const;
  /// Ids below the highest known one that are not known.
  [[nodiscard]] std::vector<uint32_t> MissingIds() const;

 private:
  std::map<uint32_t, AclRule> rules_;
};

}  // namespace kvjury::juicefs
