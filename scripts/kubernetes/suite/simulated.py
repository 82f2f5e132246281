"""The same load, ScaledObject and pods in the simulator, and how near it comes."""

import csv
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .objects import Json
from .processes import Failed
from .recorder import Second


@dataclass(frozen=True)
class Figures:
    """What a run comes to. Times in seconds since the load began; -1: never."""

    peak_pods: int
    first_pod_s: int
    peak_s: int
    zero_s: int
    pod_seconds: int
    peak_lag: int

    @staticmethod
    def of(ready: Sequence[int], lag: Sequence[int], load_s: int) -> "Figures":
        """From series of one value a second."""
        peak = max(ready)
        first = next((t for t, pods in enumerate(ready) if pods > 0), -1)
        zero = next((t for t, pods in enumerate(ready) if t > load_s and pods == 0), -1)
        return Figures(peak, first, ready.index(peak), zero, sum(ready), max(lag))


def figures_of(series: Sequence[Second], load_s: int) -> Figures:
    """Of a recorded run. Seconds that the recorder missed have the value before them."""
    ready: list[int] = []
    lag: list[int] = []
    for second in series:
        while len(ready) < second.t_s:
            ready.append(ready[-1] if ready else 0)
            lag.append(lag[-1] if lag else 0)
        ready.append(second.ready)
        lag.append(second.lag)
    return Figures.of(ready, lag, load_s)


def simulate(program: Path, directory: Path, scenario: str, scaled_object: Json, law: str, target_age_s: float) -> Path:
    """Runs `tidegate simulate`; its series as CSV."""
    (directory / "scenario.toml").write_text(scenario)
    (directory / "scaled-object.json").write_text(json.dumps(scaled_object, indent=2) + "\n")
    series = directory / "simulated.csv"
    # tidegate's own number goes through KEDA and the HPA too.
    through = ["--target-age", str(target_age_s), "--through-keda"] if law == "slo" else []
    done = subprocess.run([
        program, "simulate", "--scenario", directory / "scenario.toml",
        "--scaled-object", directory / "scaled-object.json", "--law", law, *through, "--csv", series, "--json",
    ], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"tidegate simulate: {done.stderr.strip()}")
    return series


def read(series: Path) -> list[dict[str, str]]:
    """The simulator's rows. It counts from second 1; a zeroth is put before."""
    with series.open() as file:
        rows = list(csv.DictReader(file))
    return [{**rows[0], "t_s": "0", "pods_ready": "0", "replicas_desired": "0", "backlog": "0"}, *rows]


def simulated_figures(rows: Sequence[dict[str, str]], load_s: int) -> Figures:
    return Figures.of([int(row["pods_ready"]) for row in rows], [int(row["backlog"]) for row in rows], load_s)


def near_share(series: Sequence[Second], rows: Sequence[dict[str, str]], pods: int) -> float:
    """Share of the seconds in which the wanted pods differ by `pods` at most."""
    pairs = [(second.wanted, int(rows[second.t_s]["replicas_desired"])) for second in series if second.t_s < len(rows)]
    return sum(abs(a - b) <= pods for a, b in pairs) / len(pairs)
