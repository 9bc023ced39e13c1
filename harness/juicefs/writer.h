// Writer: one JuiceFS session on a volume: batches of ids, session records, late usage flushes, and the operations as
// the transactions that JuiceFS 1.4 makes, with the real keys and values.
//
// Modelled: write conflicts are tried again up to 50 times with (i+1)^2 ms of back-off, an undetermined commit never is (the operation fails with
// EIO and may have happened); paths are resolved by point look-ups before the operation; parents' times skipped within 100 ms, their link counts
// after 20 conflicts; trash by the hour; chunk deletion after unlink; open files (one that loses its last name while this session has it open lives
// on until its last close); with a BlockStore the blocks of slices: uploaded before the commit that names them, deleted with the last reference.
// Of inodes: the caller's user and group (owner of new inodes, set-gid directories), extended attributes, ACLs with the client's cache of rules,
// flags and tiers, BSD and POSIX locks, access times. Of the session: setting, records, heartbeats with what they read (the client ends itself when
// the volume is gone or another one), clean-up of the dead ones of others; mounts that are read-only; clients that die. A session that is cleaned
// by others while it lives loses its locks and comes back with its next heartbeat, as a real one. The elected jobs, see jobs.cc. Quotas of
// directories, users and groups and limits of the volume, see operations_quota.cc. The change log with the text of every transaction that has one,
// see change_log.h. Mounts that find names whatever their case, see case_folding.h.
// Checks: only those that the client makes on a default mount: the sticky bit (EACCES), mode, group and times of another's inode, flags, the trash.
// Permission bits, ACLs' permissions, chown to another user, privileges for flags and namespaces of xattrs are checked by the kernel in front of
// the client (EACCES, EPERM) and are not here; where both look, the kernel's errno differs (EPERM for the sticky bit). A mode comes as the kernel
// hands it on: the umask is taken off. Flags do not keep modes, owners, times and xattrs from being changed, as in JuiceFS.
// NOT modelled: the client's caches (of attributes, of blocks, of what is written but not uploaded: a write ends when it is committed). Background
// work that an operation starts (deletion of data, compaction, statistics of files with several links) is done at its end. After a write conflict
// the real client stores an ACL's id without its rule; here the rule is stored. Symbolic links inside a path are not followed and `..` is EINVAL
// (the kernel of a real mount resolves them). Only whole hour directories are protected in the trash; their entries may be removed. Trees are
// removed and cloned one directory after the other, without threads.
// Source: JuiceFS 1.4, KV engine and base metadata. Units: virtual microseconds, wall nanoseconds.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fakes/sim/timers.h"
#include "harness/client/kv.h"
#include "harness/juicefs/acl_rules.h"
#include "harness/juicefs/attempt.h"
#include "harness/juicefs/block_store.h"
#include "harness/juicefs/effects.h"
#include "harness/juicefs/format.h"
#include "harness/juicefs/quota_book.h"
#include "harness/juicefs/written_values.h"
#include "harness/juicefs/writer_options.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::juicefs {

class Writer {
 public:
  /// `store` must outlive the writer.
  Writer(client::Store* store, WriterOptions options);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();

  /// Reads the volume's setting and makes the session: three transactions, or two when the volume has a change log; none on a read-only mount.
  /// Errors: kNotFound (the volume is not formatted), those of the store; the session may be half made. Suspends.
  sim::Task<Status> Start();

  /// Carries out one operation; at most one at a time. Never fails otherwise than by errno. Suspends.
  sim::Task<OperationResult> Do(record::Operation operation);

  /// Everything that a session does by itself: flushes of usage, heartbeats, elected jobs. Sleeps until something is due. Ends when
  /// the session does; spawn it in the caller's scope.
  sim::Task<void> RunBackground();

  /// All jobs at once and without an election, and, as `juicefs gc --delete` does, what clones that were begun more than a day ago left behind.
  /// For a session that was started. What fails stays for the next time. Suspends.
  sim::Task<void> CollectGarbage();

  /// Flushes and removes the session records; RunBackground ends at once. Call after the last operation. Nothing happens
  /// after Die. Errors: kUnavailable when something was left behind. Suspends.
  sim::Task<Status> Stop();

