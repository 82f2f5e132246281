//! A law in force, and another one that is only asked.
//!
//! The other law sees the same facts at the same times, the counts of the law in force
//! included, and keeps its own memory (windows, estimates). Its answer is therefore
//! "what it would do next from here", not "where it would be had it been in force";
//! for the latter, simulate it.

use super::{Alternative, Decision, Facts, HpaView, Law};

/// The law that is only asked.
#[derive(Debug, Clone)]
pub struct Beside<O> {
    law: O,
    name: &'static str,
    said: Option<Alternative>,
}

impl<O: Law> Beside<O> {
    /// It is quoted as `name`.
    pub fn new(law: O, name: &'static str) -> Self {
        Self { law, name, said: None }
    }

    /// What it would do next from here, as it said last: it speaks at its own times only.
    pub fn ask(&mut self, now_ms: i64, facts: &Facts) -> Option<&Alternative> {
        let decisions = self.law.tick(now_ms, facts);
        self.law.not_followed();
        for decision in decisions {
            if decision.tells_a_count() || self.said.is_none() {
                self.said = Some(Alternative {
                    law: self.name.to_owned(),
                    to: decision.to,
                    why: decision.explanation(),
                });
            }
        }
        self.said.as_ref()
    }
}

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Compared<L, O> {
    law: L,
    other: Beside<O>,
}

impl<L: Law, O: Law> Compared<L, O> {
    /// `law` decides; `other`, called `other_name`, is quoted.
    pub fn new(law: L, other: O, other_name: &'static str) -> Self {
        Self { law, other: Beside::new(other, other_name) }
    }
}

impl<L: Law, O: Law> Law for Compared<L, O> {
    fn tick(&mut self, now_ms: i64, facts: &Facts) -> Vec<Decision> {
        let said = self.other.ask(now_ms, facts);
        let mut decisions = self.law.tick(now_ms, facts);
        for decision in &mut decisions {
            decision.alternative = said.cloned();
        }
        decisions
    }

    fn seen_lag(&self, lag: i64, partitions: i64) -> i64 {
        self.law.seen_lag(lag, partitions)
    }

    fn next_due_ms(&self) -> i64 {
        self.law.next_due_ms().min(self.other.law.next_due_ms())
    }

    fn not_followed(&mut self) {
        self.law.not_followed();
    }

    fn hpa_view(&self) -> HpaView {
        self.law.hpa_view()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::PartitionOffsets;
    use crate::law::{Decider, SloLaw, SloOptions, StockLaw, StockOptions};
    use crate::scaled_object::ScaledObject;

    const DEMO: &str = include_str!("../../../../config/scaled-object-demo.yaml");

    fn facts(second: i64) -> Facts {
        let end = second * 100;
        let offsets = (0..24)
            .map(|partition| PartitionOffsets { partition, committed: Some(0), end: Some(end) })
            .collect();
        Facts {
            spec_replicas: 3,
            status_replicas: 3,
            ready_replicas: 3,
            offsets: Ok(offsets),
            sink: None,
        }
    }

    #[test]
    fn each_decision_carries_what_the_other_law_would_do() {
        let object = ScaledObject::from_yaml(DEMO, "demo").expect("valid");
        let slo = SloLaw::new(SloOptions::default(), 0).expect("valid");
        let stock = StockLaw::new(object, StockOptions::default(), 0);
        let mut law = Compared::new(slo, stock, "stock");
        let mut last = None;
        for second in 0..120 {
            last = law.tick(second * 1000, &facts(second)).pop().or(last);
        }
        let last = last.expect("decided");
        assert_eq!(last.decided_by, Decider::Slo);
        let stock = last.alternative.expect("asked");
        // 24 partitions at 10,000 cap the metric; ten pods a minute are allowed.
        assert_eq!((stock.law.as_str(), stock.to), ("stock", 13));
        assert!(stock.why.starts_with("HPA: lag 240000 at 10000 a pod "), "{}", stock.why);
    }
}
