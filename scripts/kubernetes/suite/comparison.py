"""A recorded run against the simulator's of the same configuration, and how near is near."""

import json
from dataclasses import asdict
from pathlib import Path

from . import simulated
from .load import Load
from .processes import Failed
from .recorder import Recorder
from .run import say
from .simulated import Figures
from .world import VALUES, World

HPA_SYNC_S = 15.03              # measured: 15.02 to 15.05 s
POLL_S = 5.0
# How far a figure may be from the simulator's, seconds and pods.
NEAR = {"peak_pods": 2, "first_pod_s": 10, "zero_s": 20}
POD_SECONDS_SHARE = 0.2
# Share of the seconds in which the wanted pods are about as many.
NEAR_PODS, NEAR_SHARE = 2, 0.8


def compare(world: World, load: Load, recorder: Recorder, profile: Path, load_s: int, results: Path) -> None:
    """Against the simulator, told the load, the ScaledObject and when KEDA and the HPA look."""
    poll = world.creation.phase("ScaledObject", POLL_S, load.began)
    # The simulator counts the HPA's first sync one period after its creation.
    sync = world.creation.phase("HorizontalPodAutoscaler", HPA_SYNC_S, load.began)
    scenario = (VALUES / "scenario.toml").read_text() + f"\n[load]\n{profile.read_text()}" + (
        f"\n[control]\npoll_offset_s = {poll:.3f}\nsync_offset_s = {sync:.3f}\nsync_period_s = {HPA_SYNC_S}\n")
    file = simulated.simulate(world.tidegate, results, scenario, world.stock_object(), world.law, world.target_age_s)
    rows = simulated.read(file)
    real = simulated.figures_of(recorder.series, load_s)
    other = simulated.simulated_figures(rows, load_s)
    share = simulated.near_share(recorder.series, rows, NEAR_PODS)
    summary = {"law": world.law, "recorded": asdict(real), "simulated": asdict(other),
               f"seconds_within_{NEAR_PODS}_pods": round(share, 3), "tolerance": {
                   **NEAR, "pod_seconds_share": POD_SECONDS_SHARE, "seconds_share": NEAR_SHARE}}
    (results / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    for name, value in asdict(real).items():
        say(f"{name:12} recorded {value:7}  simulated {asdict(other)[name]:7}")
    say(f"wanted pods within {NEAR_PODS} of the simulator's in {share:.1%} of the seconds")
    judge(real, other, share)


def judge(real: Figures, other: Figures, share: float) -> None:
    for name, bound in NEAR.items():
        if abs(getattr(real, name) - getattr(other, name)) > bound:
            raise Failed(f"{name} is more than {bound} from the simulator's")
    if abs(real.pod_seconds - other.pod_seconds) > POD_SECONDS_SHARE * other.pod_seconds:
        raise Failed(f"pod_seconds is more than {POD_SECONDS_SHARE:.0%} from the simulator's")
    if share < NEAR_SHARE:
        raise Failed(f"wanted pods are near the simulator's in only {share:.1%} of the seconds")
