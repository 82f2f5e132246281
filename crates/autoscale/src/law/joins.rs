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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_at_once_and_then_so_many_a_second() {
        let mut joins = Joins::new(2.0, 100.0);
        assert_eq!(joins.paced(0, 100), 10, "five seconds' worth");
        assert_eq!((joins.paced(7, 12), joins.paced(7, 7), joins.paced(7, 2)), (12, 7, 2));
        joins.pass(101.0, 10);
        assert_eq!(joins.paced(10, 100), 10, "what grew meanwhile is no more than a burst");
        joins.pass(104.0, 0);
        assert_eq!(joins.paced(10, 100), 16);
        joins.pass(200.0, 0);
        assert_eq!(joins.paced(10, 100), 20);
    }

    #[test]
    fn pods_that_went_and_clocks_that_go_back_give_nothing() {
        let mut joins = Joins::new(2.0, 0.0);
        joins.pass(1.0, 10);
        joins.pass(1.0, -8);
        assert_eq!(joins.paced(2, 100), 2);
        joins.pass(0.5, 0);
        assert_eq!(joins.paced(2, 100), 2);
        // Somebody else ordered more than was allowed: that is no debt.
        joins.pass(2.5, 50);
        joins.pass(3.5, 0);
        assert_eq!(joins.paced(52, 100), 54);
    }

    #[test]
    fn a_slow_pace_lets_one_join_and_a_fast_one_everybody() {
        let mut joins = Joins::new(0.1, 0.0);
        assert_eq!(joins.paced(3, 9), 4);
        joins.pass(1.0, 1);
        joins.pass(10.5, 0);
        assert_eq!(joins.paced(4, 9), 4);
        joins.pass(11.0, 0);
        assert_eq!(joins.paced(4, 9), 5);
        assert_eq!(Joins::new(1e12, 0.0).paced(1, i32::MAX), i32::MAX);
    }
}
