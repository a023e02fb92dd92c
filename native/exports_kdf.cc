#include <argon2.h>
#include <sys/mman.h>

#include "arguments.h"
#include "exports.h"
#include "secret_bytes.h"

namespace {

// Argon2's memory holds the passphrase's blocks: core dumps leave it out, and it goes back to the kernel at the end.
int allocate(uint8_t** memory, size_t size) {
  void* pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return ARGON2_MEMORY_ALLOCATION_ERROR;
  (void)::madvise(pages, size, MADV_DONTDUMP);
  (void)::madvise(pages, size, MADV_HUGEPAGE);
  *memory = static_cast<uint8_t*>(pages);
  return ARGON2_OK;
}

void release(uint8_t* memory, size_t size) { ::munmap(memory, size); }

// Argon2 in a thread of the pool, with as many threads of its own as it has lanes. It works on copies: JavaScript may
// do with its buffers what it likes meanwhile.
class Argon2 : public Napi::AsyncWorker {
 public:
  Argon2(Napi::Function done, Napi::Object into) : Napi::AsyncWorker(done, "dmalg"), into_(Napi::Persistent(into)) {}

  // False when there is no memory.
  bool take(argon2_type type, uint32_t passes, uint32_t kibibytes, uint32_t lanes, Bytes password, Bytes salt,
            size_t size) {
    type_ = type;
    passes_ = passes;
    kibibytes_ = kibibytes;
    lanes_ = lanes;
    return password_.assign(password.data, password.size) && salt_.assign(salt.data, salt.size) && out_.allocate(size);
  }

  void Execute() override {
    argon2_context context{};
    context.out = out_.data();
    context.outlen = static_cast<uint32_t>(out_.size());
    context.pwd = password_.data();
    context.pwdlen = static_cast<uint32_t>(password_.size());
    context.salt = salt_.data();
    context.saltlen = static_cast<uint32_t>(salt_.size());
    context.t_cost = passes_;
    context.m_cost = kibibytes_;
    context.lanes = lanes_;
    context.threads = lanes_;
    context.version = ARGON2_VERSION_13;
    context.allocate_cbk = allocate;
    context.free_cbk = release;
    int result = argon2_ctx(&context, type_);
    if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
      result_ = -ENOMEM;
    else if (result == ARGON2_THREAD_FAIL)
      result_ = -EAGAIN;
    else if (result != ARGON2_OK)
      result_ = -EINVAL;
  }

  void OnOK() override {
    Bytes into = bytes_of(Env(), into_.Value());
    if (result_ == 0 && into.size != out_.size()) result_ = -EINVAL;  // detached meanwhile
    if (result_ == 0) std::memcpy(into.data, out_.data(), out_.size());
    Callback().Call({number(Env(), result_)});
  }

 private:
  Napi::ObjectReference into_;
  SecretBytes password_, salt_, out_;
  argon2_type type_ = Argon2_id;
  uint32_t passes_ = 0, kibibytes_ = 0, lanes_ = 0;
  long result_ = 0;
};

// (1 for Argon2i or 2 for Argon2id, passes, KiB, lanes, password, salt, into, done: (0 or -errno) => void): done is
// called later, always, unless -errno is returned.
Napi::Value argon2(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint32_t type = u32(env, info[0]);
  Bytes password = bytes_of(env, info[4]), salt = bytes_of(env, info[5]), into = bytes_of(env, info[6]);
  if ((type != Argon2_i && type != Argon2_id) || !password.data || !salt.data || !into.data || !info[7].IsFunction())
    return number(env, -EINVAL);
  auto* work = new Argon2(info[7].As<Napi::Function>(), info[6].As<Napi::Object>());
  if (!work->take(static_cast<argon2_type>(type), u32(env, info[1]), u32(env, info[2]), u32(env, info[3]), password,
                  salt, into.size)) {
    delete work;
    return number(env, -ENOMEM);
  }
  work->Queue();  // it deletes itself after the callback
  return number(env, 0);
}

}  // namespace

void export_kdf(Napi::Object exports) { export_function<argon2>(exports, "argon2"); }
