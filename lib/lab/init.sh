#!/bin/sh
# PID 1 of the lab. It stays in the initramfs, where the kernel looks for /sbin/modprobe; only the command runs in the host's file system.
# Ports: 1 stdout, 2 stderr, 3 stdin, 4 kernel log, 5 control. The kernel passes dmalg_* of its command line on as variables.
export PATH=/bin
host=/host root=/root

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug

load() {
  while read -r module; do insmod "/modules/$module"; done <"/modules/$1"
}
port() {
  echo /dev/vport*p"$1"
}
fail() {
  echo "dmalg-lab: $1" >/dev/console
  poweroff -f
}

load first
# The crypto modules are not needed to mount anything: they load meanwhile. The kernel boots without self-tests, which would take seconds
# here; from virtio_crypto on they run as ever, since its RSA is broken and only its self-test keeps the kernel from using it.
{
  load second
  echo N >/sys/module/cryptomgr/parameters/notests
  load third
} &
loading=$!

# The host announces the ports one by one, in the background; the last of them is the one to talk on.
tries=0
until [ -c "$(port 5)" ]; do
  tries=$((tries + 1))
  [ $tries -lt 1000 ] || fail 'no control port'
  sleep 0.01
done
# Opened once, and before the host is told to write: QEMU does not look again for input that came while a port was closed.
# Writing waits for the host to be connected; reading would not.
exec 3<>"$(port 5)"
echo up >&3
head -c "$dmalg_job" <&3 >/job
. /job

mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host $host || fail 'cannot mount the host'
mount -t tmpfs -o mode=755 upper /upper
mkdir /upper/files /upper/work
# Everything is writable, and what is written is gone with the lab.
mount -t overlay -o lowerdir=$host,upperdir=/upper/files,workdir=/upper/work root $root || fail 'cannot mount the root'

mount -t proc proc $root/proc
mount -t sysfs sys $root/sys
mount -t debugfs debug $root/sys/kernel/debug
mount -t devtmpfs dev $root/dev
mkdir -p $root/dev/pts $root/dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts $root/dev/pts
mount -t tmpfs -o mode=1777 shm $root/dev/shm
ln -sf /proc/self/fd $root/dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -sf "/proc/self/fd/${n%:*}" "$root/dev/${n#*:}"; done
# The host's /run names daemons that do not run here (udev above all: dmsetup would wait for it).
case "$lab_cwd/" in
  /run/* | /var/run/*) ;;
  *) mount -t tmpfs -o mode=755 run $root/run ;;
esac
release=$(uname -r)
mkdir -p "$root/lib/modules/$release"
mount -o bind "$host$lab_modules" "$root/lib/modules/$release" || fail 'cannot mount the modules'
if [ -n "$lab_output" ]; then
  mkdir -p "$root$lab_output"
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap output "$root$lab_output" || fail 'cannot mount the output folder'
fi
ip link set lo up
hostname dmalg-lab
ulimit -n 65536
cp /job $root/run/dmalg-lab.sh

wait $loading
[ "$dmalg_stdin" = 1 ] && exec 4<"$(port 3)"
echo run >&3

# Pipes, because a port can be opened once only, and programs open /dev/stdout again.
mkfifo /out /err
cat /out >"$(port 1)" &
readers=$!
cat /err >"$(port 2)" &
readers="$readers $!"
input=/dev/null
if [ "$dmalg_stdin" = 1 ]; then
  mkfifo /in
  cat <&4 >/in 2>/dev/null &
  input=/in
fi

setsid chroot $root /bin/sh /run/dmalg-lab.sh run <$input >/out 2>/err 3<&- 4<&-
status=$?

# What the command left running would hold the pipes open.
for process in /proc/[0-9]*; do
  [ "$(readlink "$process/root")" = $root ] && kill -9 "${process#/proc/}"
done 2>/dev/null
wait $readers
sync
dmesg >"$(port 4)"

# The host waits until it has read this many bytes of each stream.
sent() {
  awk '$1 == "bytes_sent:" { print $2 }' "/sys/kernel/debug/virtio-ports/$(basename "$(port "$1")")"
}
echo "done $status $(sent 1) $(sent 2) $(sent 4)" >&3
# The host pulls the plug now.
while :; do sleep 3600; done
