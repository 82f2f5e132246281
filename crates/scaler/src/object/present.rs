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
//! and one that stands at something else than it was told for three syncs is followed.

use crate::kubernetes::HpaFacts;

/// An HPA that stands at something else than it was told for this long, three syncs, was
/// told otherwise by somebody: what it wants is what there is. One that moves follows,
/// though what is listed of it may be older than what it was told last.
const DIFFERS_MS: i64 = 45_000;

/// What was wanted last, and what there was before anything was decided.
#[derive(Debug, Default)]
pub(super) struct Present {
    /// What was decided last; `None` until there is something to go on from.
    pub(super) spec: Option<i32>,
    settling: Settling,
    /// Something else that the HPA wants, and since when it is that.
    differs: Option<(i64, i32)>,
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
            self.differs = None;
            return;
        };
        let same = self.differs.filter(|(_, before)| *before == desired);
        let (since_ms, _) = *self.differs.insert(same.unwrap_or((now_ms, desired)));
        if self.spec.is_some() && now_ms.saturating_sub(since_ms) >= DIFFERS_MS {
            (self.spec, self.differs) = (Some(desired), None);
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
        if members == Some(0) {
            return None;
        }
        let same_s = (now_ms - self.since_ms.max(began_ms)) as f64 / 1000.0;
        (same_s < settle_s).then_some(settle_s - same_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hpa(desired: i32) -> Option<HpaFacts> {
        Some(HpaFacts { desired, current: desired, has_metric: true })
    }

    #[test]
    fn an_hpa_that_moves_is_following_however_long_the_climb() {
        let mut present = Present::with(Some(20));
        let (mut synced, mut listed) = (20, 20);
        for second in 1..=300 {
            present.follow(second * 1000, hpa(listed));
            let told = present.spec.expect("wanted");
            assert_eq!(told, 20 + i32::try_from(second).expect("small") - 1, "second {second}");
            // A pod more at each look. A sync takes what it is told then, and is listed later.
            present.spec = Some(told + 1);
            match second % 15 {
                0 => synced = told + 1,
                4 => listed = synced,
                _ => {}
            }
        }
    }

    #[test]
    fn an_hpa_that_stands_still_elsewhere_is_followed() {
        let mut present = Present::with(Some(20));
        let mut followed_s = None;
        for second in 1..=120 {
            // It is set to 8 by hand, and twenty seconds later to 9.
            present.follow(second * 1000, hpa(if second < 20 { 8 } else { 9 }));
            if present.spec != Some(20) {
                followed_s = followed_s.or(Some((second, present.spec)));
            }
        }
        assert_eq!(followed_s, Some((65, Some(9))));
    }
}
