//! How many writes run at once: one more as long as that brings more. Pure.
//!
//! While full batches wait, the rate of a window is compared with the rate of the
//! window before the last step. A step that brought less than a tenth is taken
//! back, and the next try is a minute away: then the sink's throughput has stopped
//! growing.

/// A step must bring this much.
const GAIN: f64 = 1.1;
/// Batches of a window, and its least length, seconds.
const WINDOW_BATCHES: usize = 16;
const WINDOW_S: f64 = 1.0;
/// After a step that brought nothing, seconds.
const REST_S: f64 = 60.0;

/// The number of writes at once.
#[derive(Debug, Clone)]
pub(crate) struct Concurrency {
    max: usize,
    now: usize,
    window: Window,
    /// Rate before the step that is on trial, records a second.
    before: Option<f64>,
    rest_until_s: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    from_s: Option<f64>,
    batches: usize,
    records: usize,
}

impl Concurrency {
    /// From 1 up to `max`; begins with 1.
    pub(crate) fn new(max: usize) -> Self {
        Self { max: max.max(1), now: 1, window: Window::default(), before: None, rest_until_s: 0.0 }
    }

    pub(crate) fn now(&self) -> usize {
        self.now
    }

    /// Whether more writes at once are not to be had, or have brought nothing.
    pub(crate) fn is_at_bound(&self, now_s: f64) -> bool {
        self.now == self.max || now_s < self.rest_until_s
    }

    /// A write of `records` ended; `saturated` if a full batch waited meanwhile.
    pub(crate) fn written(&mut self, records: usize, saturated: bool, now_s: f64) {
        if !saturated {
            // What is not limited by the sink tells nothing about it.
            self.window = Window::default();
            return;
        }
        let Some(from_s) = self.window.from_s else {
            self.window.from_s = Some(now_s);
            return;
        };
        self.window.batches += 1;
        self.window.records += records;
        let long_s = now_s - from_s;
        if self.window.batches < WINDOW_BATCHES.min(4 * self.now) || long_s < WINDOW_S {
            return;
        }
        let rate = self.window.records as f64 / long_s;
        self.window = Window { from_s: Some(now_s), ..Window::default() };
        self.judge(rate, now_s);
    }

    fn judge(&mut self, rate: f64, now_s: f64) {
        match self.before.take() {
            Some(before) if rate < before * GAIN => {
                self.now -= 1;
                self.rest_until_s = now_s + REST_S;
            }
            _ if self.now < self.max && now_s >= self.rest_until_s => {
                self.before = Some(rate);
                self.now += 1;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seconds` of a sink that writes `rate(k)` records a second with k at once.
    fn run(law: &mut Concurrency, from_s: f64, seconds: f64, rate: impl Fn(usize) -> f64) {
        let mut now_s = from_s;
        while now_s < from_s + seconds {
            now_s += 100.0 / rate(law.now());
            law.written(100, true, now_s);
        }
    }

    #[test]
    fn grows_as_long_as_the_rate_does() {
        let mut law = Concurrency::new(8);
        run(&mut law, 0.0, 30.0, |k| 1_000.0 * k.min(3) as f64);
        assert_eq!(law.now(), 3, "the fourth brought nothing");
        assert!(law.is_at_bound(30.0));
        assert!(!law.is_at_bound(100.0), "after a minute it may be tried again");
    }

    #[test]
    fn goes_up_to_the_bound_and_no_further() {
        let mut law = Concurrency::new(4);
        run(&mut law, 0.0, 30.0, |k| 1_000.0 * k as f64);
        assert_eq!(law.now(), 4);
        assert!(law.is_at_bound(30.0));
    }

    #[test]
    fn a_sink_that_is_not_the_limit_is_not_tried() {
        let mut law = Concurrency::new(4);
        for second in 0..100 {
            law.written(100, false, f64::from(second));
        }
        assert_eq!(law.now(), 1);
    }

    #[test]
    fn one_write_stays_one() {
        let mut law = Concurrency::new(1);
        run(&mut law, 0.0, 30.0, |_| 1_000.0);
        assert_eq!(law.now(), 1);
        assert!(law.is_at_bound(0.0));
    }
}
