#!/bin/sh
# Builds test/hard/fuzz.cc with libFuzzer, AddressSanitizer and UBSan, and runs it for a minute: SEED=N repeats a run. An input that breaks
# something stays in dist/test/hard, and is the argument that repeats it.
set -eu
cd "$(dirname "$0")/../.."
if ! command -v clang++ >/dev/null; then
  echo 'fuzz: skipped, as clang is missing: apt-get install clang libclang-rt-14-dev'
  exit 0
fi
clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined test/hard/fuzz.cc \
  native/galois.cc native/reed_solomon.cc native/sha256_ni.cc native/sha256_units.cc -o dist/test/hard/fuzz
dist/test/hard/fuzz -max_len=20000 -max_total_time=60 -print_final_stats=1 -verbosity=0 -artifact_prefix=dist/test/hard/ -seed="${SEED:-1}"
