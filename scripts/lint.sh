#!/usr/bin/env bash
# Formatting, clippy, licences and sources of dependencies, documentation.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*" >&2; }

step "cargo fmt"
cargo fmt --all --check

step "cargo clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

step "cargo deny"
DENY_VERSION=0.20.2
tools=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools/cargo-deny-$DENY_VERSION
if [ ! -x "$tools/bin/cargo-deny" ]; then
  printf 'building cargo-deny %s once, into %s\n' "$DENY_VERSION" "$tools" >&2
  CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_TARGET_DIR=target/cargo-deny \
    cargo install cargo-deny --version "$DENY_VERSION" --locked --no-default-features --quiet --root "$tools"
fi
"$tools/bin/cargo-deny" check bans licenses sources
if "$tools/bin/cargo-deny" fetch db >/dev/null 2>&1; then
  "$tools/bin/cargo-deny" check advisories
else
  printf 'cargo deny: advisories not checked, the advisory database cannot be reached\n' >&2
fi
