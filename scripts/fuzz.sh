#!/usr/bin/env bash
# Fuzzes one target, or each for a while. The layout is cargo-fuzz's, which does the
# same; this needs a nightly compiler and nothing else.
# Usage: [FUZZ_SECONDS=60] scripts/fuzz.sh [TARGET]...
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

targets=("$@")
[ ${#targets[@]} -gt 0 ] || for file in fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done

triple=$(rustc -vV | sed -n 's/^host: //p')
flags=(--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares)
RUSTFLAGS="${flags[*]}" cargo +nightly build --release --target "$triple"

for target in "${targets[@]}"; do
  printf '\n== %s\n' "$target" >&2
  mkdir -p "corpus/$target" "found/$target" artifacts
  # New inputs go to found/; corpus/ is committed and only read.
  "target/$triple/release/$target" -max_total_time="${FUZZ_SECONDS:-60}" -max_len=4096 -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="artifacts/$target-" \
    "found/$target" "corpus/$target"
done
