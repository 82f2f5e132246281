//! A wanted number of pods, as a metric that makes the HPA choose exactly it.
//!
//! The target is [`TARGET`] = 1 an average pod, the value is the wanted number: the HPA
//! divides one by the other, rounds up, and has the number. With a tolerance of 0 that
//! is all. With Kubernetes' default of 10 %, which clusters before 1.33 cannot change
//! for one HPA, a wanted number within 10 % of the present one changes nothing. Such a
//! number is reached by way of another one ([`step`]): far enough above both that
//! first the step to it and then the step from it leave the tolerance. It is always
//! above what is wanted, for one sync, so the promise is kept on the way.
//!
//! Pure. The arithmetic is the HPA's own ([`tidegate_autoscale::hpa`]).

use tidegate_autoscale::hpa::{Tolerance, average_value_proposal};

/// What one pod stands for in the metric.
pub const TARGET: i64 = 1;

/// A value is trusted to have reached the HPA after this time: its sync period of 15 s,
/// and what syncs drift.
pub const SYNC_MS: i64 = 16_000;

/// What the HPA proposes for a value when it sees `status` pods.
fn proposal(value: i32, status: i32, tolerance: f64) -> i32 {
    let tolerance = Tolerance { up: tolerance, down: tolerance };
    average_value_proposal(&[i64::from(value) * 1000], TARGET * 1000, status, tolerance)
}

/// The value to tell an HPA that sees `status` pods, so that it comes to `wanted`: at
/// once, or at most one sync later. Never less than the smaller of the two.
///
/// Where the way around would lead over `max`, an increase ends at `max` (never fewer
/// than wanted), and a decrease within the tolerance is not made.
pub fn step(status: i32, wanted: i32, tolerance: f64, max: i32) -> i32 {
    if wanted <= 0 || status <= 0 || proposal(wanted, status, tolerance) == wanted {
        return wanted;
    }
    let over = (wanted.max(status)..)
        .take(1 + wanted.max(status) as usize * 2)
        .find(|over| {
            proposal(*over, status, tolerance) == *over
                && (proposal(wanted, *over, tolerance) == wanted || (*over >= max && wanted >= max))
        })
        .unwrap_or(wanted);
    if over > max && wanted < status { status } else { over }
}

/// What an HPA was told, and where it is believed to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    status: i32,
    value: i32,
    since_ms: Option<i64>,
}

impl Told {
    /// The value for a request now. The present number of pods is what was told long
    /// enough ago, or `seen` where Kubernetes says it.
    pub fn value(
        &mut self,
        now_ms: i64,
        wanted: i32,
        seen: Option<i32>,
        tolerance: f64,
        max: i32,
    ) -> i32 {
        if tolerance <= 0.0 {
            self.value = wanted;
            return wanted;
        }
        let arrived = self.since_ms.is_some_and(|since| now_ms.saturating_sub(since) >= SYNC_MS);
        if arrived {
            self.status = self.value.clamp(1, max.max(1));
        }
        if let Some(seen) = seen {
            self.status = seen;
        }
        // A value on its way is told until it has arrived, or something else is wanted.
        let on_its_way = self.since_ms.is_some() && !arrived && seen.is_none();
        let value = if on_its_way {
            self.value.max(wanted)
        } else {
            step(self.status, wanted, tolerance, max)
        };
        if value != self.value || self.since_ms.is_none() {
            (self.value, self.since_ms) = (value, Some(now_ms));
        }
        self.value
    }
}

#[cfg(test)]
mod tests {
    use tidegate_autoscale::hpa::{Behavior, Bounds, Hpa, HpaInput};

    use super::*;

    const MAX: i32 = 300;

    /// What `behavior` is to be: no window, and no policy that binds.
    fn free() -> Behavior {
        let mut behavior = Behavior::default();
        behavior.scale_down.stabilization_window_s = Some(0);
        for rules in [&mut behavior.scale_up, &mut behavior.scale_down] {
            for policy in &mut rules.policies {
                policy.value = if policy.value == 100 { 100 } else { 10_000 };
            }
        }
        behavior
    }

