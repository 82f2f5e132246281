//! The law of one object, and what is asked of it. Pure.

use tidegate_autoscale::lag::{
    LagOptions, PartitionOffsets as LawOffsets, PreviousOffsets, total_lag,
};
use tidegate_autoscale::law::{
    Alternative, Beside, Decider as By, Decision, Facts, Law as _, SinkFacts, SloLaw, SloOptions,
    SloTerm, StockLaw, StockOptions,
};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_kafka::PartitionOffsets;

use crate::metadata::{LawSettings, Settings};
use crate::stale::{Stale, Unread};

/// What was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) now_ms: i64,
    /// Wanted so far.
    pub(crate) spec: i32,
    /// Pods that work.
    pub(crate) ready: i32,
    /// Offsets, or why there are none.
    pub(crate) offsets: Result<Vec<PartitionOffsets>, String>,
    /// What the pods say of their sink, where they are asked.
    pub(crate) sink: Option<SinkFacts>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(crate) wanted: i32,
    pub(crate) active: bool,
    pub(crate) lag: Option<i64>,
    pub(crate) stock_wanted: Option<i32>,
    /// Whether it is `fallbackReplicas` that is wanted.
    pub(crate) is_fallback: bool,
    pub(crate) decision: Option<Decision>,
}

#[derive(Debug)]
pub(crate) struct Decider {
    law: Law,
    stale: Stale,
    other: Other,
}

/// The law that is only asked, on the same facts.
#[derive(Debug)]
enum Other {
    /// As KEDA's Kafka trigger has it where nothing is said.
    Stock(Box<Beside<StockLaw>>),
    /// With the ScaledObject's own trigger (shadow).
    OwnStock(Box<Beside<StockLaw>>),
    Slo(Box<Beside<SloLaw>>),
}

#[derive(Debug)]
enum Law {
    Slo { law: Box<SloLaw>, last: Option<Decision> },
    Stock { options: LagOptions, previous: PreviousOffsets, active: bool },
}

impl Decider {
    pub(crate) fn new(settings: &Settings, now_ms: i64) -> Result<Self, String> {
        let slo_law = |options: &SloOptions| {
            SloLaw::new(options.clone(), now_ms).map_err(|error| error.to_string())
        };
        let (law, other) = match &settings.law {
            LawSettings::Slo(options) => {
                let law = Law::Slo { law: Box::new(slo_law(options)?), last: None };
                let Settings { group, topic, .. } = settings;
                let (min, max) = (options.min_replicas, options.max_replicas);
                let object = ScaledObject::of_group(group, group, topic, min, max);
                let stock = StockLaw::new(object, StockOptions::default(), now_ms);
                (law, Other::Stock(Box::new(Beside::new(stock, "stock"))))
            }
            LawSettings::Stock { lag_threshold, activation_lag_threshold, slo } => {
                let law = Law::Stock {
                    options: LagOptions {
                        lag_threshold: *lag_threshold,
                        activation_lag_threshold: *activation_lag_threshold,
                        ..LagOptions::default()
                    },
                    previous: PreviousOffsets::new(),
                    active: false,
                };
                (law, Other::Slo(Box::new(Beside::new(slo_law(slo)?, "slo"))))
            }
        };
        Ok(Self { law, stale: Stale::new(settings, now_ms), other })
    }

    /// Lets the stock law of the ScaledObject's own trigger look at the same facts.
    pub(crate) fn beside(&mut self, stock: StockLaw) {
        self.other = Other::OwnStock(Box::new(Beside::new(stock, "stock")));
    }

