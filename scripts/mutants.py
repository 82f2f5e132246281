#!/usr/bin/env python3
"""Mutation check of the decision code: changes one operator or constant of crates/autoscale at a
time, in a copy, and runs that crate's own tests. What no test notices is printed as SURVIVED.

Usage: scripts/mutants.py COPY [--first N] [--seconds N] [--only FILE]...
COPY: a folder to work in, kept for its target/. FILE: as in the list below, for example law/joins.rs
The mutants are in a fixed random order; one a line on stdout, with its number.
"""

import argparse
import pathlib
import random
import re
import shutil
import subprocess
import time

SOURCE = "crates/autoscale/src"
FILES = """law/slo/plan.rs law/slo/load.rs law/slo/verdict.rs law/slo/words.rs law/slo/capacity.rs
law/slo/arrival.rs law/slo/regret.rs law/slo/rebalance.rs law/slo/wait.rs law/slo/behind.rs
law/slo/estimate.rs law/slo/mod.rs law/slo/partition.rs law/slo/standstill.rs law/joins.rs
hpa/limits.rs hpa/stabilize.rs hpa/proposal.rs hpa/step.rs keda/executor.rs
keda/fallback.rs lag.rs law/stock.rs law/stock/trigger.rs""".split()
SWAPS = [
    (" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" > ", " < "), (" < ", " > "),
    (" && ", " || "), (" || ", " && "), (" + ", " - "), (" - ", " + "), (" * ", " / "), (" / ", " * "),
    (".max(", ".min("), (".min(", ".max("), (" == ", " != "), (" != ", " == "),
]
CONSTANT = re.compile(r"(\s*const \w+: f64 = )([\d.]+);")
NO_EXPRESSION = re.compile(r"fn |impl|->|=>.*<|Vec<|Option<|dyn |\bwhere\b|: &")
TESTS = ["--lib", "--test", "properties", "--test", "vectors", "--test", "recorded_runs", "--test", "slo_world"]


def mutants(root):
    """File, line number and text of every mutant."""
    for name in FILES:
        for index, line in enumerate((root / SOURCE / name).read_text().split("\n")):
            if "#[cfg(test)]" in line:
                break
            if line.strip().startswith("//"):
                continue
            if found := CONSTANT.match(line):
                value = float(found.group(2))
                yield name, index, f"{found.group(1)}{1.5 * value or 1.0:.6f};"
            if NO_EXPRESSION.search(line):
                continue
            for old, new in SWAPS:
                for found in re.finditer(re.escape(old), line):
                    yield name, index, line[: found.start()] + new + line[found.end() :]


def verdict(root):
    command = ["cargo", "test", "-q", "--locked", "--offline", "-p", "tidegate-autoscale", *TESTS]
    if subprocess.run([*command, "--no-run"], cwd=root, capture_output=True).returncode != 0:
        return "does not compile"
    try:
        run = subprocess.run(command, cwd=root, capture_output=True, timeout=600)
    except subprocess.TimeoutExpired:
        return "killed (never ends)"
    return "SURVIVED" if run.returncode == 0 else "killed"


def forget_cases(here, copy):
    """A case that one mutant failed is tried first from then on: it would judge the next ones."""
    tests = "crates/autoscale/tests"
    for kept in (copy / tests).glob("*.proptest-regressions"):
        known = here / tests / kept.name
        if known.exists():
            shutil.copy2(known, kept)
        else:
            kept.unlink()
    shutil.rmtree(copy / "crates/autoscale/proptest-regressions", ignore_errors=True)
    if (known := here / "crates/autoscale/proptest-regressions").exists():
        shutil.copytree(known, copy / "crates/autoscale/proptest-regressions")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("copy", type=pathlib.Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--only", action="append", choices=FILES, metavar="FILE")
    options = parser.parse_args()
    here = pathlib.Path(__file__).resolve().parent.parent
    skip = shutil.ignore_patterns("target", ".git", "runs")
    options.copy.mkdir(parents=True, exist_ok=True)
    for old in options.copy.iterdir():
        if old.is_dir() and not old.is_symlink() and old.name != "target":
            shutil.rmtree(old)
        elif old.name != "target":
            old.unlink()
    shutil.copytree(here, options.copy, dirs_exist_ok=True, ignore=skip, symlinks=True)
    if (first := verdict(options.copy)) != "SURVIVED":
        raise SystemExit(f"the tests do not pass unchanged: {first}")
    found = list(mutants(options.copy))
    random.Random(7).shuffle(found)
    began = time.time()
    print(f"{len(found)} mutants", flush=True)
    for number, (name, index, new) in enumerate(found):
        if number < options.first or (options.only and name not in options.only):
            continue
        if time.time() - began > options.seconds:
            break
        path = options.copy / SOURCE / name
        text = path.read_text()
        lines = text.split("\n")
        old, lines[index] = lines[index], new
        path.write_text("\n".join(lines))
        try:
            print(number, verdict(options.copy), f"{name}:{index + 1}", f"{old.strip()}  →  {new.strip()}", sep=" | ", flush=True)
        finally:
            path.write_text(text)
            forget_cases(here, options.copy)


if __name__ == "__main__":
    main()
