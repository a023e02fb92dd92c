#include <cmath>

#include "arguments.h"
#include "engine_slot.h"
#include "exports.h"
#include "reed_solomon.h"

template <>
struct HandleKind<const ReedSolomon> {
  static constexpr napi_type_tag tag = {0x6f7f3c5d8a514b0eULL, 0x9a34a2d1c58be004ULL};
};
template <>
struct HandleKind<Parity> {
  static constexpr napi_type_tag tag = {0x6f7f3c5d8a514b0eULL, 0x9a34a2d1c58be005ULL};
};

namespace {

// (engine, id, ...): the rest is what the work is made of.
Napi::Value submit(const Napi::CallbackInfo& info, Work work, long error) {
  Napi::Env env = info.Env();
  auto* engine = handle_slot<EngineSlot>(env, info[0]);
  if (!engine || !*engine || !(*engine)->target) return number(env, -EBADF);
  if (error) return number(env, error);
  auto job = std::make_unique<Job>();
  job->id = u32(env, info[1]);
  job->work = std::move(work);
  return number(env, (*engine)->target->submit(std::move(job)));
}

// A whole number from 0 to 2^53 - 1, or `none`.
constexpr uint64_t none = UINT64_MAX;
uint64_t whole(napi_env env, napi_value value) {
  double result = -1;
  napi_get_value_double(env, value, &result);
  return result >= 0 && result < 9007199254740992.0 && result == std::floor(result) ? static_cast<uint64_t>(result)
                                                                                    : none;
}

// () -> the names of the ways in which this processor multiplies, the one that is taken first
Napi::Value galois_paths(const Napi::CallbackInfo& info) {
  const galois::Paths& paths = galois::paths();
  auto names = Napi::Array::New(info.Env(), paths.count);
  for (size_t i = 0; i < paths.count; i++) names.Set(static_cast<uint32_t>(i), paths.path[i].name);
  return names;
}

// (number of a path, factors, src, dst: a row as long as src for each factor): adds the products to dst
Napi::Value galois_accumulate(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint32_t path = u32(env, info[0]);
  Bytes factors = bytes_of(env, info[1]), src = bytes_of(env, info[2]), dst = bytes_of(env, info[3]);
  if (path >= galois::paths().count || !factors.data || !src.data || !dst.data ||
      factors.size > ReedSolomon::max_roots || dst.size != factors.size * src.size)
    return number(env, -EINVAL);
  uint8_t* rows[ReedSolomon::max_roots];
  for (size_t r = 0; r < factors.size; r++) rows[r] = dst.data + r * src.size;
  galois::paths().path[path].accumulate(factors.data, factors.size, src.data, src.size, rows);
  return number(env, 0);
}

// (roots, number of a path) -> code, or -ELIBBAD where it does not compute what it should
Napi::Value rs_open(const Napi::CallbackInfo& info) {
  uint32_t roots = u32(info.Env(), info[0]), path = u32(info.Env(), info[1]);
  if (roots < ReedSolomon::min_roots || roots > ReedSolomon::max_roots || path >= galois::paths().count)
    return number(info.Env(), -EINVAL);
  auto code = std::make_shared<const ReedSolomon>(roots, galois::paths().path[path].accumulate);
  if (!code->works()) return number(info.Env(), -ELIBBAD);
  return make_handle<const ReedSolomon>(info.Env(), std::move(code));
}

// The arguments (code, message, parity, rows, erased, status, changed) of a decoding.
Work decode_of(const Napi::CallbackInfo& info, size_t at, long* error) {
  Napi::Env env = info.Env();
  auto* slot = handle_slot<const ReedSolomon>(env, info[at]);
  *error = slot && *slot ? -EINVAL : -EBADF;
  if (*error == -EBADF) return nullptr;
  std::shared_ptr<const ReedSolomon> code = *slot;
  Bytes message = bytes_of(env, info[at + 1]), parity = bytes_of(env, info[at + 2]),
        erased = bytes_of(env, info[at + 4]);
  ReedSolomon::Words words{};
  size_t changed = 0;
  words.message = message.data;
  words.parity = parity.data;
  words.rows = u32(env, info[at + 3]);
  words.status = static_cast<int16_t*>(elements_of(env, info[at + 5], napi_int16_array, &words.columns));
  words.changed = static_cast<uint32_t*>(elements_of(env, info[at + 6], napi_uint32_array, &changed));
  // Native code keeps its own list of erasures, as it takes their number and their range for granted.
  std::vector<uint8_t> erasures(erased.data, erased.data + erased.size);
  if (!words.message || !words.parity || !words.status || !words.changed || !words.columns || !erased.data ||
      words.columns > INT32_MAX || changed != ReedSolomon::word_size || erasures.size() > code->roots() ||
      message.size % code->message_size() || message.size / code->message_size() != words.columns ||
      parity.size % code->roots() || parity.size / code->roots() != words.columns || words.rows > code->message_size())
    return nullptr;
  for (uint8_t position : erasures)
    if (position >= ReedSolomon::word_size) return nullptr;
  *error = 0;
  return [code, words, erasures = std::move(erasures)]() mutable {
    words.erased = erasures.data();
    words.erased_count = erasures.size();
    return code->decode(words);
  };
}

Napi::Value rs_decode(const Napi::CallbackInfo& info) {
  long error;
  Work work = decode_of(info, 0, &error);
  return number(info.Env(), error ? error : work());
}

// (engine, id, then as rs_decode)
Napi::Value engine_submit_rs_decode(const Napi::CallbackInfo& info) {
  long error;
  Work work = decode_of(info, 2, &error);
  return submit(info, std::move(work), error);
}

// (code, codewords, columns) -> parity
Napi::Value parity_open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto* slot = handle_slot<const ReedSolomon>(env, info[0]);
  if (!slot || !*slot) return number(env, -EBADF);
  uint64_t codewords = whole(env, info[1]);
  uint32_t columns = u32(env, info[2]);
  if (codewords == none || !columns || columns > INT32_MAX || columns > codewords) return number(env, -EINVAL);
  auto parity = Parity::open(*slot, codewords, columns);
  return parity ? make_handle<Parity>(env, parity) : number(env, -ENOMEM);
}

