#!/bin/sh
# PID 1 of the lab. It stays in the initramfs, where the kernel looks for /sbin/modprobe; only the command runs in the host's file system.
# Ports: 1 stdout, 2 stderr, 3 stdin, 4 kernel log, 5 control. The kernel passes dmalg_* of its command line on as variables.
export PATH=/bin
host=/host root=/root

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug

# The kernel boots on one processor (see machine.ts).
for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do
  echo 1 >"$cpu"
done

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
ln -sf /proc/self/fd $root/dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -sf "/proc/self/fd/${n%:*}" "$root/dev/${n#*:}"; done
# What the command's folder is in is the host's, all else is empty. The host's /run names daemons that do not run here (udev above all: dmsetup would wait for it).
case "$lab_cwd/" in
  /run/* | /var/run/*) ;;
  *) mount -t tmpfs -o mode=755 run $root/run ;;
esac
case "$lab_cwd/" in
  /dev/shm/*)
    mkdir /upper/shm /upper/shm-work
    mount -t overlay -o lowerdir=$host/dev/shm,upperdir=/upper/shm,workdir=/upper/shm-work shm $root/dev/shm
    ;;
  *) mount -t tmpfs -o mode=1777 shm $root/dev/shm ;;
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

# Pipes, because a port can be opened once only, and programs open /dev/stdout again. Each is opened both ways first: opening one end would
# wait for the other, and the end of any child would break off the wait. 9 becomes the command's stdin, 6 its stdout, 7 its stderr.
mkfifo /in /out /err
if [ "$dmalg_stdin" = 1 ]; then
  exec 5<>/in
  exec 6>/in 9</in 5>&-
  cat <&4 >&6 3>&- 9<&- &
  exec 4<&- 6>&-
else
  exec 9</dev/null
fi
exec 4<>/out
exec 5</out 6>/out 4>&-
cat <&5 >"$(port 1)" 3>&- 6>&- 9<&- &
readers=$!
exec 5<&-
exec 4<>/err
exec 5</err 7>/err 4>&-
cat <&5 >"$(port 2)" 3>&- 6>&- 7>&- 9<&- &
readers="$readers $!"
exec 5<&-

setsid chroot $root /usr/bin/env -i /bin/sh /run/dmalg-lab.sh run <&9 >&6 2>&7 3>&- 6>&- 7>&- 9<&-
status=$?
exec 6>&- 7>&- 9<&-

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
