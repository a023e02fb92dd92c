#include "exports.h"

static Napi::Object init(Napi::Env, Napi::Object exports) {
  export_tfm(exports);
  export_op(exports);
  export_engine(exports);
  export_keyring(exports);
  export_file(exports);
  export_fec(exports);
  export_kdf(exports);
  export_process(exports);
  return exports;
}

NODE_API_MODULE(dmalg, init)