// The parity behind a handle. With `idle`, only while no addition to it is in flight: each holds a reference.
Parity* parity_of(napi_env env, napi_value value, bool idle, long* error) {
  auto* slot = handle_slot<Parity>(env, value);
  *error = !slot || !*slot ? -EBADF : idle && slot->use_count() != 1 ? -EBUSY : 0;
  return *error ? nullptr : slot->get();
}

// (parity, first codeword)
Napi::Value parity_reset(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  long error;
  Parity* parity = parity_of(env, info[0], true, &error);
  uint64_t first = whole(env, info[1]);
  if (!error && (first == none || first >= parity->codewords())) error = -EINVAL;
  if (!error) parity->reset(first);
  return number(env, error);
}

// The arguments (parity, position, src) of an addition.
Work addition_of(const Napi::CallbackInfo& info, size_t at, long* error) {
  Napi::Env env = info.Env();
  Parity* found = parity_of(env, info[at], false, error);
  if (!found) return nullptr;
  std::shared_ptr<Parity> parity = *handle_slot<Parity>(env, info[at]);
  uint64_t position = whole(env, info[at + 1]);
  Bytes src = bytes_of(env, info[at + 2]);
  if (!src.data || position == none || position > parity->message_bytes() ||
      src.size > parity->message_bytes() - position) {
    *error = -EINVAL;
    return nullptr;
  }
  return [parity, position, src] {
    parity->add(position, src.data, src.size);
    return 0L;
  };
}

Napi::Value parity_add(const Napi::CallbackInfo& info) {
  long error;
  Work work = addition_of(info, 0, &error);
  return number(info.Env(), error ? error : work());
}

// (engine, id, parity, position, src)
Napi::Value engine_submit_parity_add(const Napi::CallbackInfo& info) {
  long error;
  Work work = addition_of(info, 2, &error);
  return submit(info, std::move(work), error);
}

// (parity, column, dst): the parity of as many codewords of the window as dst has room for
Napi::Value parity_read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  long error;
  Parity* parity = parity_of(env, info[0], true, &error);
  uint64_t column = whole(env, info[1]);
  Bytes dst = bytes_of(env, info[2]);
  if (!error && (!dst.data || column > parity->columns() || dst.size % parity->roots() ||
                 dst.size / parity->roots() > parity->columns() - column))
    error = -EINVAL;
  if (!error) parity->read(column, dst.size / parity->roots(), dst.data);
  return number(env, error);
}

// Gives the memory back; what is in flight keeps its own reference.
Napi::Value parity_close(const Napi::CallbackInfo& info) {
  auto* slot = handle_slot<Parity>(info.Env(), info[0]);
  if (!slot || !*slot) return number(info.Env(), -EBADF);
  slot->reset();
  return number(info.Env(), 0);
}

}  // namespace

void export_fec(Napi::Object exports) {
  export_function<galois_paths>(exports, "galois_paths");
  export_function<galois_accumulate>(exports, "galois_accumulate");
  export_function<rs_open>(exports, "rs_open");
  export_function<rs_decode>(exports, "rs_decode");
  export_function<engine_submit_rs_decode>(exports, "engine_submit_rs_decode");
  export_function<parity_open>(exports, "parity_open");
  export_function<parity_reset>(exports, "parity_reset");
  export_function<parity_add>(exports, "parity_add");
  export_function<engine_submit_parity_add>(exports, "engine_submit_parity_add");
  export_function<parity_read>(exports, "parity_read");
  export_function<parity_close>(exports, "parity_close");
}
