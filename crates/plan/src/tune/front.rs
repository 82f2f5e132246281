//! What is not beaten in both age and cost.

use serde::{Deserialize, Serialize};

use super::space::Genes;
use crate::trial::Score;

/// A configuration and what it was worth with all seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The configuration.
    pub genes: Genes,
    /// Its worth.
    pub score: Score,
}

/// The front, oldest age last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Front {
    points: Vec<Point>,
}

impl Front {
    /// Its points, the lowest age and highest cost first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Adds a point unless it is beaten; takes out those that it beats. Of two that are
    /// worth the same the first one stays.
    pub fn add(&mut self, point: Point) {
        let beaten = |by: &Point| {
            point.score.is_dominated_by(&by.score)
                || (by.score.age_s == point.score.age_s
                    && by.score.pod_seconds == point.score.pod_seconds)
        };
        if self.points.iter().any(beaten) {
            return;
        }
        self.points.retain(|other| !other.score.is_dominated_by(&point.score));
        let at = self.points.partition_point(|other| other.score.age_s < point.score.age_s);
        self.points.insert(at, point);
    }

    /// Whether a score that is no better than this one cannot enter, now and later: some
    /// point is at least as good in both, and what takes a point's place is as good.
    pub fn keeps_out(&self, score: &Score) -> bool {
        self.points.iter().any(|point| {
            point.score.age_s <= score.age_s && point.score.pod_seconds <= score.pod_seconds
        })
    }

    /// Whether some point is better by a clear margin in age and cost.
    pub fn clearly_beats(&self, score: &Score) -> bool {
        const AGE_MARGIN: f64 = 1.1;
        const COST_MARGIN: f64 = 1.02;
        self.points.iter().any(|point| {
            point.score.age_s * AGE_MARGIN < score.age_s
                && point.score.pod_seconds * COST_MARGIN < score.pod_seconds
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(age_s: f64, pod_seconds: f64) -> Point {
        Point {
            genes: Vec::new(),
            score: Score { age_s, max_age_s: age_s, pod_seconds, reversals: 0.0 },
        }
    }

    #[test]
    fn only_what_is_not_beaten_stays_in_order() {
        let mut front = Front::default();
        for (age, cost) in [(5.0, 100.0), (3.0, 200.0), (6.0, 100.0), (4.0, 90.0), (9.0, 50.0)] {
            front.add(point(age, cost));
        }
        let ages: Vec<f64> = front.points().iter().map(|point| point.score.age_s).collect();
        assert_eq!(ages, [3.0, 4.0, 9.0]);
        assert!(front.clearly_beats(&point(5.0, 100.0).score));
        assert!(!front.clearly_beats(&point(4.2, 91.0).score), "too near to tell with one seed");
        for (age, cost) in [(4.0, 90.0), (4.2, 91.0), (8.0, 90.0), (3.9, 199.0), (9.0, 49.0)] {
            let mut more = front.clone();
            more.add(point(age, cost));
            let is_out = front.keeps_out(&point(age, cost).score);
            assert_eq!(is_out, more == front, "{age} {cost}");
        }
    }
}
