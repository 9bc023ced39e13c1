#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>

#include "fakes/ports/tls.h"

namespace kvjury::ports {

namespace {

constexpr long kValidSeconds = 10L * 365 * 24 * 3600;
constexpr long kBeforeSeconds = 3600;  // clocks differ

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Deleter<X509, X509_free>>;

void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension != nullptr) {
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
}

struct Identity {
  KeyPtr key;
  CertificatePtr certificate;
};

// Signed by `issuer`, or by itself.
Identity MakeIdentity(const char* name, const Identity* issuer, const char* usage) {
  Identity made{KeyPtr(EVP_EC_gen("P-256")), CertificatePtr(X509_new())};
  X509* certificate = made.certificate.get();
  const Identity& signer = issuer != nullptr ? *issuer : made;
  X509_set_version(certificate, X509_VERSION_3);
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kBeforeSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kValidSeconds);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
  if (issuer == nullptr) {
    AddExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    AddExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    AddExtension(certificate, signer.certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
    AddExtension(certificate, signer.certificate.get(), NID_ext_key_usage, usage);
    AddExtension(certificate, signer.certificate.get(), NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1");
  }
  X509_sign(certificate, signer.key.get(), EVP_sha256());
  return made;
}

template <class Write>
Status WritePem(const std::string& path, Write write) {
  std::FILE* file = std::fopen(path.c_str(), "wx");
  if (file == nullptr) {
    return Status::Environment("cannot write \"" + path + "\": " + std::strerror(errno));
  }
  const bool written = write(file) == 1;
  return std::fclose(file) == 0 && written ? Status::Ok() : Status::Environment("cannot write \"" + path + "\"");
}

Status WriteIdentity(const std::string& folder, const std::string& name, const Identity& identity, bool with_key) {
  RETURN_IF_ERROR(WritePem(folder + "/" + name + ".pem", [&](std::FILE* file) { return PEM_write_X509(file, identity.certificate.get()); }));
  if (!with_key) {
    return Status::Ok();
  }
  const mode_t before = umask(0077);
  const Status written = WritePem(folder + "/" + name + "-key.pem", [&](std::FILE* file) {
    return PEM_write_PrivateKey(file, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  umask(before);
  return written;
}

}  // namespace

Status MakeTestCertificates(const std::string& folder) {
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    return Status::Environment("cannot make the folder \"" + folder + "\": " + std::strerror(errno));
  }
  for (const char* name : {"ca.pem", "server.pem", "server-key.pem", "client.pem", "client-key.pem"}) {
    if (access((folder + "/" + name).c_str(), F_OK) == 0) {
      return Status::AlreadyExists("\"" + folder + "/" + name + "\" is there already; nothing was written");
    }
  }
  const Identity ca = MakeIdentity("kvjury test CA", nullptr, "");
  const Identity server = MakeIdentity("kvjury test server", &ca, "serverAuth,clientAuth");
  const Identity client = MakeIdentity("kvjury test client", &ca, "clientAuth");
  RETURN_IF_ERROR(WriteIdentity(folder, "ca", ca, false));
  RETURN_IF_ERROR(WriteIdentity(folder, "server", server, true));
  return WriteIdentity(folder, "client", client, true);
}

}  // namespace kvjury::ports