  /// The process is gone: nothing more is begun, nothing is flushed, the session's records stay. Operations answer ENOTCONN.
  void Die();
  [[nodiscard]] bool dead() const { return dead_; }

  /// The process stands still: its background ends, nothing is flushed and the session's records stay. Call between two operations.
  void Hold() { EndBackground(); }
  /// A held session goes on, on another cluster and bucket, with its ids, its session number and what it has not flushed: what a client does
  /// that nobody unmounted when a restored cluster took the place of its own. Its caches stay, too, unless they are forgotten. Spawn
  /// RunBackground again. Both must outlive the writer; `blocks` may be null. It makes no automatic backups there.
  void Redirect(client::Store* store, BlockStore* blocks);
  /// As a new mount: this hour's directory of the trash is looked up again, no file is open, no ACL rule and no quota is known. What the session removed while it had it open is
  /// not deleted at its close: in a restored volume it may have its name again.
  void ForgetCaches();

  struct IssuedIds {
    std::vector<Inode> inodes;
    std::vector<uint64_t> slices;
  };
  /// Every id that this session gave to something new, in order, also where the operation failed later.
  [[nodiscard]] const IssuedIds& issued() const { return issued_; }
  /// Every transaction sent and not refused, background included, in order of their answers.
  [[nodiscard]] const std::vector<DeclaredTransaction>& history() const { return history_; }
  [[nodiscard]] uint64_t session_id() const { return session_id_; }
  /// The volume's setting as this session read it last; empty before Start.
  [[nodiscard]] const Format& setting() const { return setting_; }
  /// Write conflicts met and tried again.
  [[nodiscard]] uint64_t conflicts() const { return conflicts_; }

 private:
  /// One operation or background step: names its transactions.
  struct Context {
    sim::Label label;
    TransactionKind kind = TransactionKind::kOperation;  // of what users, jobs and clean-ups do alike
    Micros invoked_us = 0;
    uint64_t transactions_begun = 0;
    uint32_t uid = 0;  // who asks
    uint32_t gid = 0;
    OperationResult result;
  };
  template <class Arguments>
  using Body = sim::Task<Status> (Writer::*)(Attempt* attempt, Arguments* arguments);

  struct Place {  // where a path's last name stands
    Inode parent;
    Bytes name;                   // empty for the root
    std::optional<Dentry> entry;  // what is there, at the time of the look-up
    std::optional<Attr> attr;     // of that; absent also for the root and the trash
  };
  struct OpenFile {
    Inode inode;
    uint32_t flags = 0;  // of open(2)
  };
  enum class FileUse : uint8_t { kRead, kWrite, kTruncate, kOpen };
  // See writer_arguments.h.
  struct AclArguments; struct CreateArguments; struct LinkArguments; struct LinkCountsArguments;
  struct RemoveArguments; struct RenameArguments; struct WriteArguments; struct TruncateArguments; struct SetAttrArguments;
  struct XattrArguments; struct ListArguments; struct LockArguments; struct ReadArguments; struct ReadlinkArguments;
  struct IdArguments; struct InodeArguments; struct TrashArguments; struct FlushArguments; struct SessionArguments;
  struct StaleArguments; struct FindArguments; struct SliceArguments; struct QuotaArguments; struct ChunkDeletionArguments;
  struct SustainedArguments; struct FallocateArguments; struct CopyArguments; struct CompactArguments;
  struct CloneArguments; struct BatchUnlinkArguments;

