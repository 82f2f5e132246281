#!/usr/bin/env bash
# The binary for arm64, built on amd64: Rust's target, Debian's cross compiler, and the
# target's libraries unpacked into the user's cache. Then it runs, under emulation.
# Usage: build-arm64.sh [--profile PROFILE]     default release; dev is faster to build
# Needs Debian or a relative of it on amd64, and rustup.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=release
case ${1:-} in
  '') ;;
  --profile) profile=${2:?--profile PROFILE} ;;
  *) echo "unknown argument $1" >&2; exit 2 ;;
esac
target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu
say() { printf 'arm64: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

packages=()
command -v $gnu-gcc >/dev/null || packages+=("gcc-$gnu" "libc6-dev-arm64-cross")
command -v $gnu-g++ >/dev/null || packages+=("g++-$gnu")
command -v qemu-aarch64-static >/dev/null || packages+=(qemu-user-static)
if [ ${#packages[@]} -gt 0 ]; then
  [ "$(id -u)" -eq 0 ] || die "missing: ${packages[*]}; run as root: apt-get install ${packages[*]}"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
rustup target list --installed | grep -qx $target || rustup target add $target >&2

# OpenSSL, zlib and libc of arm64 from the system's own archive, in a package state of
# their own: the system itself stays amd64 only.
sysroot=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/arm64/sysroot
if [ ! -e "$sysroot/complete" ]; then
  say "fetching the target's libraries once, into $sysroot"
  rm -rf "$sysroot"
  state=$(mktemp -d)
  trap 'rm -rf "$state"' EXIT
  mkdir -p "$sysroot" "$state"/{lists/partial,cache/archives/partial,packages}
  apt_=(apt-get -qq -o "Dir::State=$state" -o "Dir::Cache=$state/cache" -o Dir::State::status=/dev/null
    -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root)
  "${apt_[@]}" update
  (cd "$state/packages" && "${apt_[@]}" download libc6 libssl3 libssl-dev zlib1g zlib1g-dev >/dev/null)
  for package in "$state"/packages/*.deb; do dpkg-deb -x "$package" "$sysroot"; done
  # The headers that differ between machines stand beside the others: one folder of them.
  cp -r "$sysroot/usr/include/$gnu/openssl/." "$sysroot/usr/include/openssl/"
  touch "$sysroot/complete"
fi

libraries=$sysroot/usr/lib/$gnu
# librdkafka's configure reads CC and its like; HOST_CC keeps build scripts on this machine's.
export CC=$gnu-gcc CXX=$gnu-g++ AR=$gnu-ar HOST_CC=cc HOST_CXX=c++ HOST_AR=ar
export CFLAGS_aarch64_unknown_linux_gnu="-I$sysroot/usr/include" CFLAGS="-I$sysroot/usr/include" HOST_CFLAGS=
export LDFLAGS="-L$libraries" PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_LIBDIR=$libraries/pkgconfig PKG_CONFIG_SYSROOT_DIR=$sysroot
export AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR=$libraries AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_INCLUDE_DIR=$sysroot/usr/include
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-L native=$libraries -C link-arg=-Wl,-rpath-link,$libraries"
cargo build --profile "$profile" --locked -p tidegate --target $target

folder=$profile
[ "$profile" != dev ] || folder=debug
binary=${CARGO_TARGET_DIR:-target}/$target/$folder/tidegate
[[ $(file --brief "$binary") == *"ARM aarch64"* ]] || die "$binary is not for arm64"
# The cross compiler's own libraries come first on the path, the sysroot has the others.
emulate=(qemu-aarch64-static -L "/usr/$gnu" -E "LD_LIBRARY_PATH=$libraries:$sysroot/lib/$gnu:/usr/$gnu/lib")
"${emulate[@]}" "$binary" consume --help | grep -q -- --database || die "consume --help does not run under emulation"
"${emulate[@]}" "$binary" simulate --scenario config/scenarios/spike.toml --json | head -c 1 | grep -q . || die "simulate does not run under emulation"
say "$binary: $(stat -c %s "$binary") bytes, runs under emulation"