    pub(crate) fn decide(&mut self, seen: &Seen) -> Decided {
        let offsets = seen.offsets.clone().map(|offsets| offsets.iter().map(for_law).collect());
        let facts = Facts {
            spec_replicas: seen.spec,
            status_replicas: seen.spec,
            ready_replicas: seen.ready,
            offsets,
            sink: seen.sink,
        };
        self.stale.look(seen.now_ms, seen.spec, facts.offsets.is_ok());
        let unread = facts.offsets.as_ref().err().map(|why| self.stale.unread(seen.spec, why));
        let said = self.other.ask(seen.now_ms, &facts);
        let stock_wanted = said.as_ref().filter(|_| self.other.is_own_stock()).map(|said| said.to);
        let mut decided = match &mut self.law {
            Law::Slo { law, last } => slo(law, last, seen, &facts, unread.as_ref(), &self.stale),
            Law::Stock { options, previous, active } => {
                stock(options, previous, active, seen, &facts, unread.as_ref())
            }
        };
        decided.stock_wanted = stock_wanted;
        if let Some(decision) = &mut decided.decision {
            decision.alternative = said;
        }
        decided.is_fallback = unread.is_some_and(|unread| unread.is_fallback);
        decided
    }
}

impl Other {
    fn ask(&mut self, now_ms: i64, facts: &Facts) -> Option<Alternative> {
        match self {
            Self::Stock(law) | Self::OwnStock(law) => law.ask(now_ms, facts),
            Self::Slo(law) => law.ask(now_ms, facts),
        }
        .cloned()
    }

    fn is_own_stock(&self) -> bool {
        matches!(self, Self::OwnStock(_))
    }
}

fn slo(
    law: &mut SloLaw,
    last: &mut Option<Decision>,
    seen: &Seen,
    facts: &Facts,
    unread: Option<&Unread>,
    stale: &Stale,
) -> Decided {
    let mut fresh = law.tick(seen.now_ms, facts).into_iter().next_back();
    if let Some(decision) = &mut fresh {
        if let Some(unread) = unread {
            (decision.to, decision.binding) = (unread.to, unread.binding.clone());
        } else if decision.terms.as_ref().is_some_and(|terms| terms.term == SloTerm::Stale) {
            decision.to = stale.paced(seen.spec, decision.to);
        }
        *last = Some(decision.clone());
    }
    let wanted = last.as_ref().map_or(seen.spec, |decision| decision.to);
    Decided {
        wanted,
        active: wanted > 0,
        lag: last.as_ref().and_then(|decision| decision.lag),
        stock_wanted: None,
        is_fallback: false,
        decision: fresh,
    }
}

/// KEDA's Kafka trigger: the lag, capped, is the metric, and the HPA divides it.
fn stock(
    options: &LagOptions,
    previous: &mut PreviousOffsets,
    was_active: &mut bool,
    seen: &Seen,
    facts: &Facts,
    unread: Option<&Unread>,
) -> Decided {
    let target = options.lag_threshold;
    let lag = facts.offsets.as_ref().ok().map(|offsets| total_lag(offsets, options, previous));
    if let Some(lag) = lag {
        *was_active = lag.active;
    }
    let wanted = match lag {
        Some(lag) if lag.active => {
            i32::try_from(lag.total.max(1).saturating_add(target - 1) / target).unwrap_or(i32::MAX)
        }
        Some(_) => 0,
        None => unread.map_or(seen.spec, |unread| unread.to),
    };
    let decision = Decision {
        at_ms: seen.now_ms,
        decided_by: By::Keda,
        from: seen.spec,
        to: wanted,
        status_replicas: None,
        ready_replicas: Some(seen.ready),
        lag: lag.map(|lag| lag.total_with_persistent),
        metric: lag.map(|lag| lag.total),
        target,
        active: Some(*was_active),
        proposal: None,
        stabilized: None,
        reason: None,
        binding: unread.map_or_else(String::new, |unread| unread.binding.clone()),
        terms: None,
        alternative: None,
    };
    Decided {
        wanted,
        active: *was_active,
        lag: lag.map(|lag| lag.total.max(0)),
        stock_wanted: None,
        is_fallback: false,
        decision: Some(decision),
    }
}

