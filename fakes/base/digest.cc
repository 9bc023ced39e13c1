#include "fakes/base/digest.h"

#include <openssl/evp.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>

#include "fakes/base/check.h"

namespace kvjury {

namespace {

constexpr uint64_t kReflectedEcma182 = 0xC96C5795D7870F42;

constexpr std::array<std::array<uint64_t, 256>, 8> MakeCrcTables() {
  std::array<std::array<uint64_t, 256>, 8> tables{};
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? (crc >> 1) ^ kReflectedEcma182 : crc >> 1;
    }
    tables[0][i] = crc;
  }
  for (size_t slice = 1; slice < 8; ++slice) {
    for (size_t i = 0; i < 256; ++i) {
      const uint64_t former = tables[slice - 1][i];
      tables[slice][i] = (former >> 8) ^ tables[0][former & 0xFF];
    }
  }
  return tables;
}

constexpr auto kCrcTables = MakeCrcTables();

uint64_t UpdateCrc(uint64_t crc, std::string_view bytes) {
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    for (size_t j = 0; j < 8; ++j) {
      crc ^= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i + j])) << (8 * j);
    }
    uint64_t next = 0;
    for (size_t j = 0; j < 8; ++j) {
      next ^= kCrcTables[7 - j][(crc >> (8 * j)) & 0xFF];
    }
    crc = next;
  }
  for (; i < bytes.size(); ++i) {
    crc = kCrcTables[0][(crc ^ static_cast<uint8_t>(bytes[i])) & 0xFF] ^ (crc >> 8);
  }
  return crc;
}

}  // namespace

uint64_t Crc64Xz(std::string_view first, std::string_view second) {
  return ~UpdateCrc(UpdateCrc(~uint64_t{0}, first), second);
}

std::string Sha256(std::string_view bytes) {
  std::string digest(32, '\0');
  unsigned int length = 0;
  const int ok = EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &length,
                            EVP_sha256(), nullptr);
  CHECK_EQ(ok, 1);
  CHECK_EQ(length, 32u);
  return digest;
}

struct Sha256Stream::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Sha256Stream::Sha256Stream() : impl_(std::make_unique<Impl>()) {
  CHECK_EQ(EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr), 1);
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(impl_->context); }

void Sha256Stream::Add(std::string_view bytes) { CHECK_EQ(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()), 1); }

std::string Sha256Stream::Finish() {
  std::string digest(32, '\0');
  CHECK_EQ(EVP_DigestFinal_ex(impl_->context, reinterpret_cast<unsigned char*>(digest.data()), nullptr), 1);
  return digest;
}

uint64_t Hash64(std::string_view bytes, uint64_t seed) { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed); }

uint64_t Mix64(uint64_t a, uint64_t b) {
  uint64_t x = a ^ (b + 0x9E3779B97F4A7C15 + (a << 6) + (a >> 2));
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

std::string RollingDigest::ToString() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) {
    text.push_back(kDigits[(state_ >> shift) & 0xF]);
  }
  return text;
}

}  // namespace kvjury
