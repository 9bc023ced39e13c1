#include "harness/juicefs/acl_rules.h"

namespace kvjury::juicefs {

namespace {

enum AclTag : uint16_t { kOwner = 1, kUser = 2, kGroup = 4, kNamedGroup = 8, kMask = 0x10, kOther = 0x20 };
constexpr size_t kXattrHeadBytes = 4;
constexpr size_t kXattrEntryBytes = 8;
constexpr char kXattrVersion = 2;

uint64_t Little(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) {
    value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  }
  return value;
}

/// False if the field was there already.
bool SetOnce(uint16_t permission, uint16_t* field) {
  const bool first = *field == kAclUndefined;
  *field = permission;
  return first;
}

}  // namespace

bool IsEmptyAcl(const AclRule& rule) {
  return rule.users.empty() && rule.groups.empty() && (rule.owner & rule.group & rule.other & rule.mask) == kAclUndefined;
}

bool IsMinimalAcl(const AclRule& rule) { return rule.users.empty() && rule.groups.empty() && rule.mask == kAclUndefined; }

uint16_t ModeOfAcl(const AclRule& rule) {
  const uint16_t middle = IsMinimalAcl(rule) ? rule.group : rule.mask;
  return static_cast<uint16_t>((rule.owner & 7) << 6 | (middle & 7) << 3 | (rule.other & 7));
}

void SetAclMode(uint16_t mode, AclRule* rule) {
  uint16_t* middle = IsMinimalAcl(*rule) ? &rule->group : &rule->mask;
  rule->owner = static_cast<uint16_t>((rule->owner & 0xFFF8) | (mode >> 6 & 7));
  *middle = static_cast<uint16_t>((*middle & 0xFFF8) | (mode >> 3 & 7));
  rule->other = static_cast<uint16_t>((rule->other & 0xFFF8) | (mode & 7));
}

void FillAclFromMode(uint16_t mode, AclRule* rule) {
  rule->owner = rule->owner == kAclUndefined ? static_cast<uint16_t>(mode >> 6 & 7) : rule->owner;
  rule->group = rule->group == kAclUndefined ? static_cast<uint16_t>(mode >> 3 & 7) : rule->group;
  rule->other = rule->other == kAclUndefined ? static_cast<uint16_t>(mode & 7) : rule->other;
}

AclRule ChildAccessAcl(const AclRule& default_rule, uint16_t mode) {
  AclRule rule = default_rule;
  rule.owner = static_cast<uint16_t>(mode >> 6 & 7 & default_rule.owner);
  rule.mask = static_cast<uint16_t>(mode >> 3 & 7 & default_rule.mask);
  rule.other = static_cast<uint16_t>(mode & 7 & default_rule.other);
  return rule;
}

std::optional<AclRule> ParsePosixAclXattr(std::string_view value) {
  if (value.size() < kXattrHeadBytes || (value.size() - kXattrHeadBytes) % kXattrEntryBytes != 0 || value[0] != kXattrVersion) {
    return std::nullopt;
  }
  AclRule rule;
  bool once = true;
  for (size_t at = kXattrHeadBytes; at < value.size(); at += kXattrEntryBytes) {
    const auto permission = static_cast<uint16_t>(Little(value.substr(at + 2, 2)));
    const auto id = static_cast<uint32_t>(Little(value.substr(at + 4, 4)));
    switch (Little(value.substr(at, 2))) {
      case kOwner:
        once = SetOnce(permission, &rule.owner) && once;
        break;
      case kUser:
        rule.users.push_back({id, permission});
        break;
      case kGroup:
        once = SetOnce(permission, &rule.group) && once;
        break;
      case kNamedGroup:
        rule.groups.push_back({id, permission});
        break;
      case kMask:
        once = SetOnce(permission, &rule.mask) && once;
        break;
      case kOther:
        once = SetOnce(permission, &rule.other) && once;
        break;
      default:
        break;  // passed over, as the client does
    }
  }
  const bool named = !rule.users.empty() || !rule.groups.empty();
  return once && !(named && rule.mask == kAclUndefined) ? std::optional<AclRule>(rule) : std::nullopt;
}

void AclCache::Put(uint32_t id, const AclRule& rule) { rules_.emplace(id, rule); }

const AclRule* AclCache::Find(uint32_t id) const {
  const auto found = rules_.find(id);
  return found == rules_.end() ? nullptr : &found->second;
}

uint32_t AclCache::IdOf(const AclRule& rule) const {
  for (const auto& [id, known] : rules_) {
    if (known == rule) {
      return id;
    }
  }
  return 0;
}

std::vector<uint32_t> AclCache::MissingIds() const {
  std::vector<uint32_t> missing;
  uint32_t next = 1;
  for (const auto& [id, rule] : rules_) {
    for (; next < id; ++next) {
      missing.push_back(next);
    }
    next = id + 1;
  }
  return missing;
}

}  // namespace kvjury::juicefs
