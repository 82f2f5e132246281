"""The end-to-end cases: what happens to the load and the scaler, and what must come of it."""

import json
import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from .comparison import compare
from .load import Load
from .processes import Failed
from .recorder import Recorder, Second
from .run import say
from .world import SCALER, VALUES, World

# Of the load's clock; the start before it takes at most as long as its own bounds say.
BOUND_SECONDS = 360
# Fewer pods cannot do it: 1,500 a second, 200 a pod.
LEAST_PEAK = 8
# A count is steady when it was the same for this long, more than a sync of the HPA, and no
# more records waited: one pod too few leaves twice as many. Without the scalers it is watched
# for three of the HPA's syncs and a rest, with one of two for two.
STEADY_SECONDS, STEADY_LAG = 20, 1000
HOLD_SECONDS = 50
ONE_OF_TWO_SECONDS = 32
# A scaler with this speaks TLS to a listener without it.
BLIND = "KAFKA_SECURITY_PROTOCOL=SSL"
# The scaler holds the last count for this long (staleAfterSeconds, its default). Then KEDA counts
# a failure each sync of the HPA, and falls back with the fourth: values/common.yaml.
STALE_SECONDS = 60
FALLBACK_REPLICAS, FAILURE_THRESHOLD = 14, 3
FALLBACK_SECONDS = 150
# A pod's start, KEDA's next poll or push, the scaler's next look at the HPAs.
METRIC, MEND_SECONDS = "s0-tidegate-pods", 60


def law_case(world: World, results: Path) -> None:
    profile = VALUES / "load.toml"
    load, recorder = start(world, profile)
    load_s = profile_seconds(profile)
    until_zero(world, load, recorder, load_s)
    finish(world, load, recorder, results)
    expect_whole_way(recorder.series, load_s)
    compare(world, load, recorder, profile, load_s, results)


def scaler_gone_case(world: World, results: Path) -> None:
    """One of two scalers dies, both are gone, they are back and cannot read Kafka, they can again."""
    profile = VALUES / "scaler-gone.toml"
    load, recorder = start(world, profile)
    steady = until_steady(world, recorder)
    marks = {"steady_pods": steady}
    # With one of two gone nothing happens: the other one is asked.
    marks["one_killed_s"] = recorder.series[-1].t_s
    say(f"t={marks['one_killed_s']} s: steady at {steady} pods; the scaler that KEDA asks is killed")
    world.kubelet.kill(world.services.last_pod)
    hold(world, recorder, steady, ONE_OF_TWO_SECONDS)
    # With both gone KEDA learns no metric to count failures of.
    world.scale(SCALER, 0)
    world.wait_until("no scaler", 30, lambda: not world.deployment(SCALER)["status"].get("replicas"))
    marks["both_gone_s"] = recorder.series[-1].t_s
    hold(world, recorder, steady, HOLD_SECONDS)
    gone = world.fallback()
    if any(gone["failures"].values()) or gone["is_active"]:
        raise Failed(f"KEDA counts failures of a scaler that is gone, unlike before: {gone}; docs/scaler.md")
    say(f"both gone: {steady} pods held for {HOLD_SECONDS} s; KEDA counts no failure: {gone}")
    # Scalers that cannot read Kafka say so, and that KEDA counts.
    world.set_environment(SCALER, BLIND)
    world.scale(SCALER, 2)
    marks["blind_s"] = recorder.series[-1].t_s
    fallback = until(world, recorder, FALLBACK_SECONDS, "KEDA's fallback", lambda s: s.wanted != steady)
    expect_fallback(world, steady, fallback)
    marks["fallback_s"], marks["fallback_pods"] = fallback.t_s, fallback.wanted
    say(f"held {steady} pods for {fallback.t_s - marks['blind_s']} s, then the fallback: {fallback.wanted}")
    world.set_environment(SCALER, BLIND.split("=", maxsplit=1)[0] + "-")
    marks["healed_s"] = fallback.t_s
    until_zero(world, load, recorder, profile_seconds(profile))
    finish(world, load, recorder, results)
    keep(results, **marks, fallback_while_gone=gone, zero_s=recorder.series[-1].t_s)


def hold(world: World, recorder: Recorder, steady: int, seconds: int) -> None:
    """Records for a while in which the count must not move."""
    since = recorder.series[-1].t_s
    until(world, recorder, seconds + 1, "the hold", lambda second: second.t_s >= since + seconds)
    held = [second.wanted for second in recorder.series if second.t_s > since]
    if any(wanted != steady for wanted in held):
        raise Failed(f"the pods do not hold at {steady}: {held}")


def expect_fallback(world: World, steady: int, second: Second) -> None:
    # The condition `Fallback` is a sync behind: the count of failures says it first.
    seen = world.fallback()
    if second.wanted != FALLBACK_REPLICAS or max(seen["failures"].values(), default=0) <= FAILURE_THRESHOLD:
        raise Failed(f"{steady} pods became {second.wanted}, not the {FALLBACK_REPLICAS} of the fallback: {seen}")


