#include "library_tfm.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <algorithm>

#include "library_op.h"
#include "sha256_ni.h"

namespace {

constexpr size_t piece = 1 << 30;  // libcrypto's lengths are ints

class RandomOp : public LibraryOp {
 public:
  using LibraryOp::LibraryOp;

 private:
  long run_one(const Unit& unit) override {
    for (size_t at = 0; at < unit.dst_size; at += piece) {
      int size = static_cast<int>(std::min(piece, unit.dst_size - at));
      if (RAND_bytes(unit.dst + at, size) != 1) return -EIO;
    }
    return static_cast<long>(unit.dst_size);
  }
};

}  // namespace

long LibraryTfm::open(LibraryKind kind, const std::string& evp, std::shared_ptr<Tfm>* tfm) {
  KeepErrors keep;
  auto made = std::make_shared<LibraryTfm>(kind);
  made->name_ = evp;
  const char* name = evp.c_str();
  switch (kind) {
    case LibraryKind::interleaved:
      if (evp != "SHA256" || !sha256_ni_supported()) return -EOPNOTSUPP;
      [[fallthrough]];
    case LibraryKind::digest:
      made->digest_ = EVP_MD_fetch(nullptr, name, nullptr);
      if (!made->digest_) return -ENOENT;
      break;
    case LibraryKind::hmac:
      made->mac_ = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
      if (!made->mac_) return -ENOENT;
      break;
    case LibraryKind::cmac:
      made->mac_ = EVP_MAC_fetch(nullptr, "CMAC", nullptr);
      if (!made->mac_) return -ENOENT;
      break;
    case LibraryKind::random:
      break;
    default:
      made->cipher_ = EVP_CIPHER_fetch(nullptr, name, nullptr);
      if (!made->cipher_) return -ENOENT;
  }
  *tfm = std::move(made);
  return 0;
}

LibraryTfm::~LibraryTfm() {
  EVP_MD_free(digest_);
  EVP_CIPHER_free(cipher_);
  EVP_MAC_free(mac_);
}

// The key stays until the last op has gone: an AEAD op reads it for each request.
void LibraryTfm::close() {
  closed = true;
  drop_spare_ops();
}

long LibraryTfm::set_key(const uint8_t* key, size_t size) {
  if (cipher_ && size != static_cast<size_t>(EVP_CIPHER_get_key_length(cipher_))) return -EINVAL;
  if (!key_.assign(key, size)) return -ENOMEM;
  keyed_ = true;
  return 0;
}

long LibraryTfm::set_key_serial(int32_t) { return -ENOPROTOOPT; }

long LibraryTfm::set_authsize(uint32_t size) {
  // GCM: SP 800-38D 5.2.1.2 and crypto/gcm.c; CCM: SP 800-38C A.1; ChaCha20-Poly1305: RFC 7539, 16 only in the kernel.
  bool good = kind_ == LibraryKind::gcm   ? size == 4 || size == 8 || (size >= 12 && size <= 16)
              : kind_ == LibraryKind::ccm ? size >= 4 && size <= 16 && size % 2 == 0
                                          : kind_ == LibraryKind::chacha20poly1305 && size == 16;
  if (!good) return -EINVAL;
  authsize_ = size;
  return 0;
}

long LibraryTfm::keyed_mac(MacContext* context) const {
  context->reset(EVP_MAC_CTX_new(mac_));
  if (!*context) return -ENOMEM;
  const char* parameter = kind_ == LibraryKind::hmac ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER;
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(parameter, const_cast<char*>(name_.c_str()), 0),
                             OSSL_PARAM_construct_end()};
  // A null key would mean "keep the old one": an empty key needs an address too.
  const uint8_t* key = key_.size() ? key_.data() : reinterpret_cast<const uint8_t*>("");
  return EVP_MAC_init(context->get(), key, key_.size(), parameters) == 1 ? 0 : -EINVAL;
}

long LibraryTfm::keyed_cipher(CipherContext* context, int encrypt) const {
  context->reset(EVP_CIPHER_CTX_new());
  if (!*context) return -ENOMEM;
  if (EVP_CipherInit_ex2(context->get(), cipher_, key_.data(), nullptr, encrypt, nullptr) != 1) return -EINVAL;
  EVP_CIPHER_CTX_set_padding(context->get(), 0);
  return 0;
}

long LibraryTfm::open_op(std::shared_ptr<Op>* op) {
  KeepErrors keep;
  bool interleaved = kind_ == LibraryKind::interleaved;
  if (!keyed_ && kind_ != LibraryKind::digest && !interleaved && kind_ != LibraryKind::random) return -ENOKEY;
  auto self = shared_from_this();
  long error = 0;
  switch (kind_) {
    case LibraryKind::random:
      *op = std::make_shared<RandomOp>(self);
      break;
    case LibraryKind::digest:
    case LibraryKind::interleaved:
      *op = make_digest_op(self, digest_, interleaved);
      break;
    case LibraryKind::hmac:
    case LibraryKind::cmac: {
      MacContext context;
      error = keyed_mac(&context);
      if (!error) *op = make_mac_op(self, std::move(context));
      break;
    }
    case LibraryKind::cipher: {
      CipherContext encrypt, decrypt;
      error = keyed_cipher(&encrypt, 1);
      if (!error) error = keyed_cipher(&decrypt, 0);
      if (!error) *op = make_cipher_op(self, std::move(encrypt), std::move(decrypt));
      break;
    }
    default:
      *op = make_aead_op(self, kind_, cipher_, key_, authsize_);
  }
  if (error) return error;
  return *op ? 0 : -ENOMEM;
}
