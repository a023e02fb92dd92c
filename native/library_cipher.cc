#include <cstring>

#include "library_op.h"
#include "wipe.h"

namespace {

class CipherOp : public LibraryOp {
 public:
  CipherOp(std::shared_ptr<Tfm> tfm, CipherContext encrypt, CipherContext decrypt)
      : LibraryOp(std::move(tfm)), contexts_{std::move(decrypt), std::move(encrypt)} {
    const EVP_CIPHER* cipher = EVP_CIPHER_CTX_get0_cipher(contexts_[0].get());
    block_ = static_cast<size_t>(EVP_CIPHER_get_block_size(cipher));
    iv_size_ = static_cast<size_t>(EVP_CIPHER_get_iv_length(cipher));
    chacha_ = EVP_CIPHER_is_a(cipher, "ChaCha20");
  }
  long run_one(const Unit& unit) override {
    EVP_CIPHER_CTX* context = contexts_[static_cast<size_t>(unit.direction)].get();
    if ((unit.iv && unit.iv_size != iv_size_) || unit.dst_size < unit.src_size) return -EINVAL;
    if (unit.src_size % block_) return -EINVAL;
    if (unit.src_size > static_cast<size_t>(unlimited)) return -EMSGSIZE;
    if (unit.iv && EVP_CipherInit_ex2(context, nullptr, nullptr, unit.iv, -1, nullptr) != 1) return -EINVAL;
    if (counter_wraps(unit)) return run_across_wrap(unit);
    int length = 0;
    if (EVP_CipherUpdate(context, unit.dst, &length, unit.src, static_cast<int>(unit.src_size)) != 1) return -EINVAL;
    return length;
  }

 private:
  // ChaCha20's block counter has 32 bits and starts again at 0 in the kernel (lib/crypto/chacha.c); libcrypto carries
  // into the nonce.
  size_t bytes_to_wrap(const Unit& unit) const {
    uint32_t counter = unit.iv[0] | unit.iv[1] << 8 | unit.iv[2] << 16 | static_cast<uint32_t>(unit.iv[3]) << 24;
    return ((1ULL << 32) - counter) * 64;
  }
  bool counter_wraps(const Unit& unit) const { return chacha_ && unit.iv && unit.src_size > bytes_to_wrap(unit); }
  long run_across_wrap(const Unit& unit) {
    uint8_t iv[16];
    std::memcpy(iv, unit.iv, sizeof(iv));
    size_t first = bytes_to_wrap(unit);
    Unit part = unit;
    part.src_size = first;
    long done = run_one(part);
    if (done < 0) return done;
    std::memset(iv, 0, 4);
    part.iv = iv;
    part.src += first;
    part.dst += first;
    part.src_size = unit.src_size - first;
    part.dst_size = unit.dst_size - first;
    long rest = run_one(part);
    return rest < 0 ? rest : done + rest;
  }

  CipherContext contexts_[2];
  size_t block_;
  size_t iv_size_;
  bool chacha_;
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
  long run_one(const Unit& unit) override {
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
    if (EVP_CipherInit_ex2(context, nullptr, key_.data(), nonce, encrypt, nullptr) != 1) return false;
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

std::shared_ptr<Op> make_cipher_op(std::shared_ptr<Tfm> tfm, CipherContext encrypt, CipherContext decrypt) {
  return std::make_shared<CipherOp>(std::move(tfm), std::move(encrypt), std::move(decrypt));
}

std::shared_ptr<Op> make_aead_op(std::shared_ptr<Tfm> tfm, LibraryKind kind, const EVP_CIPHER* cipher,
                                 const SecretBytes& key, size_t tag_size) {
  return std::make_shared<AeadOp>(std::move(tfm), kind, cipher, key, tag_size);
}
