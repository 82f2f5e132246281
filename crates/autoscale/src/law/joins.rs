//! How many pods may be ordered now, where joins are paced. Pure.

/// So many seconds' worth of joins may be ordered at once, and one at least.
const BURST_S: f64 = 5.0;

/// What may be ordered grows with time, up to a burst.
#[derive(Debug, Clone)]
pub struct Joins {
    per_s: f64,
    left: f64,
    since_s: f64,
}

impl Joins {
    /// A whole burst may be ordered at the beginning.
    pub fn new(per_s: f64, now_s: f64) -> Self {
        Self { per_s, left: most(per_s), since_s: now_s }
    }

    /// Time has passed, and so many pods were ordered meanwhile.
    pub fn pass(&mut self, now_s: f64, ordered: i32) {
        let grown = self.left + self.per_s * (now_s - self.since_s).max(0.0);
        self.left = (grown.min(most(self.per_s)) - f64::from(ordered.max(0))).max(0.0);
        self.since_s = now_s;
    }

    /// From `spec` no further towards `to` than may be ordered now; fewer at any time.
    pub fn paced(&self, spec: i32, to: i32) -> i32 {
        // A float beyond the range of `i32` becomes its end.
        if to > spec { to.min(spec.saturating_add(self.left as i32)) } else { to }
    }
}

fn most(per_s: f64) -> f64 {
    (BURST_S * per_s).max(1.0)
}