  // writer.cc: transactions and ids.
  /// Runs `body` as one transaction with retries. Returns an errno; EIO for every failure of the store.
  template <class Arguments>
  sim::Task<int> Run(Context* context, TransactionKind kind, Body<Arguments> body, Arguments* arguments);
  /// Commits one attempt; nullopt: try again.
  sim::Task<std::optional<int>> Finish(Context* context, TransactionKind kind, std::string label, Attempt* attempt,
                                       client::Transaction* transaction);
  Context MakeContext(sim::Label label);
  sim::Task<int> TakeInode(Context* context, Inode* inode);
  sim::Task<int> TakeSlice(Context* context, uint64_t* id);
  sim::Task<Status> IncrementCounter(Attempt* attempt, IdArguments* arguments);
  /// The setting by a point read, decoded. Errors: kNotFound if there is none, kDataLoss, those of the store.
  sim::Task<Result<Format>> ReadSetting(sim::Label label);
  // session.cc
  [[nodiscard]] Bytes ExpiryRecord() const;
  [[nodiscard]] Bytes InformationRecord() const;
  sim::Task<Status> PutSessionRecords(Attempt* attempt, SessionArguments* arguments);
  sim::Task<Status> RefreshSession(Attempt* attempt, SessionArguments* arguments);
  /// The latest committed value, outside of any transaction.
  sim::Task<Result<std::optional<Bytes>>> PointRead(sim::Label label, Key key);
  /// Absent: 0.
  sim::Task<Result<int64_t>> PointReadCounter(sim::Label label, const char* name);
  /// One heartbeat: the session's lease, setting, counters; then perhaps the sessions of others.
  sim::Task<void> Beat(Context* context);
  /// False: the volume is no longer ours, and the client ends itself.
  sim::Task<bool> ReloadSetting(Context* context);
  sim::Task<void> CleanStaleSessions(Context context);
  /// Locks, removed files that were open, and the records of a session. Returns an errno: then the records stay.
  sim::Task<int> CleanSession(Context* context, uint64_t session);
  sim::Task<Status> FindSessions(Attempt* attempt, StaleArguments* arguments);
  sim::Task<Status> FindLeftovers(Attempt* attempt, StaleArguments* arguments);
  sim::Task<Status> DropLocks(Attempt* attempt, StaleArguments* arguments);
  sim::Task<Status> RemoveSessionRecords(Attempt* attempt, StaleArguments* arguments);

  // background.cc
  sim::Task<void> FlushLoop();
  sim::Task<void> HeartbeatLoop();
  /// False: the session ended first.
  sim::Task<bool> SleepUntil(Micros due_us, std::string name);
  /// `period_us` give or take a twentieth, by the name.
  [[nodiscard]] Micros Jittered(Micros period_us, const sim::Label& label) const;
  void EndBackground();
  [[nodiscard]] bool HasPendingUsage() const { return pending_space_ != 0 || pending_inodes_ != 0 || !pending_directories_.empty(); }
  /// True for the one client that sets the counter to now: it was at least nine tenths of a period old.
  sim::Task<bool> Elected(Context* context, const char* counter, Micros period_us);
  sim::Task<Status> SetIfOld(Attempt* attempt, IdArguments* arguments);

  // dispatch.cc: each group of operations answers nullopt for those of others.
  sim::Task<int> Dispatch(Context* context, const record::Operation* operation);
  std::optional<sim::Task<int>> DispatchNames(Context* context, const record::Operation& operation);
  std::optional<sim::Task<int>> DispatchData(Context* context, const record::Operation& operation);
  std::optional<sim::Task<int>> DispatchAttributes(Context* context, const record::Operation& operation);
  std::optional<sim::Task<int>> DispatchQuota(Context* context, const record::Operation& operation);
  std::optional<sim::Task<int>> DispatchLocks(Context* context, const record::Operation& operation);
  std::optional<sim::Task<int>> DispatchSession(Context* context, const record::Operation& operation);

  // jobs.cc: each body of a job is told whether it has to be elected first.
  using Job = sim::Task<void> (Writer::*)(Context* context, bool elect);
  void SpawnJobs(sim::Scope* scope);
  sim::Task<void> JobLoop(const char* name, Micros period_us, Job job);
  sim::Task<void> CleanDeletedFiles(Context* context, bool elect);
  sim::Task<void> CleanSlices(Context* context, bool elect);
  sim::Task<void> CleanTrash(Context* context, bool elect);
  sim::Task<void> CleanDetached(Context* context, bool elect);
  /// Hour directories before `edge_s` (Unix seconds).
  sim::Task<void> ExpireHours(Context* context, int64_t edge_s);
  sim::Task<void> CleanDelayedSlices(Context* context, int64_t edge_s, bool elected);
  /// Records of [start, end) at one timestamp; none when they cannot be read.
  sim::Task<std::vector<std::pair<Key, Bytes>>> Find(Context* context, Bytes start, Bytes end);
  sim::Task<Status> FindRecords(Attempt* attempt, FindArguments* arguments);
  sim::Task<Status> DeleteRecords(Attempt* attempt, FindArguments* arguments);
  sim::Task<Status> DropDelayed(Attempt* attempt, SliceArguments* arguments);

