#!/bin/sh
# Run a command as a container's process 1 would run: as one user without any capability, in a root file system that
# holds nothing but what is listed, all of it read-only but /tmp and the folder of the sockets.
# Called by tests/e2e/confinement.py inside new mount and pid namespaces:
#   confine.sh ROOT SOCKETS SETPRIV-OPTIONS -- SOURCE=TARGET… -- COMMAND…
set -eu

root=$1 sockets=$2 privileges=$3
shift 4
path_of_image=$PATH
PATH=/usr/sbin:/usr/bin:/sbin:/bin

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"

make_place() { # like the source, so that it can be mounted there
  if [ -d "$1" ]; then mkdir -p "$2"; else mkdir -p "${2%/*}" && : >"$2"; fi
}

while [ "$1" != -- ]; do
  source=${1%%=*} target=$root${1#*=}
  make_place "$source" "$target"
  mount --bind "$source" "$target"
  mount -o remount,bind,ro "$target"
  shift
done
shift

mkdir -p "$root/proc" "$root/tmp" "$root/dev" "$root/home/argocd/cmp-server/plugins"
for device in null urandom; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$sockets" "$root/home/argocd/cmp-server/plugins"
mount -o remount,bind,ro "$root"

# shellcheck disable=SC2086  # these are several words
exec chroot "$root" env PATH="$path_of_image" setpriv $privileges --no-new-privs "$@"
