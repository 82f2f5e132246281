#!/usr/bin/env bash
# Everything `make test` does, in the order that fails fastest.
set -euo pipefail
cd "$(dirname "$0")/.."

started=$SECONDS
step() { printf '\n== %s (%d s)\n' "$*" "$((SECONDS - started))" >&2; }

step "tools"
scripts/ensure-tools.sh test

step "lint"
scripts/lint.sh

# Every step selects the whole workspace: another selection has other features of the
# dependencies, and builds them again. Tests of the crates run side by side; those in
# tests/ have brokers and processes and run one by one; one that fails does not hide the rest.
targets() { local file; for file in "$@"; do printf -- '--test\n%s\n' "$(basename "$file" .rs)"; done; }
mapfile -t crate_tests < <(targets crates/*/tests/*.rs)
mapfile -t end_to_end < <(targets tests/*.rs)

step "programs and examples"
cargo build --workspace --locked --bins --examples

step "unit tests"
cargo test --workspace --locked --lib --bins --examples

step "property, golden and recorded tests"
cargo test --workspace --locked "${crate_tests[@]}"

step "examples in the documentation"
cargo test --workspace --locked --doc

step "autoscaler vectors"
target/debug/examples/vectors crates/autoscale/tests/data/hpa-keda-vectors.json

step "end-to-end tests on real servers"
cargo test --workspace --locked --no-fail-fast "${end_to_end[@]}" -- --test-threads 1

step "60 faults"
CHAOS_FAULTS=60 target/debug/tidegate-chaos --faults-a-round 20 --sqlite-every 3 --seed 4 \
  --results target/chaos

step "done"