    fn sync(hpa: &mut Hpa, now_ms: i64, at: i32, value: i32, tolerance: f64, max: i32) -> i32 {
        let proposal = proposal(value, at, tolerance);
        hpa.step(HpaInput {
            spec_replicas: at,
            bounds: Bounds { min: 1, max },
            behavior: Some(&free()),
            proposals: &[Some(proposal)],
            now_ms,
        })
        .desired
    }

    #[test]
    fn without_tolerance_one_sync_is_enough_for_any_pair() {
        for from in 1..=200 {
            for wanted in 1..=200 {
                let value = step(from, wanted, 0.0, 200);
                assert_eq!(value, wanted);
                assert_eq!(sync(&mut Hpa::default(), 0, from, value, 0.0, 200), wanted);
            }
        }
    }

    #[test]
    fn with_the_default_tolerance_two_syncs_are_enough_for_any_pair() {
        for from in 1..=200 {
            for wanted in 1..=200 {
                let mut hpa = Hpa::default();
                let mut at = from;
                let mut path = vec![at];
                for round in 0..2 {
                    at = sync(&mut hpa, round * 15_000, at, step(at, wanted, 0.1, MAX), 0.1, MAX);
                    path.push(at);
                }
                assert_eq!(at, wanted, "{path:?}");
                let bound = f64::from(from.max(wanted)) * 1.25 + 2.0;
                assert!(
                    path.iter().all(|n| *n >= from.min(wanted) && f64::from(*n) <= bound),
                    "{path:?}"
                );
                let stays = sync(&mut hpa, 60_000, at, step(at, wanted, 0.1, MAX), 0.1, MAX);
                assert_eq!(stays, wanted, "it stays there");
            }
        }
    }

    #[test]
    fn at_the_bound_it_never_ends_below_what_is_wanted() {
        for max in [10, 24, 100, 200] {
            for from in 1..=max {
                for wanted in 1..=max {
                    let mut hpa = Hpa::default();
                    let mut at = from;
                    for round in 0..4 {
                        let value = step(at, wanted, 0.1, max);
                        at = sync(&mut hpa, round * 15_000, at, value, 0.1, max);
                        assert!(at >= from.min(wanted), "{from} to {wanted} of {max} at {at}");
                    }
                    let over = f64::from(at) / f64::from(wanted);
                    assert!(at >= wanted && over < 1.112, "{from} to {wanted} of {max}: {at}");
                    assert!(wanted < max || at == max, "{from} to the bound {max}: {at}");
                }
            }
        }
    }

    #[test]
    fn a_first_sync_without_pods_takes_the_number_itself() {
        for wanted in 1..=200 {
            assert_eq!(
                sync(&mut Hpa::default(), 0, 1, step(0, wanted, 0.1, MAX), 0.1, MAX),
                match wanted {
                    1 => 1,
                    wanted => wanted,
                }
            );
            assert_eq!(proposal(step(0, wanted, 0.1, MAX), 0, 0.1), wanted);
        }
    }

    #[test]
    fn polls_between_two_syncs_do_not_shorten_the_way() {
        let (mut told, mut hpa) = (Told::default(), Hpa::default());
        let mut at = 20;
        told.value(0, 20, None, 0.1, MAX);
        let mut ends = Vec::new();
        for second in 1..=120 {
            let wanted = if second < 40 { 20 } else { 21 };
            let now_ms = second * 1000;
            // KEDA polls and the HPA syncs; both ask, only the second one is heard.
            let value = told.value(now_ms, wanted, None, 0.1, MAX);
            if second % 15 == 0 {
                at = sync(&mut hpa, now_ms, at, value, 0.1, MAX);
                ends.push(at);
            }
        }
        assert_eq!(ends, [20, 20, 24, 21, 21, 21, 21, 21]);
    }
}