def kafka_gone_case(world: World, results: Path) -> None:
    """Nobody can say how many records wait: hold, then the fallback of the ScaledObject."""
    profile = VALUES / "kafka-gone.toml"
    load, recorder = start(world, profile)
    steady = until_steady(world, recorder)
    say(f"t={recorder.series[-1].t_s} s: steady at {steady} pods; Kafka stops answering")
    gone = recorder.series[-1].t_s
    with world.servers.kafka_paused():
        fallback = until(world, recorder, FALLBACK_SECONDS, "KEDA's fallback", lambda s: s.wanted != steady)
        expect_fallback(world, steady, fallback)
    if fallback.t_s < gone + STALE_SECONDS:
        raise Failed(f"the fallback came after {fallback.t_s - gone} s: the scaler holds for {STALE_SECONDS}")
    say(f"held {steady} pods for {fallback.t_s - gone} s, then the fallback: {fallback.wanted}; Kafka answers again")
    until_zero(world, load, recorder, profile_seconds(profile))
    finish(world, load, recorder, results)
    keep(results, steady_pods=steady, kafka_gone_s=gone, fallback_s=fallback.t_s, fallback_pods=fallback.wanted,
         zero_s=recorder.series[-1].t_s)


def scaler_late_case(world: World, results: Path) -> None:
    """KEDA makes the HPA while no scaler answers; then scalers come, and a load."""
    world.scale(SCALER, 0)
    world.wait_until("no scaler", 30, lambda: not world.deployment(SCALER)["status"].get("replicas"))
    world.delete_hpa()
    world.wait_until("an HPA for cpu", 60, lambda: world.hpa_metrics() == ["cpu"])
    say("no scaler answers: KEDA made the HPA for cpu")
    world.scale(SCALER, 2)
    began = time.monotonic()
    world.wait_until("the scaler's metric", MEND_SECONDS, lambda: world.hpa_metrics() == [METRIC])
    mended = round(time.monotonic() - began, 1)
    say(f"scalers come: the HPA asks for {METRIC} after {mended} s")
    load, recorder = start(world, VALUES / "scaler-late.toml")
    steady = until_steady(world, recorder)
    until_zero(world, load, recorder, profile_seconds(VALUES / "scaler-late.toml"))
    finish(world, load, recorder, results)
    keep(results, mended_s=mended, steady_pods=steady, zero_s=recorder.series[-1].t_s)


def keep(results: Path, **figures: object) -> None:
    (results / "summary.json").write_text(json.dumps(figures, indent=2) + "\n")


def until(
    world: World, recorder: Recorder, seconds: int, what: str, reached: Callable[[Second], bool]
) -> Second:
    """Records until a second that fits."""
    began = recorder.series[-1].t_s
    while True:
        second = tick(world, recorder)
        if reached(second):
            return second
        if second.t_s > began + seconds:
            raise Failed(f"{what}: not within {seconds} s: {second}")


def until_steady(world: World, recorder: Recorder) -> int:
    """Records until the count has not moved for a while and keeps up with the load."""
    while True:
        second = tick(world, recorder)
        last = recorder.series[-STEADY_SECONDS:]
        same = all(entry.wanted == second.wanted == entry.ready for entry in last)
        keeps_up = all(entry.lag < STEADY_LAG for entry in last)
        if same and keeps_up and second.wanted > 0 and len(recorder.series) > STEADY_SECONDS:
            return second.wanted


def start(world: World, profile: Path) -> tuple[Load, Recorder]:
    load = world.start_load(profile)
    say(f"load: {profile.name}, {profile_seconds(profile)} s")
    return load, world.recorder(load)


def tick(world: World, recorder: Recorder) -> Second:
    """One second, with a line for each change of the wanted pods."""
    world.check()
    before = recorder.series[-1].wanted if recorder.series else 0
    second = recorder.tick()
    if second.t_s > BOUND_SECONDS:
        raise Failed(f"not over after {BOUND_SECONDS} s: {second}")
    if second.wanted != before:
        say(f"t={second.t_s} s: {before} -> {second.wanted} pods, {second.ready} ready, lag {second.lag}")
    return second


def until_zero(world: World, load: Load, recorder: Recorder, load_s: int) -> None:
    while True:
        second = tick(world, recorder)
        if second.t_s > load_s and load.is_over and second.lag == 0 and second.pods == 0:
            return


def finish(world: World, load: Load, recorder: Recorder, results: Path) -> None:
    """Audits, keeps what was recorded, and looks at how each pod ended."""
    load.stop()
    recorder.write(results / "series.csv")
    shutil.copy(world.kubelet.directory / "events.jsonl", results / "pods.jsonl")
    audit = world.audit()
    (results / "audit.json").write_text(json.dumps(audit, indent=2) + "\n")
    sent = recorder.series[-1].sent
    say(f"audit: nothing lost, nothing twice, nothing out of order of {sent} records")
    ends = [event for event in world.kubelet.events() if event["event"] in ("stopped", "ended by itself", "failed")]
    killed = {event["pod"] for event in world.kubelet.events() if event["event"] == "killed by the suite"}
    bad = [event for event in ends if (event["event"] != "stopped" or event["code"] != 0) and event["pod"] not in killed]
    if bad:
        raise Failed(f"a pod did not end as it should: {bad[0]}")
    slowest = max((event["seconds"] for event in ends if event["event"] == "stopped"), default=0.0)
    say(f"{len(ends)} pods drained and ended with 0, the slowest in {slowest:.1f} s")


def expect_whole_way(series: list[Second], load_s: int) -> None:
    peak = max(second.ready for second in series)
    if series[0].wanted != 0 or peak < LEAST_PEAK or series[-1].pods != 0:
        raise Failed(f"0 -> n -> peak -> 0 was {series[0].wanted} -> {peak} -> {series[-1].pods}, {load_s} s of load")


def profile_seconds(profile: Path) -> int:
    """Length of a profile of steps."""
    return int(sum(phase["duration_s"] for phase in tomllib.loads(profile.read_text())["phases"]))
