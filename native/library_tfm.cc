#include "library_tfm.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace {

constexpr long unlimited = INT_MAX - 4096;  // libcrypto's lengths are ints
constexpr size_t piece = 1 << 30;

template <typename T, void (*release)(T*)>
struct Release {
  void operator()(T* pointer) const { release(pointer); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Release<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX, EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Release<EVP_MAC_CTX, EVP_MAC_CTX_free>>;

// What libcrypto has no notion of: its requests run at once, so "staged" only means that the next run knows its data.
class LibraryOp : public Op {
 public:
  explicit LibraryOp(std::shared_ptr<Tfm> tfm) : tfm_(std::move(tfm)) {}
  long update(const uint8_t*, size_t) override { return -EOPNOTSUPP; }
  long final(uint8_t*, size_t) override { return -EOPNOTSUPP; }
  long clone(std::shared_ptr<Op>*) override { return -EOPNOTSUPP; }
  long stage(const Unit&) override { return 0; }
  long reset() override { return 0; }
  long max_request() override { return unlimited; }

 protected:
  std::shared_ptr<Tfm> tfm_;
};

class RandomOp : public LibraryOp {
 public:
  using LibraryOp::LibraryOp;
  long run(const Unit& unit) override {
    for (size_t at = 0; at < unit.dst_size; at += piece) {
      int size = static_cast<int>(std::min(piece, unit.dst_size - at));
      if (RAND_bytes(unit.dst + at, size) != 1) return -EIO;
    }
    return static_cast<long>(unit.dst_size);
  }
};

class DigestOp : public LibraryOp {
 public:
  DigestOp(std::shared_ptr<Tfm> tfm, const EVP_MD* digest, DigestContext context)
      : LibraryOp(std::move(tfm)), digest_(digest), context_(std::move(context)) {}
  long run(const Unit& unit) override {
    open_ = false;
    long error = update(unit.src, unit.src_size);
    return error ? error : final(unit.dst, unit.dst_size);
  }
  long update(const uint8_t* src, size_t size) override {
    if (!open_ && EVP_DigestInit_ex2(context_.get(), digest_, nullptr) != 1) return -EIO;
    open_ = true;
    return EVP_DigestUpdate(context_.get(), src, size) == 1 ? 0 : -EIO;
  }
  long final(uint8_t* dst, size_t size) override {
    long error = open_ ? 0 : update(nullptr, 0);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (error || EVP_DigestFinal_ex(context_.get(), digest, &length) != 1) return -EIO;
    open_ = false;
    size = std::min<size_t>(size, length);
    std::memcpy(dst, digest, size);
    return static_cast<long>(size);
  }
  long clone(std::shared_ptr<Op>* copy) override {
    DigestContext context(EVP_MD_CTX_new());
    if (!context || (open_ && EVP_MD_CTX_copy_ex(context.get(), context_.get()) != 1)) return -ENOMEM;
    auto op = std::make_shared<DigestOp>(tfm_, digest_, std::move(context));
    op->open_ = open_;
    *copy = std::move(op);
    return 0;
  }
  long reset() override {
    open_ = false;
    return 0;
  }

 private:
  const EVP_MD* digest_;
  DigestContext context_;
  bool open_ = false;
};

class MacOp : public LibraryOp {
 public:
  MacOp(std::shared_ptr<Tfm> tfm, MacContext context) : LibraryOp(std::move(tfm)), context_(std::move(context)) {}
  long run(const Unit& unit) override {
    open_ = false;
    long error = update(unit.src, unit.src_size);
    return error ? error : final(unit.dst, unit.dst_size);
  }
  long update(const uint8_t* src, size_t size) override {
    // No key given: the context starts again with the one it has.
    if (!open_ && EVP_MAC_init(context_.get(), nullptr, 0, nullptr) != 1) return -EIO;
    open_ = true;
    return EVP_MAC_update(context_.get(), src, size) == 1 ? 0 : -EIO;
  }
  long final(uint8_t* dst, size_t size) override {
    long error = open_ ? 0 : update(nullptr, 0);
    uint8_t tag[EVP_MAX_MD_SIZE];
    size_t length = 0;
    if (error || EVP_MAC_final(context_.get(), tag, &length, sizeof(tag)) != 1) return -EIO;
    open_ = false;
    size = std::min(size, length);
    std::memcpy(dst, tag, size);
    return static_cast<long>(size);
  }
  long clone(std::shared_ptr<Op>* copy) override {
    MacContext context(EVP_MAC_CTX_dup(context_.get()));
    if (!context) return -ENOMEM;
    auto op = std::make_shared<MacOp>(tfm_, std::move(context));
    op->open_ = open_;
    *copy = std::move(op);
    return 0;
  }
  long reset() override {
    open_ = false;
    return 0;
  }

 private:
  MacContext context_;
  bool open_ = false;
};

class CipherOp : public LibraryOp {
 public:
  CipherOp(std::shared_ptr<Tfm> tfm, CipherContext encrypt, CipherContext decrypt)
      : LibraryOp(std::move(tfm)), contexts_{std::move(decrypt), std::move(encrypt)} {
    const EVP_CIPHER* cipher = EVP_CIPHER_CTX_get0_cipher(contexts_[0].get());
    mode_ = EVP_CIPHER_get_mode(cipher);
    block_ = static_cast<size_t>(EVP_CIPHER_get_block_size(cipher));
    iv_size_ = static_cast<size_t>(EVP_CIPHER_get_iv_length(cipher));
  }
  long run(const Unit& unit) override {
    EVP_CIPHER_CTX* context = contexts_[static_cast<size_t>(unit.direction)].get();
    if (unit.iv_size && unit.iv_size != iv_size_) return -EINVAL;
    if (unit.src_size % block_ || (mode_ == EVP_CIPH_XTS_MODE && unit.src_size < 16)) return -EINVAL;
    if (unit.src_size > static_cast<size_t>(unlimited)) return -EMSGSIZE;
    if (unit.iv && EVP_CipherInit_ex2(context, nullptr, nullptr, unit.iv, -1, nullptr) != 1) return -EINVAL;
    int length = 0;
    if (EVP_CipherUpdate(context, unit.dst, &length, unit.src, static_cast<int>(unit.src_size)) != 1) return -EINVAL;
    return length;
  }

 private:
  CipherContext contexts_[2];
  int mode_;
  size_t block_;
  size_t iv_size_;
};

// AF_ALG's layout: associated data, then text, then (of a ciphertext) the tag; the associated data is copied through.
class AeadOp : public LibraryOp {
 public:
  AeadOp(std::shared_ptr<Tfm> tfm, LibraryKind kind, const EVP_CIPHER* cipher, const SecretBytes& key, size_t tag_size)
      : LibraryOp(std::move(tfm)),
        kind_(kind),
        cipher_(cipher),
        key_(key),
        tag_size_(tag_size),
        context_(EVP_CIPHER_CTX_new()) {}
  long run(const Unit& unit) override {
    bool encrypt = unit.direction == Direction::encrypt;
    size_t extra = encrypt ? 0 : tag_size_;
    if (!unit.iv || unit.src_size < unit.assoc_size + extra) return -EINVAL;
    if (unit.src_size > static_cast<size_t>(unlimited)) return -EMSGSIZE;
    size_t text = unit.src_size - unit.assoc_size - extra;
    size_t out = unit.assoc_size + text + (encrypt ? tag_size_ : 0);
    if (unit.dst_size < out) return -EINVAL;
    const uint8_t* nonce = unit.iv;
    size_t nonce_size = unit.iv_size;
    if (kind_ == LibraryKind::ccm) {
      // crypto/ccm.c: the first octet of the 16 is L - 1; the nonce is the 15 - L that follow.
      if (unit.iv_size != 16 || unit.iv[0] < 1 || unit.iv[0] > 7) return -EINVAL;
      nonce = unit.iv + 1;
      nonce_size = 14 - unit.iv[0];
    } else if (nonce_size != 12) {
      return -EINVAL;
    }
    const uint8_t* in_text = unit.src + unit.assoc_size;
    uint8_t* out_text = unit.dst + unit.assoc_size;
    uint8_t tag[16];
    if (!encrypt) std::memcpy(tag, in_text + text, tag_size_);
    if (!start(encrypt, nonce, nonce_size, tag, text)) return -EINVAL;
    int length = 0;
    EVP_CIPHER_CTX* context = context_.get();
    if (unit.assoc_size &&
        EVP_CipherUpdate(context, nullptr, &length, unit.src, static_cast<int>(unit.assoc_size)) != 1)
      return -EINVAL;
    // CCM checks the tag here, the others in Final.
    uint8_t nothing[16];
    if ((text || kind_ == LibraryKind::ccm) && EVP_CipherUpdate(context, text ? out_text : nothing, &length,
                                                                text ? in_text : nothing, static_cast<int>(text)) != 1)
      return encrypt ? -EINVAL : reject(out_text, text);
    if (EVP_CipherFinal_ex(context, nothing, &length) != 1) return encrypt ? -EINVAL : reject(out_text, text);
    if (encrypt &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag_size_), out_text + text) != 1)
      return -EINVAL;
    if (unit.dst != unit.src) std::memmove(unit.dst, unit.src, unit.assoc_size);
    return static_cast<long>(out);
  }

