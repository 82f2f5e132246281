#!/usr/bin/env python3
"""Drops services from a writable copy of the AWS provider's source, so that it builds in minutes.

Usage: scripts/terraform/cut-provider.py SOURCE SERVICE...

Two generated registries name every service: the list of service packages, and one method
a client. What is not wanted leaves both; the packages that stay, and so the schemas of
their types, are untouched. Whole, the provider needs more than half an hour and 6 GB.
"""
import os
import re
import sys

MODULE = "github.com/hashicorp/terraform-provider-aws/internal/service/"
PACKAGES = "internal/provider/sdkv2/service_packages_gen.go"
CLIENTS = "internal/conns/awsclient_gen.go"


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def sources(folder):
    """The text of each Go file below a folder that is neither a test nor a helper of tests."""
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("testdata", "acctest", "generate")]
        for name in files:
            if name.endswith(".go") and not name.endswith("_test.go"):
                yield read(path, name)


def packages_with_imports(source, wanted):
    """The wanted service packages and those that they import, however far."""
    found, open_ = set(), list(wanted)
    while open_:
        package = open_.pop()
        if package in found:
            continue
        found.add(package)
        folder = os.path.join(source, "internal", "service", package)
        if not os.path.isdir(folder):
            sys.exit(f"the provider has no service {package}")
        for text in sources(folder):
            open_ += re.findall(re.escape(MODULE) + r"(\w+)", text)
    return found


def cut_packages(source, wanted):
    path = os.path.join(source, PACKAGES)
    lines = []
    for line in read(path).splitlines(keepends=True):
        listed = re.match(r'\s+"%s(\w+)"' % re.escape(MODULE), line) or re.match(r"\s+(\w+)\.ServicePackage\(ctx\)", line)
        if not listed or listed.group(1) in wanted:
            lines.append(line)
    kept = "".join(lines)
    missing = [package for package in wanted if f"{package}.ServicePackage(ctx)" not in kept]
    if missing:
        sys.exit(f"{PACKAGES} does not list {missing}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(kept)


def cut_clients(source, packages):
    folders = [os.path.join(source, "internal", "service", package) for package in packages]
    folders += [
        os.path.join(source, "internal", name)
        for name in os.listdir(os.path.join(source, "internal"))
        if name not in ("service", "acctest", "generate", "sweep") and os.path.isdir(os.path.join(source, "internal", name))
    ]
    called = {name for folder in folders for text in sources(folder) for name in re.findall(r"\.(\w+Client)\(", text)}
    path = os.path.join(source, CLIENTS)
    text = re.sub(
        r"func \(c \*AWSClient\) (\w+)\(.*?\n}\n\n?",
        lambda method: method.group(0) if method.group(1) in called else "",
        read(path),
        flags=re.S,
    )
    head, body = text.split("\n)\n", 1)
    lines = [
        line
        for line in head.splitlines(keepends=True)
        if not (found := re.match(r'\s+(?:(\w+) )?"github.com/aws/aws-sdk-go-v2/service/(\w+)"', line))
        or f"*{found.group(1) or found.group(2)}.Client" in body
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(lines) + "\n)\n" + body)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.splitlines()[2])
    source, wanted = sys.argv[1], sorted(set(sys.argv[2:]))
    cut_clients(source, packages_with_imports(source, wanted))
    cut_packages(source, wanted)


if __name__ == "__main__":
    main()
