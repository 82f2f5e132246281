#!/usr/bin/env python3
"""What the binary is made of, as CycloneDX JSON: every crate with version, licence, checksum.

Usage: scripts/sbom.py [--target TRIPLE] [--output FILE]     default target/sbom/tidegate.cdx.json
Reads `cargo metadata` and Cargo.lock, and needs nothing else: the same commit gives the
same bytes. What only tests need is left out; what only build scripts and procedural macros
need is in, marked as not part of the binary ("excluded").
"""
import argparse
import json
import os
import re
import subprocess
import sys
import uuid

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PROGRAM = "tidegate"


def metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"sbom: cargo metadata: {run.stderr.strip()}")
    return json.loads(run.stdout)


def checksums():
    """(name, version) -> SHA-256 of the crate as it was downloaded."""
    with open(os.path.join(ROOT, "Cargo.lock"), encoding="utf-8") as file:
        text = file.read()
    pattern = r'\[\[package\]\]\nname = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]{64})"'
    return {(name, version): checksum for name, version, checksum in re.findall(pattern, text)}


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def reached(graph, packages, start):
    """Package ids reached from the program: linked into it, and needed to build it only."""
    linked, building = set(), set()
    open_ = [(start, True)]
    while open_:
        package, is_linked = open_.pop()
        is_linked = is_linked and not is_macro(packages[package])
        seen = linked if is_linked else building
        if package in seen:
            continue
        seen.add(package)
        for edge in graph[package]["deps"]:
            kinds = {kind["kind"] for kind in edge["dep_kinds"]}
            if None in kinds:
                open_.append((edge["pkg"], is_linked))
            if "build" in kinds:
                open_.append((edge["pkg"], False))
    return linked, building - linked


def licence(package):
    expression = package.get("license")
    if expression:
        return [{"expression": expression.replace("/", " OR ")}]
    return [{"license": {"name": "see the file " + package["license_file"]}}] if package.get("license_file") else []


def component(package, is_linked, sums):
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    answer = {
        "type": "library", "bom-ref": purl, "name": package["name"], "version": package["version"], "purl": purl,
        "scope": "required" if is_linked else "excluded", "licenses": licence(package),
    }
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        answer["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package.get("repository"):
        answer["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return answer


def bill(target):
    data = metadata(target)
    packages = {package["id"]: package for package in data["packages"]}
    graph = {node["id"]: node for node in data["resolve"]["nodes"]}
    start = next(id_ for id_, package in packages.items() if package["name"] == PROGRAM and package["source"] is None)
    linked, building = reached(graph, packages, start)
    sums = checksums()
    refs = {id_: f"pkg:cargo/{packages[id_]['name']}@{packages[id_]['version']}" for id_ in linked | building}
    parts = [component(packages[id_], id_ in linked, sums) for id_ in refs if id_ != start]
    depends = [
        {"ref": refs[id_], "dependsOn": sorted({refs[edge["pkg"]] for edge in graph[id_]["deps"] if edge["pkg"] in refs})}
        for id_ in refs
    ]
    body = {
        "metadata": {
            "component": {
                "type": "application", "bom-ref": refs[start], "name": PROGRAM, "version": packages[start]["version"],
                "purl": refs[start], "licenses": licence(packages[start]),
            },
            "properties": [{"name": "tidegate:target", "value": target}],
        },
        "components": sorted(parts, key=lambda part: part["bom-ref"]),
        "dependencies": sorted(depends, key=lambda entry: entry["ref"]),
    }
    # Of the content, so that the same content has the same number.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{serial}", "version": 1, **body}


def faults_of(document):
    """What a reader of the bill would miss."""
    parts = document["components"]
    foreign = [part for part in parts if not part["name"].startswith(PROGRAM)]
    faults = [f"{part['name']} has no licence" for part in parts if not part["licenses"]]
    faults += [f"{part['name']} has no checksum" for part in foreign if "hashes" not in part]
    names = {part["name"] for part in parts if part["scope"] == "required"}
    faults += [f"{name} is missing" for name in ("rdkafka-sys", "tokio", "libsqlite3-sys", "rustls") if name not in names]
    known = {part["bom-ref"] for part in parts} | {document["metadata"]["component"]["bom-ref"]}
    faults += [f"{entry['ref']} names what is not there" for entry in document["dependencies"] if not set(entry["dependsOn"]) <= known]
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="x86_64-unknown-linux-gnu")
    parser.add_argument("--output", default=os.path.join(ROOT, "target", "sbom", "tidegate.cdx.json"))
    arguments = parser.parse_args()
    document = bill(arguments.target)
    faults = faults_of(document)
    if faults:
        sys.exit("sbom: " + "; ".join(faults))
    os.makedirs(os.path.dirname(os.path.abspath(arguments.output)), exist_ok=True)
    with open(arguments.output, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    linked = sum(part["scope"] == "required" for part in document["components"])
    total = len(document["components"])
    print(f"sbom: {total} components, {linked} of them in the binary, all with a licence: {os.path.relpath(arguments.output)}", file=sys.stderr)


if __name__ == "__main__":
    main()
