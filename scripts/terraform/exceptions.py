#!/usr/bin/env python3
"""Runs checkov on a folder of Terraform and holds what it finds against the exceptions.

Usage: scripts/terraform/exceptions.py FOLDER EXCEPTIONS.tsv
Each line of the exceptions names a check, a resource and why it does not hold there. A
finding without an exception is a fault, and so is an exception without a finding. Each
example is looked at by itself: together, their calls of the same modules mix.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile


def report_of(folder):
    command = [
        os.path.join(os.path.dirname(sys.executable), "checkov"),
        "--directory", folder, "--framework", "terraform", "--output", "json", "--quiet", "--compact",
        "--skip-download", "--skip-path", "tests/",
    ]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LOG_LEVEL": "ERROR"})
    try:
        report = json.loads(run.stdout)
    except json.JSONDecodeError:
        sys.exit(f"checkov gave no report: {run.stderr[-2000:]}")
    if not isinstance(report, dict) or report["summary"]["parsing_errors"] or report["summary"]["passed"] < 80:
        sys.exit(f"checkov read too little: {run.stdout[:2000]}")
    return report


def findings(folder):
    found, passed = {}, 0
    examples = sorted(os.listdir(os.path.join(folder, "examples")))
    for example in examples:
        with tempfile.TemporaryDirectory() as alone:
            others = [name for name in examples if name != example]
            ignore = shutil.ignore_patterns(".terraform*", *others)
            shutil.copytree(folder, os.path.join(alone, "terraform"), ignore=ignore)
            report = report_of(os.path.join(alone, "terraform"))
        passed += report["summary"]["passed"]
        for check in report["results"]["failed_checks"]:
            found[check["check_id"], plain(check["resource"])] = check["check_name"]
    return found, passed


def plain(address):
    """module.tidegate.module.database[0].aws_x.this[1] -> database.aws_x.this"""
    address = re.sub(r"\[[^\]]*\]", "", address)
    return re.sub(r"(^|\.)module\.", r"\1", address).removeprefix("tidegate.")


def exceptions(path):
    known = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.rstrip("\n").split("\t")
            if len(parts) != 3 or len(parts[2]) < 20:
                sys.exit(f"{path} line {number}: expected CHECK<tab>RESOURCE<tab>REASON, and a reason that is a sentence")
            known[parts[0], parts[1]] = parts[2]
    return known


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[2])
    found, passed = findings(sys.argv[1])
    known = exceptions(sys.argv[2])
    faults = [f"{check} {resource}: {name}" for (check, resource), name in sorted(found.items()) if (check, resource) not in known]
    faults += [f"{check} {resource}: excepted, and not found any more" for check, resource in sorted(known) if (check, resource) not in found]
    for fault in faults:
        print(fault)
    print(f"checkov: {passed} passed, {len(found)} findings, {len(known)} exceptions, {len(faults)} faults", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
