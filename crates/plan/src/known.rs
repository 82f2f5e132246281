//! Configurations whose runs are known without being simulated.
//!
//! Contract: a run depends on its law only through the times at which the law looks and the
//! number it wants then. So a law that is shown what the laws before it saw, and wants what
//! one of them wanted every time, would make the very same run. Of two such runs the search
//! keeps the first at most: the later one scores the same to the last bit, or is beaten by
//! a front that has only become better. Pure; read by many threads, added to by one.
//!
//! Stock laws only: what they make of the offsets follows from the sum, the number of
//! partitions, and how many have a lag. With persistent lag excluded, or some partitions
//! only, it does not, and nothing is known.
//!
//! Rejected: settings that cannot matter, found by reasoning (whether they do depends on the
//! run); whole offsets (a gigabyte for ten thousand configurations). Runs that are new share
//! their beginnings within a generation: see [`together`](crate::together).

use std::collections::BTreeMap;

use tidegate_autoscale::lag::LagSums;
use tidegate_autoscale::law::{Decision, Facts, Keep, Law};

/// Looks that are kept at most, of all runs; further runs are not known. 40 bytes each.
const MOST_LOOKS: usize = 3_000_000;

/// What a law was shown, and what it wanted then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    spec: i32,
    status: i32,
    ready: i32,
    /// `None` when it could not be read.
    lag: Option<LagSums>,
    to: i32,
}

/// The looks of a run, for a [`Recorder`](tidegate_autoscale::law::Recorder).
#[derive(Debug, Default)]
pub(crate) struct Looks {
    looks: Vec<Look>,
    /// One of them cannot be told by its sums.
    is_blurred: bool,
}

impl Looks {
    /// `None` when one of them cannot be told by its sums.
    pub(crate) fn whole(self) -> Option<Vec<Look>> {
        (!self.is_blurred).then_some(self.looks)
    }
}

impl Looks {
    fn add(&mut self, facts: &Facts, lag: Option<LagSums>, decisions: &[Decision]) {
        self.looks.push(Look {
            spec: facts.spec_replicas,
            status: facts.status_replicas,
            ready: facts.ready_replicas,
            lag,
            to: decisions.last().map_or(facts.spec_replicas, |last| last.to),
        });
    }
}

impl Keep for Looks {
    fn keep(&mut self, facts: &Facts, decisions: &[Decision]) {
        let lag = facts.offsets.as_ref().ok().map(|offsets| LagSums::of(offsets));
        self.is_blurred |= lag == Some(None);
        self.add(facts, lag.flatten(), decisions);
    }

    fn keep_with_sums(&mut self, facts: &Facts, sums: LagSums, decisions: &[Decision]) {
        self.add(facts, Some(sums), decisions);
    }
}

/// Runs that have their beginning in common share it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// By how often the law looks.
    first: BTreeMap<i64, usize>,
    stretches: Vec<Stretch>,
    looks: usize,
}

/// Looks that follow each other; the last is a run's last. Other runs leave where they want
/// another number.
#[derive(Debug)]
struct Stretch {
    looks: Vec<Look>,
    /// By the place of the look and the number wanted; what follows it.
    branches: BTreeMap<(usize, i32), usize>,
}

impl Known {
    /// Whether a law, at its beginning, would make a run that is known.
    pub(crate) fn has_run_of(&self, interval_ms: i64, law: &mut dyn Law) -> bool {
        let Some(mut stretch) = self.first.get(&interval_ms).map(|first| &self.stretches[*first])
        else {
            return false;
        };
        let mut facts = Facts {
            spec_replicas: 0,
            status_replicas: 0,
            ready_replicas: 0,
            offsets: Ok(Vec::new()),
            sink: None,
        };
        let (mut place, mut now_ms) = (0, -1);
        while let Some(look) = stretch.looks.get(place) {
            // As the simulator does.
            now_ms = law.next_due_ms().max(now_ms + 1);
            let to = wanted(law, now_ms, look, &mut facts);
            if to == look.to {
                place += 1;
                continue;
            }
            let Some(branch) = stretch.branches.get(&(place, to)) else { return false };
            stretch = &self.stretches[*branch];
            place = 0;
        }
        true
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, interval_ms: i64, looks: &[Look]) {
        if self.looks + looks.len() > MOST_LOOKS {
            return;
        }
        let next = self.stretches.len();
        let mut at = *self.first.entry(interval_ms).or_insert(next);
        let (mut place, mut rest) = (0, looks);
        while at < next {
            let Some((look, after)) = rest.split_first() else { return };
            let stretch = &mut self.stretches[at];
            let Some(known) = stretch.looks.get(place) else { return };
            if known.to == look.to {
                place += 1;
            } else {
                at = *stretch.branches.entry((place, look.to)).or_insert(next);
                place = 0;
            }
            rest = after;
        }
        self.looks += rest.len();
        self.stretches.push(Stretch { looks: rest.to_vec(), branches: BTreeMap::new() });
    }
}

