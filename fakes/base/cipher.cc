#include "fakes/base/cipher.h"

#include <openssl/evp.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "fakes/base/check.h"

namespace kvjury {

namespace {

const EVP_CIPHER* OpenSslCipher(CipherMethod method) {
  switch (method) {
    case CipherMethod::kAes128Ctr:
      return EVP_aes_128_ctr();
    case CipherMethod::kAes192Ctr:
      return EVP_aes_192_ctr();
    case CipherMethod::kAes256Ctr:
      return EVP_aes_256_ctr();
    case CipherMethod::kPlaintext:
      break;
  }
  return nullptr;
}

const unsigned char* Unsigned(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

}  // namespace

size_t CipherKeyBytes(CipherMethod method) {
  switch (method) {
    case CipherMethod::kAes128Ctr:
      return 16;
    case CipherMethod::kAes192Ctr:
      return 24;
    case CipherMethod::kAes256Ctr:
      return 32;
    case CipherMethod::kPlaintext:
      break;
  }
  return 0;
}

Result<CipherMethod> ParseCipherMethod(std::string_view name) {
  if (name == "plaintext") {
    return CipherMethod::kPlaintext;
  }
  if (name == "aes128-ctr") {
    return CipherMethod::kAes128Ctr;
  }
  if (name == "aes192-ctr") {
    return CipherMethod::kAes192Ctr;
  }
  if (name == "aes256-ctr") {
    return CipherMethod::kAes256Ctr;
  }
  return Status::InvalidArgument("unknown cipher \"" + Printable(name) +
                                 "\": expected plaintext, aes128-ctr, aes192-ctr or aes256-ctr");
}

Result<Bytes> ApplyCipher(const Cipher& cipher, std::string_view iv, std::string_view bytes) {
  if (!cipher.encrypts()) {
    return Bytes(bytes);
  }
  if (cipher.key.size() != CipherKeyBytes(cipher.method)) {
    return Status::InvalidArgument("a key of " + std::to_string(cipher.key.size()) + " bytes, but the cipher takes " +
                                   std::to_string(CipherKeyBytes(cipher.method)));
  }
  if (iv.size() != kCipherIvBytes) {
    return Status::InvalidArgument("Nonce + Counter must be 16 bytes, " + std::to_string(iv.size()));
  }
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  CHECK(EVP_EncryptInit_ex(context.get(), OpenSslCipher(cipher.method), nullptr, Unsigned(cipher.key), Unsigned(iv)) == 1);
  Bytes out(bytes.size(), '\0');
  // OpenSSL counts in int; counter mode goes on where it stopped.
  constexpr size_t kStepBytes = size_t{1} << 30;
  static_assert(kStepBytes < static_cast<size_t>(std::numeric_limits<int>::max()));
  for (size_t done = 0; done < bytes.size();) {
    const size_t step = std::min(kStepBytes, bytes.size() - done);
    int written = 0;
    CHECK(EVP_EncryptUpdate(context.get(), reinterpret_cast<unsigned char*>(out.data() + done), &written,
                            Unsigned(bytes.substr(done)), static_cast<int>(step)) == 1);
    CHECK(static_cast<size_t>(written) == step);
    done += step;
  }
  return out;
}

}  // namespace kvjury