  // operations_quota.cc
  [[nodiscard]] bool KeepsQuotas(QuotaKind kind) const;
  sim::Task<void> LoadQuotas(Context* context);
  /// For every operation that adds: so much more for this owner below each of these directories. 0, EDQUOT, or ENOSPC for the whole volume, by
  /// what the session knows; nothing when nothing is added. May suspend.
  sim::Task<int> CheckQuota(int64_t space, int64_t inodes, uint32_t uid, uint32_t gid, std::vector<Inode> parents);
  /// True if a directory from this one up has a quota that so much more would exceed.
  sim::Task<bool> TreeExceeds(Inode directory, int64_t space, int64_t inodes);
  /// For the body of what changes a file's length: checks the quotas (then `attempt->error`) and charges them. Call it before attr.length is changed.
  sim::Task<Status> ChargeLength(Attempt* attempt, Inode inode, Attr attr, uint64_t new_length);
  [[nodiscard]] bool OwnerExceeds(QuotaKind kind, uint32_t id, int64_t space, int64_t inodes) const;
  /// The directories that a file is in.
  sim::Task<Result<std::vector<Inode>>> ParentsOf(Attempt* attempt, Inode inode, Inode parent);
  /// It and all above, up to the root or to where an attribute is missing.
  sim::Task<std::vector<Inode>> DirectoriesUpFrom(Inode directory);
  sim::Task<void> ChargeTrees(std::vector<TreeUsage> trees);
  sim::Task<int> FlushQuotas(Context* context);
  sim::Task<Status> AddToQuotas(Attempt* attempt, QuotaArguments* arguments);
  sim::Task<void> QuotaFlushLoop();
  /// `limits` nullptr: delete it.
  sim::Task<int> SetQuotaOf(Context* context, QuotaKind kind, Bytes path, uint64_t id, const Quota* limits);
  sim::Task<Status> SetQuotaBody(Attempt* attempt, QuotaArguments* arguments);
  sim::Task<Status> DeleteQuotaBody(Attempt* attempt, QuotaArguments* arguments);
  /// The nearest directory from this one up that has a quota; invalid: none.
  sim::Task<Inode> QuotaDirectoryOf(Inode directory);
  /// Fills in `move`. 0, EDQUOT, or the errno of looking at the source.
  sim::Task<int> PlanQuotaMove(Context* context, RenameArguments* arguments);

  // summary.cc
  /// How much an inode and all below it take, by the statistics of directories; `with_own`: with what this session has not flushed. Errno.
  sim::Task<int> Summarize(Context* context, Inode inode, bool with_own, TreeSize* size);
  /// One directory's entries; the directories among them go to `below`.
  sim::Task<int> AddDirectory(Context* context, Inode directory, bool with_own, TreeSize* size, std::vector<Inode>* below);
  /// Counts anew, and writes it, where there is none.
  sim::Task<int> ReadDirStat(Context* context, Inode directory, DirStat* stat);
  sim::Task<int> ReadAttrAt(sim::Label label, Inode inode, Attr* attr);

  // operations_restore.cc
  sim::Task<int> RestoreTrashAt(Context* context, const record::RestoreTrash* restore);

  // operations_statfs.cc
  sim::Task<int> StatFsAt(Context* context, Bytes path);
  sim::Task<StatFs> StatFsOfInode(Context* context, Inode inode);

  // jobs_backup.cc
  sim::Task<void> BackupLoop();
  sim::Task<void> BackUpIfDue(Context* context);


