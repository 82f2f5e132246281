//! Replicas by the clock: a baseline, and what a search for the cheapest pods moves.

use super::{Decider, Decision, Facts, HpaView, Law};

/// Replicas from each moment on. Knows nothing of the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    steps: Vec<(i64, i32)>,
    last_ms: i64,
}

/// Later than any run, and still far from the end of an `i64` in microseconds.
const NEVER_MS: i64 = 1_000_000_000_000;

impl Schedule {
    /// `(from, replicas)` in order of time, milliseconds; before the first step the count
    /// stays what it is.
    pub fn new(steps: Vec<(i64, i32)>) -> Self {
        Self { steps, last_ms: i64::MIN }
    }

    /// The steps.
    pub fn steps(&self) -> &[(i64, i32)] {
        &self.steps
    }
}

impl Law for Schedule {
    fn tick(&mut self, now_ms: i64, facts: &Facts) -> Vec<Decision> {
        self.last_ms = now_ms;
        let step = self.steps.iter().rfind(|(from_ms, _)| *from_ms <= now_ms);
        vec![Decision {
            at_ms: now_ms,
            decided_by: Decider::Schedule,
            from: facts.spec_replicas,
            to: step.map_or(facts.spec_replicas, |(_, replicas)| *replicas),
            status_replicas: Some(facts.status_replicas),
            ready_replicas: Some(facts.ready_replicas),
            lag: None,
            metric: None,
            target: 0,
            active: None,
            proposal: None,
            stabilized: None,
            reason: None,
            binding: String::new(),
            terms: None,
            alternative: None,
        }]
    }

    fn next_due_ms(&self) -> i64 {
        let next = self.steps.iter().find(|(from_ms, _)| *from_ms > self.last_ms);
        next.map_or(NEVER_MS, |(from_ms, _)| *from_ms)
    }

    fn hpa_view(&self) -> HpaView {
        let counts = self.steps.iter().map(|(_, replicas)| *replicas);
        HpaView {
            name: "schedule".into(),
            reference: String::new(),
            targets: "schedule".into(),
            min: counts.clone().min().unwrap_or(0),
            max: counts.max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_holds_until_the_next() {
        let mut law = Schedule::new(vec![(1000, 4), (5000, 2)]);
        let facts = Facts {
            spec_replicas: 9,
            status_replicas: 9,
            ready_replicas: 9,
            offsets: Err(String::new()),
            sink: None,
        };
        let mut seen = Vec::new();
        for _ in 0..3 {
            let now_ms = law.next_due_ms();
            seen.push((now_ms, law.tick(now_ms, &facts)[0].to));
        }
        assert_eq!(seen, [(1000, 4), (5000, 2), (NEVER_MS, 2)]);
        assert_eq!(law.tick(0, &facts)[0].to, 9);
    }
}
