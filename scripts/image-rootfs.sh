#!/usr/bin/env bash
# The root filesystem of the image: the binary, the shared libraries it needs, CA
# certificates, a user. Nothing else: no shell, no package manager.
# Usage: image-rootfs.sh BINARY DIRECTORY
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: image-rootfs.sh BINARY DIRECTORY" >&2; exit 2; }
binary=$1 root=$2
[ -x "$binary" ] || { echo "$binary is not an executable" >&2; exit 1; }
certificates=/etc/ssl/certs/ca-certificates.crt
[ -s "$certificates" ] || { echo "$certificates is missing: apt-get install ca-certificates" >&2; exit 1; }
[ ! -e "$root" ] || [ -z "$(ls -A "$root")" ] || { echo "$root is not empty" >&2; exit 1; }

install -D -m 0755 "$binary" "$root/usr/bin/tidegate"
# `ldd` names the loader without an arrow and everything else behind one.
ldd "$binary" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u |
  while read -r library; do install -D -m 0755 "$library" "$root$library"; done
# Name resolution is loaded at run time, so ldd does not show it.
libc=$(ldd "$binary" | sed -n 's/.*libc\.so\.6 => \(\/[^ ]*\).*/\1/p')
for module in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
  library=$(dirname "$libc")/$module
  [ -e "$library" ] && install -D -m 0755 "$library" "$root$library"
done
install -D -m 0644 "$certificates" "$root$certificates"
mkdir -p "$root/etc" "$root/data"
printf 'root:x:0:0::/:/sbin/nologin\ntidegate:x:65532:65532::/data:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\ntidegate:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
mkdir -p "$root/tmp"
chmod 1777 "$root/tmp"
chown -R 65532:65532 "$root/data" 2>/dev/null || true