  // paths.cc: look-ups and the trash.
  sim::Task<int> Resolve(Context* context, Bytes path, Place* place);
  /// The entry of this name; on a case-insensitive mount, where there is none, the first in byte order with this name but for its case, whose
  /// name `name` becomes. For that the directory is read in a transaction of its own, whose failure is as if there were none.
  sim::Task<Result<std::optional<Dentry>>> FindEntry(Attempt* attempt, Inode directory, Bytes* name);
  /// The inode of a path that must exist.
  sim::Task<int> ResolveExisting(Context* context, Bytes path, Dentry* entry);
  /// Makes sure of this hour's directory; `hour` stays 0 where nothing goes to the trash.
  sim::Task<int> EnsureTrash(Context* context, Inode parent, Inode* hour);
  sim::Task<Status> MakeTrashDirectory(Attempt* attempt, TrashArguments* arguments);

  // usage.cc
  void AddUsage(const UsageDelta& delta);
  /// The directories of files with several links, found after the commit that changed their length.
  sim::Task<void> ChargeLinks(Context* context, std::vector<LinksUsage> links);
  sim::Task<Status> ReadLinkCounts(Attempt* attempt, LinkCountsArguments* arguments);
  sim::Task<int> Flush(Context* context);
  sim::Task<Status> FlushDirectories(Attempt* attempt, FlushArguments* arguments);
  sim::Task<Status> RecountDirectory(Attempt* attempt, FlushArguments* arguments);

  // operations_create.cc
  sim::Task<int> CreateAt(Context* context, Bytes path, CreateArguments arguments);
  sim::Task<Status> CreateBody(Attempt* attempt, CreateArguments* arguments);
  /// What an inode made by this caller in this directory starts with, times and ACLs aside.
  static Attr NewAttr(const Attempt& attempt, const CreateArguments& arguments, const Attr& parent);
  sim::Task<int> LinkAt(Context* context, Bytes from, Bytes to);
  sim::Task<Status> LinkBody(Attempt* attempt, LinkArguments* arguments);

  // operations_remove.cc
  sim::Task<int> UnlinkAt(Context* context, Bytes path, bool skip_trash);
  sim::Task<Status> UnlinkBody(Attempt* attempt, RemoveArguments* arguments);
  sim::Task<int> RmdirAt(Context* context, Bytes path, bool skip_trash);
  sim::Task<Status> RmdirBody(Attempt* attempt, RemoveArguments* arguments);
  /// The file `entry` loses its name in `parent` (the caller writes the dentry); goes to `hour` if that is set.
  sim::Task<Status> DropFile(Attempt* attempt, Inode parent, const Bytes* name, Dentry entry, Attr attr, Inode hour,
                             RemoveArguments* outcome);
  /// No name is left: all goes but what a session that has the file open needs.
  sim::Task<Status> DropLastLink(Attempt* attempt, Inode inode, Attr attr, RemoveArguments* outcome);
  /// The empty directory `entry` loses its name; QD goes too.
  sim::Task<Status> DropDirectory(Attempt* attempt, Inode parent, const Bytes* name, Dentry entry, Attr attr, Inode hour);
  /// What follows the commit that dropped a file: it is remembered until its close, or its data is deleted.
  sim::Task<void> AfterDrop(Context* context, RemoveArguments dropped);

  // operations_remove_tree.cc
  sim::Task<int> RemoveTreeAt(Context* context, Bytes path, bool skip_trash);
  /// All entries of a directory and what lies below them.
  sim::Task<int> EmptyDirectory(Context* context, Inode directory, bool skip_trash);
  /// A directory's entry and all below it; an hour directory of the trash is only emptied.
  sim::Task<int> RemoveDirectoryTree(Context* context, RemoveArguments entry);
  sim::Task<int> BatchUnlink(Context* context, Inode directory, std::vector<std::pair<Bytes, Inode>> names, bool skip_trash);
  sim::Task<Status> BatchUnlinkBody(Attempt* attempt, BatchUnlinkArguments* arguments);
  sim::Task<Status> BatchUnlinkRead(Attempt* attempt, BatchUnlinkArguments* arguments);

  // slice_deletion.cc
  sim::Task<int> DeleteFileData(Context* context, Inode inode, uint64_t length);
  sim::Task<Status> ListChunks(Attempt* attempt, ChunkDeletionArguments* arguments);
  sim::Task<Status> DeleteChunk(Attempt* attempt, ChunkDeletionArguments* arguments);
  sim::Task<Status> DeleteMarker(Attempt* attempt, ChunkDeletionArguments* arguments);
  /// Blocks and counts of slices that nothing refers to. One whose blocks cannot be deleted keeps its count of -1 for the hourly job.
  sim::Task<void> DeleteSlices(Context* context, std::vector<SliceName> slices);
  sim::Task<Status> DeleteReferences(Attempt* attempt, SliceArguments* arguments);
  sim::Task<Status> ReadReferences(Attempt* attempt, SliceArguments* arguments);

