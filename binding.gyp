{
  "variables": {
    "asan%": 0,
    "argon2%": "<!(node -p \"require('node:path').relative('', require.resolve('argon2/package.json').replace('package.json', 'argon2'))\")"
  },
  "targets": [
    {
      "target_name": "dmalg",
      "sources": [
        "native/addon.cc",
        "native/aio.cc",
        "native/completions.cc",
        "native/exports_engine.cc",
        "native/exports_file.cc",
        "native/exports_kdf.cc",
        "native/exports_keyring.cc",
        "native/exports_process.cc",
        "native/exports_fec.cc",
        "native/galois.cc",
        "native/exports_op.cc",
        "native/exports_tfm.cc",
        "native/kernel_tfm.cc",
        "native/lanes.cc",
        "native/library_cipher.cc",
        "native/library_hash.cc",
        "native/library_tfm.cc",
        "native/secret_bytes.cc",
        "native/sha256_ni.cc",
        "native/sha256_units.cc",
        "native/reed_solomon.cc",
        # The reference code of Argon2 (RFC 9106), from the npm package that carries it. Debian's libargon2.a is not
        # position-independent.
        "<(argon2)/src/argon2.c",
        "<(argon2)/src/core.c",
        "<(argon2)/src/thread.c",
        "<(argon2)/src/blake2/blake2b.c",
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "<(argon2)/include", "<(argon2)/src"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NAPI_DISABLE_CPP_EXCEPTIONS",
                  "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc!": ["-fno-exceptions"],
      "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
      # Its code compares a uint32_t with the largest one. encoding.c, which it does not need here, is left out.
      "cflags_c": ["-std=c11", "-O3", "-pthread", "-fvisibility=hidden", "-Wno-type-limits"],
      "conditions": [
        ["target_arch=='x64'", { "sources": ["<(argon2)/src/opt.c"] }, { "sources": ["<(argon2)/src/ref.c"] }],
        ["asan==1", {
          "cflags_cc": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1"],
          "ldflags": ["-fsanitize=address,undefined"]
        }, {
          # So that the addon of the npm package runs where libstdc++ and glibc are older; the sections that go want a newer glibc.
          "ldflags": ["-static-libstdc++", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections"]
        }]
      ]
    }
  ]
}