 private:
  bool start(bool encrypt, const uint8_t* nonce, size_t nonce_size, uint8_t* tag, size_t text) {
    EVP_CIPHER_CTX* context = context_.get();
    int tag_size = static_cast<int>(tag_size_);
    if (EVP_CipherInit_ex2(context, cipher_, nullptr, nullptr, encrypt, nullptr) != 1) return false;
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, static_cast<int>(nonce_size), nullptr) != 1) return false;
    bool ccm = kind_ == LibraryKind::ccm;
    if ((ccm || !encrypt) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_size, encrypt ? nullptr : tag) != 1)
      return false;
    if (EVP_CipherInit_ex2(context, nullptr, key_.bytes.data(), nonce, encrypt, nullptr) != 1) return false;
    int length = 0;
    return !ccm || EVP_CipherUpdate(context, nullptr, &length, nullptr, static_cast<int>(text)) == 1;
  }
  // Unauthenticated plaintext does not leave.
  static long reject(uint8_t* text, size_t size) {
    wipe(text, size);
    return -EBADMSG;
  }

  LibraryKind kind_;
  const EVP_CIPHER* cipher_;
  const SecretBytes& key_;
  size_t tag_size_;
  CipherContext context_;
};

}  // namespace

long LibraryTfm::open(LibraryKind kind, const std::string& evp, std::shared_ptr<Tfm>* tfm) {
  auto made = std::make_shared<LibraryTfm>(kind);
  made->name_ = evp;
  const char* name = evp.c_str();
  switch (kind) {
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
  key_.assign(key, size);
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

long LibraryTfm::open_op(std::shared_ptr<Op>* op) {
  if (!keyed_ && kind_ != LibraryKind::digest && kind_ != LibraryKind::random) return -ENOKEY;
  auto self = shared_from_this();
  switch (kind_) {
    case LibraryKind::random:
      *op = std::make_shared<RandomOp>(self);
      return 0;
    case LibraryKind::digest: {
      DigestContext context(EVP_MD_CTX_new());
      if (!context) return -ENOMEM;
      *op = std::make_shared<DigestOp>(self, digest_, std::move(context));
      return 0;
    }
    case LibraryKind::hmac:
    case LibraryKind::cmac: {
      MacContext context(EVP_MAC_CTX_new(mac_));
      if (!context) return -ENOMEM;
      const char* parameter = kind_ == LibraryKind::hmac ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER;
      OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(parameter, name_.data(), 0),
                                 OSSL_PARAM_construct_end()};
      // A null key would mean "keep the old one": an empty key needs an address too.
      const uint8_t* key = key_.bytes.empty() ? reinterpret_cast<const uint8_t*>("") : key_.bytes.data();
      if (EVP_MAC_init(context.get(), key, key_.bytes.size(), parameters) != 1) return -EINVAL;
      *op = std::make_shared<MacOp>(self, std::move(context));
      return 0;
    }
    case LibraryKind::cipher: {
      CipherContext contexts[2];
      for (int encrypt : {0, 1}) {
        contexts[encrypt].reset(EVP_CIPHER_CTX_new());
        EVP_CIPHER_CTX* context = contexts[encrypt].get();
        if (!context) return -ENOMEM;
        if (EVP_CipherInit_ex2(context, cipher_, key_.bytes.data(), nullptr, encrypt, nullptr) != 1) return -EINVAL;
        EVP_CIPHER_CTX_set_padding(context, 0);
      }
      *op = std::make_shared<CipherOp>(self, std::move(contexts[1]), std::move(contexts[0]));
      return 0;
    }
    default: {
      *op = std::make_shared<AeadOp>(self, kind_, cipher_, key_, authsize_);
      return 0;
    }
  }
}
