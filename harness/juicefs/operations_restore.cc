// `juicefs restore HOUR`: names of the trash become names of their directories again.
//
// Each entry "parent-inode-name" of the hour's directory is moved to that name in that parent, by a rename that replaces nothing. Without
// put_back only where the parent itself lies in this hour: trees are put together again inside the trash, so that their tops can be looked at
// and taken out whole. What cannot be moved (the name is taken, the parent is gone, the entry has another form) stays, and is no error of the
// operation. A name that was cut when it went to the trash comes back cut.
// Modelled: a program of its own in JuiceFS; here the session that is asked does its work, with its caches and quotas. Entries are taken in
// no order of their names, so that two programs do not meet on each. Not modelled: threads, the program's own session.
// Source: JuiceFS 1.4, command restore.
#include <algorithm>
#include <charconv>

#include "harness/juicefs/view.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

/// Where the entry came from; nothing for a name of another form.
std::optional<std::pair<Inode, Bytes>> HomeOf(const Bytes& entry) {
  const size_t first = entry.find('-');
  const size_t second = first == Bytes::npos ? first : entry.find('-', first + 1);
  uint64_t parent = 0;
  if (second == Bytes::npos || std::from_chars(entry.data(), entry.data() + first, parent).ptr != entry.data() + first || first == 0) {
    return std::nullopt;
  }
  return std::make_pair(Inode(parent), entry.substr(second + 1));
}

}  // namespace

sim::Task<int> Writer::RestoreTrashAt(Context* context, const record::RestoreTrash* restore) {
  if (context->uid != 0) {
    co_return EPERM;
  }
  Place place;
  sim::Task<int> resolve = Resolve(context, Bytes(kTrashName) + "/" + restore->hour(), &place);
  int error = co_await std::move(resolve);
  if (error != 0 || !place.entry.has_value() || place.parent != kTrashInode) {
    co_return error != 0 ? error : ENOENT;
  }
  ListArguments list;
  list.inode = place.entry->inode;
  error = co_await Run(context, TransactionKind::kOperation, &Writer::ListBody, &list);
  if (error != 0) {
    co_return error;
  }
  std::set<Inode> directories;
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t i = 0; i < list.names.size(); ++i) {
    if (list.entries[i].type == kTypeDirectory) {
      directories.insert(list.entries[i].inode);
    }
    order.emplace_back(context->label.Numbered("entry", list.entries[i].inode.value()).hash(), i);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [key, i] : order) {
    const std::optional<std::pair<Inode, Bytes>> home = HomeOf(list.names[i]);
    if (!home.has_value() || home->second.empty() || IsTrash(home->first) || (home->first == kRootInode && home->second == kTrashName) ||
        (!restore->put_back() && directories.count(home->first) == 0)) {
      continue;
    }
    RenameArguments move;
    move.from_parent = list.inode;
    move.from_name = list.names[i];
    move.to_parent = home->first;
    move.to_name = home->second;
    move.flags = kRenameNoReplace | kRenameRestore;
    sim::Task<int> rename = RenameEntry(context, std::move(move));
    const int moved = co_await std::move(rename);
    if (dead_) {
      co_return EIO;
    }
    context->result.restored += moved == 0 ? 1 : 0;
  }
  co_return context->result.undetermined ? EIO : 0;  // of some entry nobody can say what became of it
}

}  // namespace kvjury::juicefs
