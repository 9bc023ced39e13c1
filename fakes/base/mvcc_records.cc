#include "fakes/base/mvcc_records.h"

namespace kvjury {

namespace {

// "Compact bytes": a zigzag varint length, then the bytes.
void AppendCompact(Bytes* out, std::string_view bytes) {
  AppendVarint(out, static_cast<uint64_t>(bytes.size()) << 1);
  out->append(bytes);
}

Bytes TakeCompact(ByteReader* reader) {
  const uint64_t zigzag = reader->Varint();
  if ((zigzag & 1) != 0 || (zigzag >> 1) > reader->remaining()) {
    reader->Take(SIZE_MAX);  // a negative or too great length: marks the reader as short
    return {};
  }
  return Bytes(reader->Take(zigzag >> 1));
}

void AppendShortValue(Bytes* out, const Bytes& value) {
  CHECK_LE(value.size(), kShortValueBytesMax);
  out->push_back('v');
  out->push_back(static_cast<char>(value.size()));
  out->append(value);
}

void AppendLastChange(Bytes* out, const LastChange& change) {
  out->push_back('l');
  AppendBe64(out, change.ts.value());
  AppendVarint(out, change.versions);
}

LastChange TakeLastChange(ByteReader* reader) {
  LastChange change;
  change.ts = Timestamp(reader->Be64());
  change.versions = reader->Varint();
  return change;
}

bool IsWriteType(char c) { return c == 'P' || c == 'D' || c == 'L' || c == 'R'; }
bool IsLockType(char c) { return c == 'P' || c == 'D' || c == 'L' || c == 'S'; }

}  // namespace

Bytes WriteRecord::Encode() const {
  Bytes out;
  out.push_back(static_cast<char>(type));
  AppendVarint(&out, start_ts.value());
  if (short_value.has_value()) {
    AppendShortValue(&out, *short_value);
  }
  if (has_overlapped_rollback) {
    out.push_back('R');
  }
  if (gc_fence.has_value()) {
    out.push_back('F');
    AppendBe64(&out, gc_fence->value());
  }
  if (last_change.has_value()) {
    AppendLastChange(&out, *last_change);
  }
  if (txn_source != 0) {
    out.push_back('S');
    AppendVarint(&out, txn_source);
  }
  out.append(unknown_tail);
  return out;
}

Result<WriteRecord> WriteRecord::Decode(std::string_view bytes) {
  ByteReader reader(bytes);
  WriteRecord record;
  const char type = static_cast<char>(reader.U8());
  if (!reader.ok() || !IsWriteType(type)) {
    return Status::DataLoss("write record of unknown type: " + ToHex(bytes.substr(0, 16)));
  }
  record.type = static_cast<WriteType>(type);
  record.start_ts = Timestamp(reader.Varint());
  while (reader.ok() && !reader.empty()) {
    const std::string_view tail = reader.rest();
    switch (static_cast<char>(reader.U8())) {
      case 'v':
        record.short_value = Bytes(reader.Take(reader.U8()));
        continue;
      case 'R':
        record.has_overlapped_rollback = true;
        continue;
      case 'F':
        record.gc_fence = Timestamp(reader.Be64());
        continue;
      case 'l':
        record.last_change = TakeLastChange(&reader);
        continue;
      case 'S':
        record.txn_source = reader.Varint();
        continue;
      default:
        record.unknown_tail = Bytes(tail);
        break;
    }
    break;
  }
  if (!reader.ok()) {
    return Status::DataLoss("write record is cut off: " + ToHex(bytes.substr(0, 64)));
  }
  return record;
}

Bytes LockRecord::Encode() const {
  Bytes out;
  out.push_back(static_cast<char>(type));
  AppendCompact(&out, primary);
  AppendVarint(&out, start_ts.value());
  AppendVarint(&out, ttl_ms);
  if (short_value.has_value()) {
    AppendShortValue(&out, *short_value);
  }
  if (for_update_ts.valid()) {
    out.push_back('f');
    AppendBe64(&out, for_update_ts.value());
  }
  if (txn_size > 0) {
    out.push_back('t');
    AppendBe64(&out, txn_size);
  }
  if (min_commit_ts.valid()) {
    out.push_back('c');
    AppendBe64(&out, min_commit_ts.value());
  }
  if (use_async_commit) {
    out.push_back('a');
    AppendVarint(&out, secondaries.size());
    for (const Bytes& key : secondaries) {
      AppendCompact(&out, key);
    }
  }
  if (!rollback_ts.empty()) {
    out.push_back('r');
    AppendVarint(&out, rollback_ts.size());
    for (Timestamp ts : rollback_ts) {
      AppendBe64(&out, ts.value());
    }
  }
  if (last_change.has_value()) {
    AppendLastChange(&out, *last_change);
  }
  if (txn_source != 0) {
    out.push_back('s');
    AppendVarint(&out, txn_source);
  }
  if (is_locked_with_conflict) {
    out.push_back('F');
  }
  if (generation > 0) {
    out.push_back('g');
    AppendBe64(&out, generation);
  }
  out.append(unknown_tail);
  return out;
}

Result<LockRecord> LockRecord::Decode(std::string_view bytes) {
  ByteReader reader(bytes);
  LockRecord lock;
  const char type = static_cast<char>(reader.U8());
  if (type == 'H') {
    return Status::Unsupported("shared lock records are not read");
  }
  if (!reader.ok() || !IsLockType(type)) {
    return Status::DataLoss("lock record of unknown type: " + ToHex(bytes.substr(0, 16)));
  }
  lock.type = static_cast<LockType>(type);
  lock.primary = TakeCompact(&reader);
  lock.start_ts = Timestamp(reader.Varint());
  lock.ttl_ms = reader.Varint();
  while (reader.ok() && !reader.empty()) {
    const std::string_view tail = reader.rest();
    switch (static_cast<char>(reader.U8())) {
      case 'v':
        lock.short_value = Bytes(reader.Take(reader.U8()));
        continue;
      case 'f':
        lock.for_update_ts = Timestamp(reader.Be64());
        continue;
      case 't':
        lock.txn_size = reader.Be64();
        continue;
      case 'c':
        lock.min_commit_ts = Timestamp(reader.Be64());
        continue;
      case 'a':
        lock.use_async_commit = true;
        for (uint64_t count = reader.Varint(); count > 0 && reader.ok(); --count) {
          lock.secondaries.push_back(TakeCompact(&reader));
        }
        continue;
      case 'r':
        for (uint64_t count = reader.Varint(); count > 0 && reader.ok(); --count) {
          lock.rollback_ts.push_back(Timestamp(reader.Be64()));
        }
        continue;
      case 'l':
        lock.last_change = TakeLastChange(&reader);
        continue;
      case 's':
        lock.txn_source = reader.Varint();
        continue;
      case 'F':
        lock.is_locked_with_conflict = true;
        continue;
      case 'g':
        lock.generation = reader.Be64();
        continue;
      default:
        lock.unknown_tail = Bytes(tail);
        break;
    }
    break;
  }
  if (!reader.ok()) {
    return Status::DataLoss("lock record is cut off: " + ToHex(bytes.substr(0, 64)));
  }
  return lock;
}

}  // namespace kvjury