  // operations_rename.cc
  sim::Task<int> RenameAt(Context* context, Bytes from, Bytes to, uint32_t flags);
  /// Both names are resolved.
  sim::Task<int> RenameEntry(Context* context, RenameArguments arguments);
  static void ChargeQuotaMove(const RenameArguments& arguments, UsageDelta* usage);
  /// The errno with which these directories do not let the source go to the target; 0: they do.
  static int CheckMove(const Attempt& attempt, const RenameArguments& arguments);
  /// For the change log. `trash`: the hour for what is replaced.
  static std::string MoveText(const RenameArguments& arguments, Inode replaced, Inode trash);
  sim::Task<Status> RenameRead(Attempt* attempt, RenameArguments* arguments);
  sim::Task<Status> RenameBody(Attempt* attempt, RenameArguments* arguments);
  /// Reads `target_attr`; sets the errno with which the target keeps its name.
  sim::Task<Status> CheckReplacement(Attempt* attempt, RenameArguments* arguments);
  sim::Task<Status> RenameReplaced(Attempt* attempt, RenameArguments* arguments);
  sim::Task<Status> MoveInode(Attempt* attempt, Inode inode, Attr attr, Inode from, Inode to);

  // operations_open.cc: files that this session has open.
  sim::Task<int> OpenAt(Context* context, Bytes path, uint32_t handle, uint32_t flags);
  sim::Task<int> CloseHandle(Context* context, uint32_t handle);
  /// The file of a handle that allows this use, or of a path where `handle` is 0.
  sim::Task<int> FindFile(Context* context, Bytes path, uint32_t handle, FileUse use, Inode* file);
  /// `error`, which the kernel or JuiceFS gives to an open file; but what may not be opened for writing by its path is refused for that.
  sim::Task<int> RefuseAfterOpen(Context* context, Inode inode, uint32_t handle, int error);
  [[nodiscard]] bool IsOpen(Inode inode) const;
  /// A file without a name that `session` had open is gone. Returns an errno; a failure is left to the clean-up of that session.
  sim::Task<int> DropSustained(Context* context, uint64_t session, Inode inode);
  sim::Task<Status> DropSustainedBody(Attempt* attempt, SustainedArguments* arguments);

  // operations_data.cc
  sim::Task<int> WriteAt(Context* context, const record::Write* write);
  sim::Task<Status> WriteBody(Attempt* attempt, WriteArguments* arguments);
  sim::Task<int> TruncateAt(Context* context, Bytes path, uint32_t handle, uint64_t length);
  sim::Task<Status> TruncateBody(Attempt* attempt, TruncateArguments* arguments);
  sim::Task<int> ReadAt(Context* context, const record::Read* read);
  sim::Task<Status> ReadBody(Attempt* attempt, ReadArguments* arguments);
  /// The attribute now, by a point read.
  sim::Task<int> ReadAttr(Context* context, Inode inode, Attr* attr);
  /// What ReadBody found, out of the blocks.
  sim::Task<Result<Bytes>> ReadBlocks(sim::Label label, const ReadArguments* arguments);

  // operations_ranges.cc
  sim::Task<int> FallocateAt(Context* context, const record::Fallocate* fallocate);
  sim::Task<Status> FallocateBody(Attempt* attempt, FallocateArguments* arguments);
  sim::Task<int> CopyFileRangeAt(Context* context, const record::CopyFileRange* copy);
  sim::Task<Status> CopyFileRangeBody(Attempt* attempt, CopyArguments* arguments);
  /// The records that a copy appends, by chunk; adds what they refer to.
  sim::Task<Status> PiecesToCopy(Attempt* attempt, CopyArguments* arguments);

