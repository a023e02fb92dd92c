#!/bin/sh
# Builds the addon for arm64 in build-arm64/, with Debian's cross compiler and its libisal for arm64. That is unpacked there, not installed: what apt-get
# knows of another architecture, it would from then on want at every update.
set -eu
cd "$(dirname "$0")/.."
if ! command -v aarch64-linux-gnu-g++ >/dev/null; then
  echo 'dmalg: the cross compiler is missing. Type: sudo apt-get install --yes g++-aarch64-linux-gnu' >&2
  exit 1
fi
folder="$PWD/build-arm64"
sysroot="$folder/sysroot"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$sysroot"
arm64_apt_get() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o Dir::State::status=/dev/null \
    -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache" "$@"
}
if [ ! -e "$sysroot/libisal2.version" ]; then
  arm64_apt_get update
  (cd "$folder/apt" && arm64_apt_get download libisal2 libisal-dev)
  for package in "$folder"/apt/*.deb; do dpkg-deb -x "$package" "$sysroot"; done
  dpkg-deb -f "$folder"/apt/libisal2_*.deb Version >"$sysroot/libisal2.version"
fi
ln -sfn ../native "$folder/native"
ln -sfn ../node_modules "$folder/node_modules"
cp binding.gyp package.json "$folder/"
export CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++
export CXXFLAGS="-isystem $sysroot/usr/include" LDFLAGS="-L$sysroot/usr/lib/aarch64-linux-gnu"
cd "$folder" && npx node-gyp rebuild --arch=arm64 "$@" --loglevel=error
