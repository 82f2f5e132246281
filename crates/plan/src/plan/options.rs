//! What is tried, how it did, and the plan that follows.

use std::sync::atomic::AtomicBool;

use serde::Serialize;
use tidegate_autoscale::law::SloLaw;
use tidegate_autoscale::series::{Second, perfect_follower_pods};
use tidegate_profile::Phase;
use tidegate_sim::{Run, Scenario, simulate};

use super::budget::{budget, pods_within, with_sink};
use super::limits::Limits;
use super::partitions::{divisors, options, with_partitions};
use super::{CONNECTIONS_PER_POD, Inputs, Plan, Stretch, peak_rate_per_s};
use crate::parallel::{self, Crew};
use crate::trial::{SloSettings, slo_options};

/// The law is told the promise, and parts of it: a stricter law wastes pods and keeps more.
const STRICTNESS: &[f64] = &[1.0, 0.7, 0.4];

/// One option, and what the simulator says of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tried {
    /// Partitions of the topic.
    pub partitions: u32,
    /// Pods that always run.
    pub standby_pods: i32,
    /// Most pods.
    pub max_pods: i32,
    /// What the law is told to keep, seconds.
    pub law_target_s: f64,
    /// Age that 99 % do not exceed, the worst seed's, seconds.
    pub p99_age_s: f64,
    /// Age of the oldest record, the worst seed's, seconds.
    pub max_age_s: f64,
    /// Records waiting at the end, the worst seed's.
    pub end_backlog: i64,
    /// Pod-seconds, the mean of the seeds.
    pub pod_seconds: f64,
    /// Most pods in any second of any seed.
    pub peak_pods: i32,
    /// Whether each seed kept the promise.
    pub is_kept: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Case {
    partitions: u32,
    standby_pods: i32,
    law_target_s: f64,
}

/// Makes the plan. `None` when `stop` was set.
///
/// # Errors
/// An option of the law out of its range, in one line.
pub fn plan(inputs: Inputs<'_>, stop: &AtomicBool) -> Result<Option<Plan>, String> {
    let wishes = inputs.wishes;
    let scenario = &with_sink(inputs.scenario, wishes);
    let inputs = Inputs { scenario, ..inputs };
    let peak = peak_rate_per_s(scenario);
    let rate = scenario.pod.capacity_per_s();
    let counts = match wishes.partitions {
        Some(partitions) => vec![partitions],
        None => options(scenario, peak, rate),
    };
    let mut tried: Vec<Tried> = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    for partitions in &counts {
        for strictness in STRICTNESS {
            cases.push(Case {
                partitions: *partitions,
                standby_pods: inputs.object.min_replicas(),
                law_target_s: strictness * wishes.slo_s,
            });
        }
    }
    let Some(first) = try_all(inputs, &cases, stop)? else { return Ok(None) };
    tried.extend(first);
    if best(&tried).is_none() {
        // Nothing that starts from few pods keeps it: let some stand by.
        let Some(more) = standing_by(inputs, &counts, stop)? else { return Ok(None) };
        tried.extend(more);
    }
    let kept = best(&tried);
    let chosen = kept.or_else(|| nearest(&tried)).ok_or("nothing was tried")?;
    let case = Case {
        partitions: chosen.partitions,
        standby_pods: chosen.standby_pods,
        law_target_s: chosen.law_target_s,
    };
    let world = with_partitions(scenario, chosen.partitions);
    let run = run(inputs, &world, case, wishes.seeds.first().copied().unwrap_or(1))?;
    Ok(Some(finished(inputs, &world, &run, chosen, kept.is_some(), tried)))
}

/// Least pods that have to stand by, by halving, for the middle number of partitions.
fn standing_by(
    inputs: Inputs<'_>,
    counts: &[u32],
    stop: &AtomicBool,
) -> Result<Option<Vec<Tried>>, String> {
    let Inputs { scenario, wishes, .. } = inputs;
    let Some(partitions) = counts.get(counts.len() / 2).copied() else {
        return Ok(Some(Vec::new()));
    };
    let rate = scenario.pod.capacity_per_s();
    let mut tried = Vec::new();
    let most = perfect_follower_pods(peak_rate_per_s(scenario), partitions, rate) as i32;
    let most = cap(inputs, most + most.div_euclid(5), partitions);
    let (mut low, mut high) = (inputs.object.min_replicas(), most);
    let mut next = high;
    for _ in 0..8 {
        let case = |strictness: f64| Case {
            partitions,
            standby_pods: next,
            law_target_s: strictness * wishes.slo_s,
        };
        let cases: Vec<Case> = STRICTNESS.iter().map(|share| case(*share)).collect();
        let Some(results) = try_all(inputs, &cases, stop)? else { return Ok(None) };
        let kept = best(&results).is_some();
        tried.extend(results);
        match (kept, next == most) {
            // Not even all of them keep it.
            (false, true) => break,
            (true, _) => high = next,
            (false, false) => low = next,
        }
        if high - low <= 1 {
            break;
        }
        next = low + (high - low) / 2;
    }
    Ok(Some(tried))
}

fn cap(inputs: Inputs<'_>, pods: i32, partitions: u32) -> i32 {
    let wished = inputs.wishes.max_pods.unwrap_or(i32::MAX);
    let allowed = wished.min(pods_within(inputs.scenario, inputs.wishes));
    pods.min(allowed).min(partitions as i32).max(1)
}

fn best(tried: &[Tried]) -> Option<Tried> {
    let kept = tried.iter().filter(|tried| tried.is_kept);
    // Of what costs the same within a hundredth, the fewest partitions.
    let cheapest = kept.clone().map(|tried| tried.pod_seconds).min_by(f64::total_cmp)?;
    kept.filter(|tried| tried.pod_seconds <= 1.01 * cheapest)
        .min_by(|a, b| {
            a.partitions.cmp(&b.partitions).then(a.pod_seconds.total_cmp(&b.pod_seconds))
        })
        .copied()
}

