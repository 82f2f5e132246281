//! Processes killed, stopped, drained, added.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::{DRAIN_LIMIT, Outcome, World};
use crate::pods::{Claim, Pod};

/// The kernel's own delays.
const AT_ONCE: Duration = Duration::from_secs(5);
/// A started process says something within this time, also on a busy machine.
const FIRST_WORDS: Duration = Duration::from_secs(20);

pub(super) fn kill(world: &World, index: u32, back_after: Duration) -> anyhow::Result<Outcome> {
    let Some(claim) = world.pods.claim(index) else { return Ok(Outcome::nobody()) };
    let pod = &claim.0;
    pod.signal(Signal::KILL);
    let status = world.stop.wait(AT_ONCE, || pod.ended());
    let signal = status.and_then(|status| status.signal());
    world.pods.forget(pod);
    world.stop.sleep(back_after);
    let next = world.pods.start()?;
    let effect = signal == Some(Signal::KILL.as_raw());
    Ok(Outcome::seen(effect, json!({ "pod": pod.name, "signal": signal, "next": next.name })))
}

pub(super) fn pause(
    world: &World,
    index: u32,
    time: Duration,
    past_session: bool,
) -> anyhow::Result<Outcome> {
    let Some(claim) = world.pods.claim(index) else { return Ok(Outcome::nobody()) };
    let pod = &claim.0;
    let owned: BTreeSet<i32> =
        pod.report().map(|report| report.assigned.into_iter().collect()).unwrap_or_default();
    pod.signal(Signal::STOP);
    let stopped = world.stop.wait(AT_ONCE, || pod.is_stopped().then_some(())).is_some();
    world.stop.sleep(time);
    let still = pod.is_stopped();
    let taken_over = past_session.then(|| others_own(world, pod, &owned));
    pod.signal(Signal::CONT);
    let goes_on = world.stop.wait(AT_ONCE, || (!pod.is_stopped()).then_some(())).is_some();
    let seen = json!({
        "pod": pod.name, "stopped": stopped && still, "continued": goes_on,
        "partitions": owned.len(), "taken_over": taken_over,
    });
    Ok(Outcome::seen(stopped && still && goes_on, seen))
}

/// How many of the partitions others say that they own.
fn others_own(world: &World, pod: &Pod, partitions: &BTreeSet<i32>) -> usize {
    let others = world.pods.all().into_iter().filter(|other| other.pid != pod.pid);
    let owned: BTreeSet<i32> = others
        .filter(|other| !other.is_stopped())
        .filter_map(|other| other.report())
        .flat_map(|report| report.assigned)
        .collect();
    partitions.intersection(&owned).count()
}

pub(super) fn term(world: &World, index: u32, back_after: Duration) -> anyhow::Result<Outcome> {
    let Some(claim) = world.pods.claim(index) else { return Ok(Outcome::nobody()) };
    claim.0.signal(Signal::TERM);
    let drained = drained(world, &claim.0, false);
    let effect = drained.is_some();
    world.stop.sleep(back_after);
    let next = world.pods.start()?;
    let seen = json!({ "pod": claim.0.name, "drained": drained, "next": next.name });
    Ok(Outcome::seen(effect, seen))
}

/// Waits for a pod that has got SIGTERM (a second one would end it at once): it must
/// be gone in time. One whose coordinator is out of reach cannot leave the group, says
/// so and ends with code 1; when the network is `sound`, nothing but 0 will do.
/// Returns how long it took, ms, and the exit code.
pub(crate) fn drained(world: &World, pod: &Pod, sound: bool) -> Option<Drained> {
    let started = std::time::Instant::now();
    let Some(status) = world.stop.wait(DRAIN_LIMIT, || pod.ended()) else {
        if !world.stop.is_set() {
            let (limit_s, words) = (DRAIN_LIMIT.as_secs(), pod.last_words());
            world
                .stop
                .found(format!("{} was not gone {limit_s} s after SIGTERM: {words}", pod.name));
        }
        return None;
    };
    // It had no time yet to ask for the signal, and had done nothing.
    let unborn = status.signal() == Some(Signal::TERM.as_raw()) && pod.report().is_none();
    let impolite = status.code() == Some(1) && !sound;
    if !(status.success() || unborn || impolite) {
        world.stop.found(format!("{} drained with {status}: {}", pod.name, pod.last_words()));
    }
    world.pods.forget(pod);
    let why = impolite.then(|| pod.last_words());
    Some(Drained { ms: started.elapsed().as_millis() as u64, why })
}

/// How a pod ended that was told to.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Drained {
    ms: u64,
    /// Its last words, if they are not of success.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

pub(super) fn scale_up(world: &World, count: u32) -> anyhow::Result<Outcome> {
    let pods: Vec<Arc<Pod>> =
        (0..count).map(|_| world.pods.start()).collect::<anyhow::Result<_>>()?;
    // One that another fault ends before its first words was there, too.
    let is_there = |pod: &Arc<Pod>| pod.report().is_some() || pod.ended().is_some();
    let there = world.stop.wait(FIRST_WORDS, || pods.iter().all(is_there).then_some(())).is_some();
    let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
    Ok(Outcome::seen(there, json!({ "pods": names })))
}

pub(super) fn scale_down(world: &World, count: u32) -> anyhow::Result<Outcome> {
    // From the youngest on, as a controller does.
    let claims: Vec<Claim> = (0..count).filter_map(|_| world.pods.claim_youngest()).collect();
    claims.iter().for_each(|claim| claim.0.signal(Signal::TERM));
    let drained: Vec<_> = claims.iter().map(|claim| drained(world, &claim.0, false)).collect();
    let effect = !claims.is_empty() && drained.iter().all(Option::is_some);
    let names: Vec<&str> = claims.iter().map(|claim| claim.0.name.as_str()).collect();
    Ok(Outcome::seen(effect, json!({ "pods": names, "drained": drained })))
}