/// What a law, whose metric is of sums, wants when it is shown a look.
fn wanted(law: &mut dyn Law, now_ms: i64, look: &Look, facts: &mut Facts) -> i32 {
    facts.spec_replicas = look.spec;
    facts.status_replicas = look.status;
    facts.ready_replicas = look.ready;
    let decisions = if let Some(sums) = look.lag {
        if facts.offsets.is_err() {
            facts.offsets = Ok(Vec::new());
        }
        law.tick_with_sums(now_ms, facts, sums)
    } else {
        facts.offsets = Err("it could not be read".into());
        law.tick(now_ms, facts)
    };
    decisions.last().map_or(look.spec, |last| last.to)
}

#[cfg(test)]
mod tests {
    use tidegate_autoscale::law::Recorder;
    use tidegate_autoscale::scaled_object::ScaledObject;
    use tidegate_sim::{Prepared, Scenario, Summary, stock_law};

    use super::*;

    const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");
    const PUBLISHED: &str = include_str!("../../../config/scenarios/published-24min.toml");

    fn run(world: &Prepared<'_>, object: &ScaledObject) -> (Summary, Vec<Look>) {
        let law = stock_law(object.clone(), &world.scenario().control);
        let mut law = Recorder::<_, Looks>::keeping(law);
        let summary = world.summarize(&mut law);
        (summary, law.decisions.whole().expect("told by sums"))
    }

    #[test]
    fn a_run_is_known_when_its_law_wants_the_same_and_only_then() {
        let mut scenario = Scenario::from_text("published", PUBLISHED).expect("scenario");
        scenario.duration_s = 400;
        let world = Prepared::new(&scenario, 1);
        let object = |from: &str, to: &str| {
            let text = DEMO.replace(from, to);
            assert!(from.is_empty() || text != DEMO, "{from}");
            ScaledObject::from_yaml(&text, "test").expect("a manifest")
        };
        let law = |object: &ScaledObject| stock_law(object.clone(), &scenario.control);
        let demo = object("", "");
        let ms = demo.polling_interval_ms();
        let (summary, looks) = run(&world, &demo);

        let mut known = Known::default();
        assert!(!known.has_run_of(ms, &mut law(&demo)));
        known.add(ms, &looks);
        assert!(known.has_run_of(ms, &mut law(&demo)));
        assert!(!known.has_run_of(ms + 1, &mut law(&demo)), "other moments");

        // The maximum is far away in 400 s: nothing comes of it.
        let far = object("maxReplicaCount: 100", "maxReplicaCount: 99");
        assert!(known.has_run_of(ms, &mut law(&far)));
        assert_eq!(run(&world, &far).0, summary);

        for (from, to) in [
            ("lagThreshold: \"10000\"", "lagThreshold: \"5000\""),
            ("maxReplicaCount: 100", "maxReplicaCount: 40"),
        ] {
            let other = object(from, to);
            assert!(!known.has_run_of(ms, &mut law(&other)), "{to}");
            let (other_summary, other_looks) = run(&world, &other);
            assert_ne!(other_summary, summary, "{to}");
            known.add(ms, &other_looks);
            assert!(known.has_run_of(ms, &mut law(&other)), "{to}");
            assert!(known.has_run_of(ms, &mut law(&demo)), "still");
        }
    }
}