fn nearest(tried: &[Tried]) -> Option<Tried> {
    tried.iter().min_by(|a, b| a.p99_age_s.total_cmp(&b.p99_age_s)).copied()
}

fn run(inputs: Inputs<'_>, world: &Scenario, case: Case, seed: u64) -> Result<Run, String> {
    let max_replicas =
        cap(inputs, i32::try_from(case.partitions).unwrap_or(i32::MAX), case.partitions);
    let settings = SloSettings {
        min_replicas: case.standby_pods.min(max_replicas),
        max_replicas,
        ..SloSettings::new(inputs.object, case.law_target_s)
    };
    let options = slo_options(world, inputs.object, &settings);
    let mut law = SloLaw::new(options, 0).map_err(|error| error.to_string())?;
    Ok(simulate(world, seed, &mut law))
}

fn try_all(
    inputs: Inputs<'_>,
    cases: &[Case],
    stop: &AtomicBool,
) -> Result<Option<Vec<Tried>>, String> {
    let work = |case: &Case| -> Result<Tried, String> {
        let world = with_partitions(inputs.scenario, case.partitions);
        let mut tried = Tried {
            partitions: case.partitions,
            standby_pods: case.standby_pods,
            max_pods: cap(inputs, i32::MAX, case.partitions),
            law_target_s: case.law_target_s,
            p99_age_s: 0.0,
            max_age_s: 0.0,
            end_backlog: 0,
            pod_seconds: 0.0,
            peak_pods: 0,
            is_kept: true,
        };
        for seed in &inputs.wishes.seeds {
            let summary = run(inputs, &world, *case, *seed)?.summary;
            tried.p99_age_s = tried.p99_age_s.max(summary.p99_age_s);
            tried.max_age_s = tried.max_age_s.max(summary.max_age_s);
            tried.end_backlog = tried.end_backlog.max(summary.end_backlog);
            tried.is_kept &= summary.keeps(inputs.wishes.slo_s);
            tried.peak_pods = tried.peak_pods.max(summary.peak_replicas);
            tried.pod_seconds += summary.pod_seconds / inputs.wishes.seeds.len() as f64;
        }
        Ok(tried)
    };
    let crew = Crew { threads: inputs.wishes.threads, stop };
    let Some(results) = parallel::map(cases, crew, work) else { return Ok(None) };
    results.into_iter().collect::<Result<Vec<_>, _>>().map(Some)
}

fn finished(
    inputs: Inputs<'_>,
    world: &Scenario,
    run: &Run,
    chosen: Tried,
    is_kept: bool,
    tried: Vec<Tried>,
) -> Plan {
    let wishes = inputs.wishes;
    let budget = budget(world, run, &chosen);
    let joins = run.seconds.windows(2).map(|pair| pair[1].pods_ready - pair[0].pods_ready);
    let connections_per_s = CONNECTIONS_PER_POD * f64::from(joins.max().unwrap_or(0).max(0));
    let limits = Limits { inputs, world, chosen: &chosen, budget, connections_per_s };
    let all = limits.all();
    // Commits are not simulated: the least of pods may make too many.
    let is_kept = is_kept && !limits.has_too_many_commits();
    let (binding, advice) = limits.binding(&all, is_kept);
    let pod_hours = chosen.pod_seconds / 3600.0;
    Plan {
        slo_s: wishes.slo_s,
        is_kept,
        divisors: divisors(chosen.partitions),
        peak_rate_per_s: peak_rate_per_s(world),
        pod_rate_per_s: world.pod.capacity_per_s(),
        stretches: stretches(world, &run.seconds, chosen.partitions),
        budget,
        connections_per_s,
        pod_hours,
        cost: wishes.price_per_pod_hour.map(|price| price * pod_hours),
        limits: all,
        binding,
        advice,
        chosen,
        tried,
    }
}

/// The load's phases, long ones in at most twelve parts.
fn stretches(world: &Scenario, seconds: &[Second], partitions: u32) -> Vec<Stretch> {
    let end_s = world.duration_s;
    let mut edges = vec![0_u32];
    let mut at_s = 0.0;
    for phase in &world.load.phases {
        let length = phase.duration_s().min(f64::from(end_s));
        let parts = match phase {
            Phase::Step { .. } => 1,
            _ => 12,
        };
        for part in 1..=parts {
            edges.push((at_s + length * f64::from(part) / f64::from(parts)).round() as u32);
        }
        at_s += length;
    }
    edges.push(end_s);
    edges.retain(|edge| *edge <= end_s);
    edges.dedup();
    let rate = world.pod.capacity_per_s();
    let stretch = |pair: &[u32]| {
        let (from, until) = (pair[0] as usize, (pair[1] as usize).min(seconds.len()));
        let part = seconds.get(from..until).filter(|part| !part.is_empty())?;
        let count = part.len() as f64;
        let pods = part.iter().map(|second| f64::from(second.replicas_current));
        let arrivals = (world.load.cumulative(f64::from(pair[1]))
            - world.load.cumulative(f64::from(pair[0])))
            / count;
        Some(Stretch {
            from_s: pair[0],
            until_s: pair[1],
            rate_per_s: arrivals,
            needed_pods: perfect_follower_pods(arrivals, partitions, rate),
            mean_pods: pods.sum::<f64>() / count,
            peak_pods: part.iter().map(|second| second.replicas_current).max().unwrap_or(0),
        })
    };
    edges.windows(2).filter_map(stretch).collect()
}
