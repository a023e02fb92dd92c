#!/bin/sh
# Builds the addon for arm64 in build-arm64/, with Debian's cross compiler.
set -eu
cd "$(dirname "$0")/.."
if ! command -v aarch64-linux-gnu-g++ >/dev/null; then
  echo 'dmalg: the cross compiler is missing. Type: sudo apt-get install --yes g++-aarch64-linux-gnu' >&2
  exit 1
fi
folder="$PWD/build-arm64"
mkdir -p "$folder"
ln -sfn ../native "$folder/native"
ln -sfn ../node_modules "$folder/node_modules"
cp binding.gyp package.json "$folder/"
export CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++
cd "$folder" && npx node-gyp rebuild --arch=arm64 "$@" --loglevel=error
