// Ciphers of backups: AES in counter mode, as TiKV's stores and br apply it to whole objects.
//
// Encrypting and decrypting are one operation, and the length stays. There is no authentication: a wrong key gives noise and no error.
// Source: TiKV 8.5, components/encryption; br's flags --crypter.method and --crypter.key. Not here: SM4, GCM, key management.
#pragma once

#include <string_view>

#include "fakes/base/bytes.h"

namespace kvjury {

enum class CipherMethod { kPlaintext, kAes128Ctr, kAes192Ctr, kAes256Ctr };

inline constexpr size_t kCipherIvBytes = 16;

struct Cipher {
  CipherMethod method = CipherMethod::kPlaintext;
  Bytes key;

  [[nodiscard]] bool encrypts() const { return method != CipherMethod::kPlaintext; }
};

/// 0, 16, 24 or 32.
size_t CipherKeyBytes(CipherMethod method);

/// br's names: "plaintext", "aes128-ctr", "aes192-ctr", "aes256-ctr". Errors: kInvalidArgument.
Result<CipherMethod> ParseCipherMethod(std::string_view name);

/// The bytes encrypted, or decrypted; those of kPlaintext as they are. Errors: kInvalidArgument for a key or an `iv` of the
/// wrong length.
Result<Bytes> ApplyCipher(const Cipher& cipher, std::string_view iv, std::string_view bytes);

}  // namespace kvjury
