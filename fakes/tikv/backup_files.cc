#include "fakes/tikv/backup_files.h"

#include "fakes/base/digest.h"
#include "fakes/base/memcomparable.h"

namespace kvjury::tikv {

SstCompression CompressionOf(backup::CompressionType type) {
  switch (type) {
    case backup::SNAPPY:
      return SstCompression::kSnappy;
    case backup::ZSTD:
      return SstCompression::kZstd;
    default:
      return SstCompression::kLz4;
  }
}

Result<Cipher> CipherOf(const backup::CipherInfo& info) {
  Cipher cipher;
  cipher.key = info.cipher_key();
  switch (info.cipher_type()) {
    case encryptionpb::PLAINTEXT:
      return Cipher();
    case encryptionpb::AES128_CTR:
      cipher.method = CipherMethod::kAes128Ctr;
      break;
    case encryptionpb::AES192_CTR:
      cipher.method = CipherMethod::kAes192Ctr;
      break;
    case encryptionpb::AES256_CTR:
      cipher.method = CipherMethod::kAes256Ctr;
      break;
    default:
      return Status::InvalidArgument("UnknownEncryption");
  }
  if (cipher.key.size() != CipherKeyBytes(cipher.method)) {
    return Status::InvalidArgument("AES CTR crypter invalid key length: expected " +
                                   std::to_string(CipherKeyBytes(cipher.method)) + ", got " +
                                   std::to_string(cipher.key.size()));
  }
  return cipher;
}

std::string BackupFileName::ToString() const {
  std::string name = std::to_string(store) + (in_folder ? "/" : "_") + std::to_string(region) + "_" + std::to_string(version);
  if (start_key.has_value()) {
    name += "_" + ToHex(Sha256(*start_key)) + "_" + std::to_string(clock_ms);
  }
  return name;
}

BackupFiles::BackupFiles(Options options, const std::string& raw_family) : options_(std::move(options)) {
  const std::vector<std::string> families =
      raw_family.empty() ? std::vector<std::string>{"default", "write"} : std::vector<std::string>{raw_family};
  for (const std::string& family : families) {
    parts_.emplace_back();
    parts_.back().family = family;
  }
}

void BackupFiles::Put(Part* part, const Bytes& key, const Bytes& value) {
  if (part->writer == nullptr) {
    part->writer = MakeSstFileWriter(options_.codec, options_.compression, options_.compression_level);
  }
  raw_bytes_ += key.size() + value.size();
  const Status added = part->writer->Add(kDataPrefix + key, value);
  CHECK(added.ok()) << added;
}

void BackupFiles::Count(Part* part, const BackupEntry& entry) {
  part->crc ^= Crc64Xz(entry.user_key, entry.value);
  ++part->kvs;
  part->bytes += entry.user_key.size() + entry.value.size();
}

void BackupFiles::Add(const BackupEntry& entry) {
  Part& values = parts_.front();
  Part& counted = entry.default_key.empty() ? parts_.back() : values;
  if (!entry.write_key.empty()) {
    Put(&parts_.back(), entry.write_key, entry.write_value);
  }
  if (!entry.default_key.empty()) {
    Put(&values, entry.default_key, entry.value);
  }
  Count(&counted, entry);
}

bool BackupFiles::empty() const { return parts_.back().writer == nullptr; }

uint64_t BackupFiles::counted_bytes() const {
  uint64_t bytes = 0;
  for (const Part& part : parts_) {
    bytes += part.bytes;
  }
  return bytes;
}

Result<BackupFiles::Output> BackupFiles::FinishPart(Part* part, const std::string& stem) const {
  Output output;
  output.file.set_name(stem + "_" + part->family + ".sst");
  const Bytes iv = Sha256(output.file.name()).substr(0, kCipherIvBytes);
  Result<Bytes> content = part->writer->Finish();
  CHECK(content.ok()) << content.error();
  if (options_.cipher.encrypts()) {
    ASSIGN_OR_RETURN(output.content, ApplyCipher(options_.cipher, iv, *content));
  } else {
    output.content = *std::move(content);
  }
  output.file.set_sha256(Sha256(output.content));
  output.file.set_crc64xor(part->crc);
  output.file.set_total_kvs(part->kvs);
  output.file.set_total_bytes(part->bytes);
  output.file.set_cf(part->family);
  output.file.set_size(output.content.size());
  output.file.set_cipher_iv(iv);  // there even when nothing is encrypted
  return output;
}

Result<std::vector<BackupFiles::Output>> BackupFiles::Finish(const std::string& stem) {
  std::vector<Output> outputs;
  for (Part& part : parts_) {
    if (part.writer != nullptr) {
      ASSIGN_OR_RETURN(Output output, FinishPart(&part, stem));
      outputs.push_back(std::move(output));
    }
  }
  return outputs;
}

}  // namespace kvjury::tikv