  // operations_compact.cc
  sim::Task<int> CompactAt(Context* context, Bytes path);
  sim::Task<int> CompactTree(Context* context, Inode inode);
  /// One compaction, if there is something to do; true if it was committed. Failures are no one's error: the records stay as they are.
  sim::Task<bool> CompactChunk(Context* context, Inode inode, uint32_t chunk);
  /// The bytes of the new slice go up. False: it cannot be made.
  sim::Task<bool> MoveBlocks(sim::Label label, const CompactArguments* arguments);
  sim::Task<Status> CompactBody(Attempt* attempt, CompactArguments* arguments);
  sim::Task<Status> DropNewSlice(Attempt* attempt, CompactArguments* arguments);
  sim::Task<Status> ForgetZeroReferences(Attempt* attempt, CompactArguments* arguments);
  /// After a write made the chunk's list this long.
  sim::Task<void> CompactAfterWrite(Context* context, Inode inode, uint32_t chunk, size_t records);

  // operations_clone.cc
  sim::Task<int> CloneAt(Context* context, const record::Clone* clone);
  sim::Task<int> CloneEntry(Context* context, CloneArguments arguments, Inode* made);
  sim::Task<int> CloneChildren(Context* context, const CloneArguments* directory, Inode made);
  sim::Task<Status> CloneBody(Attempt* attempt, CloneArguments* arguments);
  sim::Task<Status> CloneBatchBody(Attempt* attempt, CloneArguments* arguments);
  sim::Task<Status> CopyRecords(Attempt* attempt, Inode from, Inode to, const Attr* attr);
  sim::Task<Status> AttachBody(Attempt* attempt, CloneArguments* arguments);
  sim::Task<Status> RemoveDetachedBody(Attempt* attempt, CloneArguments* arguments);
  sim::Task<Status> RepairNlinkBody(Attempt* attempt, CloneArguments* arguments);
  [[nodiscard]] Attr ClonedAttr(const CloneArguments& arguments, const Attr& source, Inode parent) const;

  // operations_attr.cc
  sim::Task<int> SetAttrAt(Context* context, const record::SetAttr* change);
  sim::Task<Status> SetAttrBody(Attempt* attempt, SetAttrArguments* arguments);
  sim::Task<int> ReaddirAt(Context* context, Bytes path);
  sim::Task<Status> ListBody(Attempt* attempt, ListArguments* arguments);
  sim::Task<int> LookupAt(Context* context, Bytes path);

  // operations_xattr.cc
  sim::Task<int> SetXattrAt(Context* context, const record::SetXattr* change);
  sim::Task<int> RemoveXattrAt(Context* context, const record::RemoveXattr* change);
  sim::Task<Status> XattrBody(Attempt* attempt, XattrArguments* arguments);
  sim::Task<int> GetXattrAt(Context* context, Bytes path, Bytes name);
  sim::Task<int> ListXattrAt(Context* context, Bytes path);
  sim::Task<Status> ListXattrBody(Attempt* attempt, ListArguments* arguments);
  sim::Task<int> ReadlinkAt(Context* context, Bytes path);
  sim::Task<Status> ReadlinkBody(Attempt* attempt, ReadlinkArguments* arguments);

  // operations_lock.cc
  sim::Task<int> LockAt(Context* context, Bytes path, LockArguments arguments, bool block);
  sim::Task<Status> FlockBody(Attempt* attempt, LockArguments* arguments);
  sim::Task<Status> SetLockBody(Attempt* attempt, LockArguments* arguments);
  sim::Task<Status> ReadPlocks(Attempt* attempt, Inode inode, std::vector<Plock>* locks);
  sim::Task<int> GetLockAt(Context* context, Bytes path, LockArguments arguments);

  // access_time.cc
  [[nodiscard]] bool KeepsAccessTimes() const { return options_.mount.atime != AtimeMode::kNoAtime && !options_.mount.read_only; }
  /// True if the mount's mode asks for a newer access time than `attr` has.
  [[nodiscard]] bool IsAccessTimeDue(const Attr& attr) const;
  /// Writes the inode with the access time now, if that is due.
  void WriteAccessTime(Attempt* attempt, Inode inode, Attr attr);
  /// What opening, reading and listing do; `known` is what the operation has seen of the inode (absent: it is read first). Failures are nobody's.
  sim::Task<void> TouchAccessTime(Context* context, Inode inode, std::optional<Attr> known);
  sim::Task<Status> TouchBody(Attempt* attempt, InodeArguments* arguments);

