#!/usr/bin/env python3
"""Writes kubeconform's schemas of Kubernetes and of the custom resources, without a cluster.

Usage: scripts/kubernetes/schemas.py HOME OUT      HOME is what documents.sh prints
Needs python3-yaml. Prints the number of kinds.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from suite import schemas
from suite.objects import Json


def documents(home: Path) -> Iterator[Json]:
    for path in sorted((home / "openapi").glob("*.json")):
        yield json.loads(path.read_text()).get("components", {}).get("schemas", {})
    for path in sorted((home / "crds").glob("*.yaml")):
        yield schemas.of_definition(yaml.safe_load(path.read_text()))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(schemas.write(documents(Path(sys.argv[1])), Path(sys.argv[2])))
