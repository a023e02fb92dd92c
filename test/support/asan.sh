#!/bin/sh
# Builds the addon with AddressSanitizer and UBSan beside the ordinary build, and runs the unit tests on it here and the
# kernel's tests of tfms, chains and lifecycles in the lab. Any report ends the process that caused it with status 99.
set -eu
cd "$(dirname "$0")/../.."
folder=build-asan
mkdir -p $folder
ln -sfn ../native $folder/native
ln -sfn ../node_modules $folder/node_modules
cp binding.gyp package.json $folder/
(cd $folder && npx node-gyp configure "$@" --loglevel=error -- -Dasan=1 && npx node-gyp build --loglevel=error)
export DMALG_NATIVE_LIBRARY_PATH="$PWD/$folder/build/Release/dmalg.node"
# Node's own leaks at exit are not ours; descriptors and memory growth have tests of their own.
export ASAN_OPTIONS=detect_leaks=0:exitcode=99:abort_on_error=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99
runtime="$(g++ -print-file-name=libasan.so):$(g++ -print-file-name=libubsan.so)"
mocha='node_modules/mocha/bin/mocha.js --expose-gc --timeout 300000 --reporter dot'
echo '== unit, sanitized'
# The documents' commands run programs of Debian's, in which the sanitizer finds faults that are theirs (dd).
env LD_PRELOAD="$runtime" node $mocha --ignore dist/test/unit/docs.test.js 'dist/test/unit/**/*.test.js' dist/test/hard/native-bytes.test.js
echo '== kernel aio, sanitized'
node dist/lib/cli/main.js lab --kernel aio -- \
  env LD_PRELOAD="$runtime" DMALG_NATIVE_LIBRARY_PATH="$DMALG_NATIVE_LIBRARY_PATH" \
  ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS" \
  node $mocha dist/test/kernel/tfm.test.js dist/test/kernel/iv-chain.test.js dist/test/kernel/lifecycle.test.js