  // change_log.cc
  /// Adds the record of `attempt->log` where the volume keeps a change log.
  void AppendToChangeLog(Attempt* attempt, Timestamp start_ts);
  /// The job: removes the oldest records while they are older than the setting's age or beyond its number of lines, by batches of 1000.
  sim::Task<void> CleanChangeLog(Context* context, bool elect);

  // operations_acl.cc
  sim::Task<Status> ReadAclRules();
  /// Rule `id` from the cache or the store; absent for id 0. A rule that is missing from the store sets EIO.
  sim::Task<Status> GetAclRule(Attempt* attempt, uint32_t id, std::optional<AclRule>* rule);
  /// The id of this rule, which is stored by `attempt` if the client knows none; 0 for an empty rule.
  sim::Task<Status> InsertAclRule(Context* context, Attempt* attempt, const AclRule* rule, uint32_t* id);
  /// Mode and ACL ids of a new inode in a directory with a default ACL.
  sim::Task<Status> InheritAcl(Context* context, Attempt* attempt, const Attr* parent, uint16_t mode, Attr* attr);
  sim::Task<int> SetAclAt(Context* context, const record::SetAcl* acl);
  sim::Task<int> SetAclOf(Context* context, Dentry entry, bool is_default, AclRule rule);
  sim::Task<Status> SetAclBody(Attempt* attempt, AclArguments* arguments);
  sim::Task<int> GetAclAt(Context* context, Bytes path, bool is_default);
  sim::Task<int> GetAclOf(Context* context, Dentry entry, bool is_default);
  sim::Task<Status> GetAclBody(Attempt* attempt, AclArguments* arguments);

  /// Parent rule: true if the parent's attribute must be written; changes its times then.
  bool TouchParent(const Attempt& attempt, bool nlink_changed, Attr* parent) const;
  /// False after many conflicts: then the link count of a parent is left alone.
  [[nodiscard]] bool MayChangeNlink(const Attempt& attempt) const {
    return options_.mount.skip_dir_nlink_retries == 0 || attempt.retry() < options_.mount.skip_dir_nlink_retries;
  }
  [[nodiscard]] int64_t WallSeconds() const { return options_.wall_ns() / 1'000'000'000; }

  client::Store* store_;
  WriterOptions options_;
  Bytes prefix_;
  sim::Label label_;

  Format setting_;
  uint64_t session_id_ = 0;
  bool stopped_ = false;
  bool started_ = false;
  bool dead_ = false;
  sim::Timers timers_;
  std::vector<sim::Notifier*> sleepers_;  // of loops that wait for a time
  sim::Notifier changed_;  // the session started or ended, usage grew, a flush ended
  bool flushing_ = false;
  sim::Scope* background_ = nullptr;  // while RunBackground runs
  bool busy_ = false;
  uint64_t flushes_ = 0;
  uint64_t collections_ = 0;
  uint64_t conflicts_ = 0;
  uint64_t next_inode_ = 0, end_inode_ = 0;
  uint64_t next_slice_ = 0, end_slice_ = 0;
  IssuedIds issued_;
  Bytes trash_hour_name_;
  Inode trash_hour_;

  static constexpr size_t kDirectoryDepthMax = 4096;  // a cycle ends here
  QuotaBook quotas_;
  Quota quota_limits_;  // of the operation that sets them
  uint64_t parent_reads_ = 0;
  uint64_t case_reads_ = 0;
  // What the heartbeat and the flushes read last; -1: nothing yet.
  int64_t used_space_ = -1;
  int64_t used_inodes_ = -1;
  AclCache acl_cache_;
  uint64_t logged_ = 0;  // texts of the change log, those of refused tries included
  int64_t pending_space_ = 0;
  int64_t pending_inodes_ = 0;
  std::map<Inode, DirStat> pending_directories_;
  std::map<uint32_t, OpenFile> open_files_;  // by handle
  std::set<Inode> removed_open_files_;       // dropped by this session while it had them open
  std::vector<DeclaredTransaction> history_;
};

}  // namespace kvjury::juicefs