/// What never committed counts from the start of the log.
fn for_law(offsets: &PartitionOffsets) -> LawOffsets {
    LawOffsets {
        partition: offsets.partition,
        committed: offsets.committed.or(offsets.start),
        end: offsets.end,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let pairs = [("consumerGroup", "g"), ("topic", "t")].iter().chain(pairs);
        let given: HashMap<String, String> =
            pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::read("so", &given).expect("settings")
    }

    fn seen(now_s: i64, committed: Option<i64>, end: i64) -> Seen {
        let partition =
            PartitionOffsets { partition: 0, committed, start: Some(90), end: Some(end) };
        Seen { now_ms: now_s * 1000, spec: 0, ready: 0, offsets: Ok(vec![partition]), sink: None }
    }

    #[test]
    fn what_never_committed_counts_from_the_start_of_the_log() {
        let stock = settings(&[("law", "stock"), ("lagThreshold", "5")]);
        let mut decider = Decider::new(&stock, 0).expect("law");
        let decided = decider.decide(&seen(1, None, 100));
        // KEDA would say 1 (latest) or 100 (earliest).
        assert_eq!((decided.lag, decided.active), (Some(5), true), "capped at one partition");
        let mut slo = Decider::new(&settings(&[]), 0).expect("law");
        let decided = slo.decide(&seen(1, None, 100));
        assert_eq!((decided.lag, decided.active), (Some(10), true));
    }

    #[test]
    fn unreadable_facts_hold_the_last_answer() {
        for law in ["stock", "slo"] {
            let mut decider = Decider::new(&settings(&[("law", law)]), 0).expect("law");
            let first = decider.decide(&seen(1, Some(95), 100));
            assert!(first.active, "{law}");
            let broken = Seen { spec: 1, offsets: Err("gone".into()), ..seen(3, None, 0) };
            let held = decider.decide(&broken);
            assert!(held.active, "{law}");
            assert_eq!(held.wanted, 1, "{law}");
        }
    }

    #[test]
    fn each_decision_says_what_the_other_law_would_do() {
        for (law, other) in [("slo", "stock"), ("stock", "slo")] {
            let mut decider = Decider::new(&settings(&[("law", law)]), 0).expect("law");
            for second in 1..=180 {
                let end = Some(second * 5000);
                let partition = |partition| PartitionOffsets {
                    partition,
                    committed: Some(0),
                    start: Some(0),
                    end,
                };
                let offsets = match second {
                    90..100 => Err("gone".to_owned()),
                    _ => Ok((0..24).map(partition).collect()),
                };
                let seen = Seen { spec: 3, ready: 3, offsets, ..seen(second, None, 0) };
                let decided = decider.decide(&seen);
                assert_eq!(decided.stock_wanted, None, "no trigger of its own");
                let Some(decision) = decided.decision else { continue };
                let said = decision.alternative.expect("the other law was asked");
                assert_eq!(said.law, other, "second {second}");
                assert!(said.why.contains(&format!("{}", said.to)), "{said:?}");
                if second == 180 {
                    assert!(said.to > 3, "{said:?}");
                }
            }
        }
    }

    #[test]
    fn stock_beside_says_its_number_at_every_look() {
        let demo = include_str!("../../../config/scaled-object-demo.yaml");
        let demo = ScaledObject::from_yaml(demo, "demo").expect("manifest");
        let mut decider = Decider::new(&settings(&[]), 0).expect("law");
        decider.beside(StockLaw::new(demo, StockOptions::default(), 0));
        for second in 0..180 {
            let end = Some(second * 100);
            let partition =
                |partition| PartitionOffsets { partition, committed: Some(0), start: Some(0), end };
            let offsets = Ok((0..24).map(partition).collect());
            let seen = Seen { spec: 3, ready: 3, offsets, ..seen(second, None, 0) };
            let stock = decider.decide(&seen).stock_wanted;
            // At the sync at 105 s its window of a minute asks for 15, and ten more are
            // allowed; between two syncs it stays with that.
            if second >= 105 {
                assert_eq!(stock, Some(13), "second {second}");
            }
        }
    }
}
