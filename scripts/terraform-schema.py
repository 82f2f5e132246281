#!/usr/bin/env python3
"""Writes deploy/terraform/schema.json: attributes and blocks of the AWS types that are used.

Usage: scripts/terraform-schema.py
Reads the schema from the type declarations of the npm package @cdktn/provider-aws, which
are generated from the provider itself. Needs npm. Run it again when a type is added.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "@cdktn/provider-aws@24.1.0"
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "deploy", "terraform")

FIELD = re.compile(r"\{@link \S+?#(\w+) \S+?\}(.*?)readonly (\w+)(\??): ([^;{]+|\{)", re.S)
INTERFACE = re.compile(r"export interface (\w+)[^{]*\{(.*?)\n\}", re.S)
GETTER = re.compile(r"^\s+get (\w+)\(\): ", re.M)


def used_types():
    found = set()
    for path in glob.glob(os.path.join(ROOT, "**", "*.tf"), recursive=True):
        for kind, name in re.findall(r'^(resource|data) "aws_(\w+)"', open(path).read(), re.M):
            found.add((kind, name))
    return sorted(found)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match.group(1).lower(), name)


def fields(interfaces, name):
    answer = {}
    for attribute, _, _, optional, kind in FIELD.findall(interfaces.get(name, "")):
        kind = kind.replace("[] | cdktn.IResolvable", "").replace("[]", "").replace("| cdktn.IResolvable", "").strip()
        entry = {"required": not optional}
        if kind in interfaces:
            entry["fields"] = fields(interfaces, kind)
        answer[attribute] = entry
    return answer


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        archive = tarfile.open(glob.glob(os.path.join(folder, "*.tgz"))[0])
        wanted = {}
        for kind, name in used_types():
            prefix = "data-aws-" if kind == "data" else ""
            wanted[f"package/lib/{prefix}{name.replace('_', '-')}/index.d.ts"] = (kind, name)
        schema = {}
        for member in archive:
            if member.name not in wanted:
                continue
            kind, name = wanted.pop(member.name)
            text = archive.extractfile(member).read().decode()
            interfaces = dict(INTERFACE.findall(text))
            config = next(key for key in interfaces if re.search(rf"interface {key} extends", text))
            main_class = text[text.index(f"export declare class {config.removesuffix('Config')} extends") :]
            schema[f"{kind}.aws_{name}"] = {
                "fields": fields(interfaces, config),
                "outputs": sorted({snake(getter) for getter in GETTER.findall(main_class)}),
            }
        if wanted:
            sys.exit(f"not in {PACKAGE}: {sorted(wanted)}")
    with open(os.path.join(ROOT, "schema.json"), "w") as file:
        json.dump({"package": PACKAGE, "types": dict(sorted(schema.items()))}, file, indent=1)
        file.write("\n")
    print(f"{len(schema)} types", file=sys.stderr)


if __name__ == "__main__":
    main()
