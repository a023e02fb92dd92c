#include "exports.h"

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  export_tfm(env, exports);
  export_op(env, exports);
  export_engine(env, exports);
  export_keyring(env, exports);
  export_file(env, exports);
  export_fec(env, exports);
  return exports;
}

NODE_API_MODULE(dmalg, init)
