#!/usr/bin/env bash
# A Python environment of its own for one tool of the Terraform checks, pinned, in the
# user's cache. Prints its folder of programs.
# Usage: scripts/terraform/python.sh checkov|policy
# Two, not one: checkov owns a package that others also call hcl2.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
requirements=$here/requirements-${1:?checkov or policy}.txt
[ -f "$requirements" ] || { echo "no such environment: $1" >&2; exit 2; }
command -v python3 >/dev/null || { echo "python3 is missing (3.9 or newer, with venv)" >&2; exit 1; }

# Another Python or other pins are another environment.
key=$({ python3 --version; cat "$requirements"; } | sha256sum | cut -c1-12)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/terraform/python-$1-$key
if [ ! -e "$folder/complete" ]; then
  echo "installing $1 once, into $folder" >&2
  rm -rf "$folder"
  python3 -m venv "$folder" >&2
  "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements" >&2
  touch "$folder/complete"
fi
printf '%s/bin\n' "$folder"
