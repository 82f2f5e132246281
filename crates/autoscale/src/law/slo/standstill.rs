//! Whether pods have stopped writing altogether, though records wait.
//!
//! A database that is away stops all pods at once. That is not what a pod does a second, and
//! more pods would wait for it as well. Pods whose batches take long commit nothing for a
//! while either, each time: a standstill is longer than what is usual.

/// Without a commit for this long, seconds, or so many times as long as is usual, it is a
/// pause: what pods do is not measured by it ...
const PAUSE_S: f64 = 2.0;
const PAUSE_TIMES: f64 = 1.5;
/// ... and from here on a standstill.
const STANDSTILL_S: f64 = 3.0;
const STANDSTILL_TIMES: f64 = 3.0;
/// What was usual fades over about this long, seconds.
const FADE_S: f64 = 300.0;
/// One pod that hangs is another matter: a second one takes partitions from it.
const LEAST_PODS: i32 = 2;

/// The time since any partition's last commit, and how long that usually is.
#[derive(Debug, Clone, Default)]
pub(super) struct Standstill {
    for_s: f64,
    usual_s: f64,
    /// These pods have written before.
    has_written: bool,
    was_pause: bool,
}

impl Standstill {
    /// `span_s` has passed; whether records `wait` now, and whether any was `written` since.
    pub(super) fn observe(&mut self, span_s: f64, ready: i32, wait: bool, written: bool) {
        self.was_pause = self.is_pause_now();
        self.usual_s *= (-span_s / FADE_S).exp();
        if written {
            // One outage is not what is usual; batches that always take so long are, soon.
            let most_s = STANDSTILL_TIMES * self.usual_s.max(PAUSE_S);
            self.usual_s = self.usual_s.max(self.for_s.min(most_s));
        }
        self.has_written = ready > 0 && (self.has_written || written);
        self.for_s = if written || !wait || ready < LEAST_PODS { 0.0 } else { self.for_s + span_s };
    }

    /// Whether this look, or the end of what came before it, is within a pause.
    pub(super) fn is_pause(&self) -> bool {
        self.was_pause || self.is_pause_now()
    }

    fn is_pause_now(&self) -> bool {
        self.for_s > PAUSE_S.max(PAUSE_TIMES * self.usual_s)
    }

    /// For how long nothing was written, when that is a standstill, seconds.
    pub(super) fn for_s(&self) -> Option<f64> {
        let least_s = STANDSTILL_S.max(STANDSTILL_TIMES * self.usual_s);
        (self.has_written && self.for_s > least_s).then_some(self.for_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many of the looks without a commit it is a standstill.
    fn seen(standstill: &mut Standstill, looks: usize) -> Option<usize> {
        (1..=looks).find(|_| {
            standstill.observe(1.0, 2, true, false);
            standstill.for_s().is_some()
        })
    }

    #[test]
    fn what_never_pauses_is_at_a_standstill_after_three_seconds() {
        assert_eq!(seen(&mut Standstill::default(), 20), None, "nothing was written yet");
        let mut standstill = Standstill::default();
        standstill.observe(1.0, 2, true, true);
        assert!((0..2).all(|_| {
            standstill.observe(1.0, 2, true, false);
            !standstill.is_pause()
        }));
        standstill.observe(1.0, 2, true, false);
        assert!(standstill.is_pause());
        assert_eq!(seen(&mut standstill, 20), Some(1));
        // The look that ends it is of more than its own time.
        standstill.observe(1.0, 2, true, true);
        assert!(standstill.is_pause() && standstill.for_s().is_none());
        standstill.observe(1.0, 2, true, true);
        assert!(!standstill.is_pause());
    }

    #[test]
    fn long_batches_are_no_standstill_once_they_are_known() {
        let mut standstill = Standstill::default();
        let mut told = 0;
        for second in 1..=300 {
            standstill.observe(1.0, 2, true, second % 20 == 0);
            told = if standstill.for_s().is_some() { second } else { told };
        }
        assert!(told < 60, "{told}");
        assert_eq!(seen(&mut standstill, 100), Some(49));
    }

    #[test]
    fn half_as_long_again_as_usual_is_a_pause() {
        let mut standstill = Standstill { usual_s: 20.0, ..Standstill::default() };
        standstill.observe(1.0, 2, true, true);
        let looks = (1..).find(|_| {
            standstill.observe(1.0, 2, true, false);
            standstill.is_pause()
        });
        // What is usual has faded by a tenth meanwhile.
        assert_eq!(looks, Some(28));
    }

    #[test]
    fn other_pods_have_to_write_first() {
        let mut standstill = Standstill::default();
        standstill.observe(1.0, 2, true, true);
        standstill.observe(1.0, 0, true, false);
        assert_eq!(seen(&mut standstill, 30), None);
    }

    #[test]
    fn nothing_to_do_and_a_single_pod_are_no_standstill() {
        for (ready, wait) in [(2, false), (1, true), (0, true)] {
            let mut standstill = Standstill::default();
            standstill.observe(1.0, ready, true, true);
            for _ in 0..30 {
                standstill.observe(1.0, ready, wait, false);
            }
            assert!(standstill.for_s().is_none() && !standstill.is_pause(), "{ready} {wait}");
        }
    }
}
