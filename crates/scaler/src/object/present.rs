//! How many pods there are, as far as the law should believe.
//!
//! # Replica counts without Kubernetes
//! A call of KEDA carries no replica count. The members of the group are the pods that
//! work, whoever runs them: they are the ready pods. Wanted so far is what was decided
//! last, since the HPA follows it at its next sync. After a start nothing was decided
//! yet: then the members are counted until their number has been the same for a
//! while (`Settling`); until then requests for the metric fail, and at a failed
//! metric the HPA keeps what it has. So a restart of the scaler changes nothing.
//! Where the Kubernetes API may be read, nothing is counted: the HPA says what there is,
//! and one that does something else than it was told for three syncs is followed.

use crate::kubernetes::HpaFacts;

/// An HPA that wants something else than it was told for this long, three syncs, was
/// told otherwise by somebody: what it wants is what there is.
const DIFFERS_MS: i64 = 45_000;

/// What was wanted last, and what there was before anything was decided.
#[derive(Debug, Default)]
pub(super) struct Present {
    /// What was decided last; `None` until there is something to go on from.
    pub(super) spec: Option<i32>,
    settling: Settling,
    /// Since when the HPA has wanted something else.
    differs_ms: Option<i64>,
}

impl Present {
    /// Going on from what a predecessor wanted.
    pub(super) fn with(spec: Option<i32>) -> Self {
        Self { spec, ..Self::default() }
    }

    /// Seconds for which members are still to be counted; `None`: there is no need any more.
    pub(super) fn settling_s(
        &mut self,
        now_ms: i64,
        members: Option<i32>,
        hpa: Option<HpaFacts>,
        settle_s: f64,
    ) -> Option<f64> {
        match (self.spec, hpa) {
            (Some(_), _) | (_, Some(_)) => None,
            _ => self.settling.left_s(now_ms, members, settle_s),
        }
    }

    /// Follows an HPA that does not do what it is told: bounded, paused, scaled by hand.
    pub(super) fn follow(&mut self, now_ms: i64, hpa: Option<HpaFacts>) {
        let Some(desired) =
            hpa.map(|hpa| hpa.desired).filter(|desired| Some(*desired) != self.spec)
        else {
            self.differs_ms = None;
            return;
        };
        let since_ms = *self.differs_ms.get_or_insert(now_ms);
        if self.spec.is_some() && now_ms.saturating_sub(since_ms) >= DIFFERS_MS {
            (self.spec, self.differs_ms) = (Some(desired), None);
        }
    }
}

/// Counting members after a start.
#[derive(Debug, Clone, Copy, Default)]
struct Settling {
    members: Option<i32>,
    since_ms: i64,
    began_ms: Option<i64>,
}

impl Settling {
    /// Seconds that are left; `None` is settled. No members settle at once: nothing
    /// can be taken away from them, and a pod may be wanted.
    fn left_s(&mut self, now_ms: i64, members: Option<i32>, settle_s: f64) -> Option<f64> {
        let began_ms = *self.began_ms.get_or_insert(now_ms);
        if self.members != members {
            (self.members, self.since_ms) = (members, now_ms);
        }
        if members.unwrap_or(0) == 0 {
            return None;
        }
        let same_s = (now_ms - self.since_ms.max(began_ms)) as f64 / 1000.0;
        (same_s < settle_s).then_some(settle_s - same_s)
    }
}
