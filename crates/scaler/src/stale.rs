//! What is wanted while Kafka cannot be read. Pure.
//!
//! Contract: the count is held, for as long as it lasts. Only `fallbackReplicas` changes
//! it, after `staleAfterSeconds`: up to that number and never down, no faster than pods
//! may join. What the slo law would fall back to by itself is not taken: the metric is
//! an error then, so nobody is told of it, and the law would go on from a count that
//! there never was.

use tidegate_autoscale::law::Joins;

use crate::metadata::{LawSettings, Settings};

/// What an object asked for, and since when Kafka is silent.
#[derive(Debug)]
pub(crate) struct Stale {
    after_s: f64,
    fallback: Option<i32>,
    /// Fewest and most pods.
    bounds: (i32, i32),
    readable_ms: i64,
    now_ms: i64,
    /// `None`: the HPA's own policies pace.
    joins: Option<Joins>,
    spec: Option<i32>,
}

/// An answer without facts.
#[derive(Debug, PartialEq)]
pub(crate) struct Unread {
    pub(crate) to: i32,
    pub(crate) is_fallback: bool,
    /// In words.
    pub(crate) binding: String,
}

impl Stale {
    pub(crate) fn new(settings: &Settings, now_ms: i64) -> Self {
        let (bounds, joins) = match &settings.law {
            LawSettings::Slo(options) => {
                let joins = Joins::new(options.joins_per_s, seconds(now_ms));
                ((options.min_replicas, options.most_replicas()), Some(joins))
            }
            LawSettings::Stock { .. } => ((0, i32::MAX), None),
        };
        Self {
            after_s: settings.stale_after_s,
            fallback: settings.fallback_replicas,
            bounds,
            readable_ms: now_ms,
            now_ms,
            joins,
            spec: None,
        }
    }

    /// Notes a look, whatever it found.
    pub(crate) fn look(&mut self, now_ms: i64, spec: i32, is_readable: bool) {
        if is_readable {
            self.readable_ms = now_ms;
        }
        let last = self.spec.replace(spec).unwrap_or(spec);
        if let Some(joins) = &mut self.joins {
            joins.pass(seconds(now_ms), spec.saturating_sub(last));
        }
        self.now_ms = now_ms;
    }

    /// What is wanted from `spec`, while `why`.
    pub(crate) fn unread(&self, spec: i32, why: &str) -> Unread {
        let for_s = seconds(self.now_ms.saturating_sub(self.readable_ms));
        let fallback = self.fallback.filter(|_| for_s > self.after_s);
        let (least, most) = self.bounds;
        let held = spec.min(most).max(least);
        let to = fallback.map_or(held, |fallback| {
            // Nobody knows what waits: at least one.
            self.paced(held, fallback.min(most).max(held).max(1))
        });
        let what = if fallback.is_some() { "fallback" } else { "holding" };
        let binding = format!("{what} after {for_s:.0} s: {why}");
        Unread { to, is_fallback: fallback.is_some(), binding }
    }

    /// No more than the joins that may be ordered now.
    pub(crate) fn paced(&self, spec: i32, to: i32) -> i32 {
        self.joins.as_ref().map_or(to, |joins| joins.paced(spec, to))
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn stale(pairs: &[(&str, &str)]) -> Stale {
        let pairs = [("consumerGroup", "g"), ("topic", "t"), ("staleAfterSeconds", "30")]
            .into_iter()
            .chain(pairs.iter().copied());
        let given: HashMap<String, String> =
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Stale::new(&Settings::read("so", &given).expect("settings"), 0)
    }

    #[test]
    fn a_fallback_is_reached_no_faster_than_pods_may_join() {
        let mut stale = stale(&[("fallbackReplicas", "60"), ("joinsPerSecond", "2")]);
        stale.look(0, 20, true);
        let mut spec = 20;
        let mut seen = Vec::new();
        for second in 1..=60 {
            stale.look(second * 1000, spec, false);
            spec = stale.unread(spec, "gone").to;
            seen.push(spec);
        }
        // The burst first, then two a second.
        assert_eq!(seen[29..34], [20, 30, 30, 32, 34]);
        assert_eq!(seen.last(), Some(&60));
    }

    #[test]
    fn without_a_fallback_the_count_is_held_inside_its_bounds() {
        let mut stale = stale(&[("minReplicas", "2"), ("maxReplicas", "9")]);
        for (second, spec, held) in [(1, 5, 5), (100, 5, 5), (101, 0, 2), (102, 20, 9)] {
            stale.look(second * 1000, spec, false);
            let unread = stale.unread(spec, "gone");
            assert_eq!((unread.to, unread.is_fallback), (held, false), "second {second}");
            assert_eq!(unread.binding, format!("holding after {second} s: gone"));
        }
    }
}
