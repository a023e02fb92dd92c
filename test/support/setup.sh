#!/bin/sh
# Makes sure that the Debian packages which the build, the tests and the lab need are there.
set -eu
need=''
has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }
want() { has "$1" || need="$need $2"; }
want g++ g++
want make make
want python3 python3
want qemu-system-x86_64 qemu-system-x86
want depmod kmod
want xz xz-utils
want dmsetup dmsetup
want fio fio
want nbdkit nbdkit
want nbdinfo libnbd-bin
want openssl openssl
want cryptsetup cryptsetup-bin
want setpriv util-linux
want keyctl keyutils
want nbd-client nbd-client
want mkfs.ext4 e2fsprogs
want clang-format clang-format
want chromium chromium
want zsh zsh
want groff groff-base
want qemu-img qemu-utils
[ -e /usr/lib/python3/dist-packages/nbd.py ] || need="$need python3-libnbd"
[ -n "$(dpkg-query -W -f '${Status}' busybox-static 2>/dev/null | grep 'install ok installed')" ] || need="$need busybox-static"
[ -z "$need" ] && exit 0
command="apt-get install --yes --no-install-recommends$need"
if [ "$(id -u)" != 0 ]; then
  echo "dmalg: some Debian packages are missing. Type:" >&2
  echo "  sudo apt-get update && sudo $command" >&2
  exit 1
fi
echo "dmalg: installing$need" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
$command -qq >&2
