#!/usr/bin/env bash
# Installs what is missing, through the system's package manager, and says so.
# Usage: ensure-tools.sh demo|test. Installs nothing where all is there.
set -euo pipefail

purpose=${1:-demo}
packages=()

say() { printf 'tools: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

java_major() { java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1; }

have cc && have c++ && have make || packages+=(build-essential)
have cmake || packages+=(cmake)
have git || packages+=(git)
# The Kafka client's TLS is the system's OpenSSL.
have pkg-config || packages+=(pkg-config)
[ -e /usr/include/openssl/ssl.h ] || pkg-config --exists openssl 2>/dev/null || packages+=(libssl-dev)
have mvn || packages+=(maven)
if ! have java; then
  packages+=(openjdk-17-jre-headless)
elif [ "$(java_major)" -lt 17 ] 2>/dev/null; then
  die "java $(java_major) is too old: install Java 17 or newer, or put it first on PATH"
fi
have cargo || packages+=(rustup)
# The server's own binaries are not on PATH on Debian.
have_postgres() {
  local bindir
  for bindir in "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
    [ -x "$bindir/initdb" ] && [ -x "$bindir/postgres" ] && return 0
  done
  have initdb && have postgres
}
[ "$purpose" != test ] || have_postgres || packages+=(postgresql)
# The tests compile the broker's side of a token check, and make certificates.
if [ "$purpose" = test ]; then
  have javac || packages+=(openjdk-17-jdk-headless)
  have openssl || packages+=(openssl)
fi
[ "$purpose" != test ] || have pgbouncer || [ -x /usr/sbin/pgbouncer ] || packages+=(pgbouncer)

if [ ${#packages[@]} -gt 0 ]; then
  have apt-get || die "missing: ${packages[*]} (Debian's names); install them with your package manager and run this again"
  sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    have sudo || die "missing: ${packages[*]}; run as root: apt-get install ${packages[*]}"
    sudo=(sudo)
  fi
  say "installing ${packages[*]}"
  "${sudo[@]}" apt-get update -qq || die "apt-get update failed; install by hand: ${packages[*]}"
  for package in "${packages[@]}"; do
    # Newer releases carry a newer Java than 17; default-jre-headless is theirs.
    alternatives=("$package")
    [ "$package" = openjdk-17-jre-headless ] && alternatives+=(default-jre-headless)
    [ "$package" = openjdk-17-jdk-headless ] && alternatives+=(default-jdk-headless)
    installed=false
    for name in "${alternatives[@]}"; do
      if "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$name" >/dev/null; then
        installed=true
        break
      fi
    done
    $installed || case $package in
      rustup) die "no Rust toolchain in this system's packages: install Rust 1.89 or newer from https://rustup.rs and run this again" ;;
      *) die "apt-get cannot install $package; install it by hand and run this again" ;;
    esac
  done
  if have rustup && ! cargo --version >/dev/null 2>&1; then
    say "installing the stable Rust toolchain"
    rustup toolchain install stable --profile minimal --component clippy --component rustfmt \
      || die "rustup cannot fetch a toolchain; install Rust 1.89 or newer and run this again"
  fi
fi

[ "$(java_major)" -ge 17 ] || die "java $(java_major) is too old: install Java 17 or newer"
version=$(cargo --version | sed 's/cargo \([0-9]*\.[0-9]*\).*/\1/')
if [ "$(printf '1.89\n%s\n' "$version" | sort -V | head -n 1)" != 1.89 ]; then
  die "Rust $version is too old: install 1.89 or newer (rustup update stable)"
fi
if [ "$purpose" = test ]; then
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 \
    || die "rustfmt or clippy is missing: rustup component add rustfmt clippy"
fi
say "all there"
