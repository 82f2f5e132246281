//! Whether the sink is the limit, so that more consumers would not help. Pure.
//!
//! A consumer whose writes follow each other without a pause is busy; that alone
//! does not make the sink the limit, since another consumer would bring another
//! connection. The sink is the limit when, besides, the same connections carry
//! clearly less than they once did: others compete for the sink, or it has become
//! slower. So three things must hold: full batches waited for most of the last
//! seconds, batch size and writes at once cannot grow, and the capacity (records
//! a second while writing) is below two thirds of the best one seen.
//!
//! Not seen: a consumer that has never known the sink without its competitors has
//! no better capacity to compare with. Whoever decides looks at all consumers.

/// Seconds that the share of waiting is taken over.
const WINDOW_S: f64 = 5.0;
/// Share of waiting from which the sink can be the limit, and below which it is not.
const BUSY: f64 = 0.8;
const NOT_BUSY: f64 = 0.5;
/// Slowdown from which the sink is the limit, and below which it is not.
const SLOW: f64 = 1.5;
const NOT_SLOW: f64 = 1.25;
/// Weight that a measurement of the capacity keeps when the next one comes.
const DECAY: f64 = 0.8;
/// The best capacity fades, so that a lucky moment does not count for ever; a second.
const FADE: f64 = 0.0002;

/// What is known about the sink.
#[derive(Debug, Clone, Default)]
pub(crate) struct SinkLimit {
    /// Share of time in which full batches waited, over the last seconds.
    busy: f64,
    blocked: bool,
    seen_s: f64,
    /// Records a second while writing, now and at best; 0 before the first write.
    capacity: f64,
    best: f64,
    best_s: f64,
    limited: bool,
}

impl SinkLimit {
    /// From now on a full batch waits for the sink, or none does.
    pub(crate) fn blocked(&mut self, blocked: bool, now_s: f64) {
        let kept = (-(now_s - self.seen_s).max(0.0) / WINDOW_S).exp();
        let before = if self.blocked { 1.0 } else { 0.0 };
        self.busy = before + (self.busy - before) * kept;
        self.blocked = blocked;
        self.seen_s = now_s;
    }

    /// A full batch was written: this many records a second, all writes together.
    pub(crate) fn written(&mut self, capacity: f64, now_s: f64) {
        if self.capacity == 0.0 {
            self.capacity = capacity;
        }
        self.capacity = self.capacity * DECAY + capacity * (1.0 - DECAY);
        self.best = self.best_now(now_s).max(self.capacity);
        self.best_s = now_s;
    }

    fn best_now(&self, now_s: f64) -> f64 {
        self.best * (-(now_s - self.best_s).max(0.0) * FADE).exp()
    }

    /// Share of the last seconds in which full batches waited, 0 to 1.
    pub(crate) fn busy(&self) -> f64 {
        self.busy
    }

    /// The best capacity seen against the one now, at least 1.
    pub(crate) fn slowdown(&self) -> f64 {
        if self.capacity > 0.0 { (self.best / self.capacity).max(1.0) } else { 1.0 }
    }

    /// Judges: `at_bound` if neither batches nor writes at once can grow.
    pub(crate) fn judge(&mut self, at_bound: bool) -> bool {
        let (busy, slow) = if self.limited { (NOT_BUSY, NOT_SLOW) } else { (BUSY, SLOW) };
        self.limited = at_bound && self.busy >= busy && self.slowdown() >= slow;
        self.limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of full batches that wait, written at a capacity.
    fn run(limit: &mut SinkLimit, from_s: usize, seconds: usize, capacity: f64) -> bool {
        let mut limited = false;
        for second in from_s..from_s + seconds {
            limit.blocked(true, second as f64);
            limit.written(capacity, second as f64);
            limited = limit.judge(true);
        }
        limited
    }

    #[test]
    fn a_busy_consumer_alone_is_no_limit_of_the_sink() {
        let mut limit = SinkLimit::default();
        assert!(!run(&mut limit, 0, 600, 500.0));
        assert!(limit.busy() > 0.99, "{}", limit.busy());
        assert!(limit.slowdown() < 1.01);
    }

    #[test]
    fn less_for_the_same_effort_is_a_limit_until_it_is_over() {
        let mut limit = SinkLimit::default();
        run(&mut limit, 0, 60, 500.0);
        assert!(run(&mut limit, 60, 20, 250.0));
        assert!(limit.slowdown() > 1.9, "{}", limit.slowdown());
        assert!(run(&mut limit, 80, 10, 370.0), "not over yet");
        assert!(!run(&mut limit, 90, 20, 480.0));
    }

    #[test]
    fn what_can_still_grow_is_no_limit() {
        let mut limit = SinkLimit::default();
        run(&mut limit, 0, 60, 500.0);
        run(&mut limit, 60, 20, 200.0);
        assert!(!limit.judge(false));
        assert!(limit.judge(true));
    }

    #[test]
    fn a_slow_sink_that_nobody_waits_for_is_no_limit() {
        let mut limit = SinkLimit::default();
        run(&mut limit, 0, 60, 500.0);
        assert!(run(&mut limit, 60, 20, 200.0));
        limit.blocked(false, 80.0);
        limit.blocked(false, 90.0);
        assert!(!limit.judge(true), "{}", limit.busy());
    }

    #[test]
    fn the_share_is_of_the_last_seconds() {
        let mut limit = SinkLimit::default();
        for tick in 0..200 {
            limit.blocked(tick % 4 == 0, f64::from(tick) * 0.25);
        }
        assert!((limit.busy() - 0.25).abs() < 0.05, "{}", limit.busy());
    }
}
