//! A fixed schedule of replicas, for tests and benchmarks. Pure.

use std::str::FromStr;

use crate::Error;

/// Replicas over time: `0:1,10:6,30:2` is one pod at once, six from second 10,
/// two from second 30 until the backlog is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaPath {
    steps: Vec<(f64, u32)>,
}

impl ReplicaPath {
    /// Replicas at a second since the start; 0 before the first step.
    pub fn at(&self, t_s: f64) -> u32 {
        self.steps
            .iter()
            .rev()
            .find(|(from_s, _)| t_s >= *from_s)
            .map_or(0, |(_, replicas)| *replicas)
    }

    /// Whether no step is still to come.
    pub fn is_over(&self, t_s: f64) -> bool {
        self.steps.last().is_none_or(|(from_s, _)| t_s >= *from_s)
    }

    /// The largest number of replicas.
    pub fn peak(&self) -> u32 {
        self.steps.iter().map(|(_, replicas)| *replicas).max().unwrap_or(0)
    }
}

impl FromStr for ReplicaPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Path { text: text.to_owned(), reason };
        let mut steps: Vec<(f64, u32)> = Vec::new();
        for pair in text.split(',') {
            let (second, replicas) = pair
                .trim()
                .split_once(':')
                .ok_or_else(|| wrong(format!("{pair:?} has no colon")))?;
            let second: f64 =
                second.trim().parse().map_err(|_| wrong(format!("{second:?} is not a number")))?;
            let replicas: u32 = replicas
                .trim()
                .parse()
                .map_err(|_| wrong(format!("{replicas:?} is not a count")))?;
            if !second.is_finite()
                || steps.last().is_some_and(|(last, _)| second <= *last)
                || second < 0.0
            {
                return Err(wrong(format!("second {second} does not come after the one before")));
            }
            if replicas > 1000 {
                return Err(wrong(format!("{replicas} pods are more than 1000")));
            }
            steps.push((second, replicas));
        }
        if steps.last().is_some_and(|(_, replicas)| *replicas == 0) {
            return Err(wrong(
                "it ends with 0 pods, which would never work off the backlog; the pods go to zero by \
                 themselves when it is gone"
                    .into(),
            ));
        }
        Ok(Self { steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_each_step_until_the_next() {
        let path: ReplicaPath = "0:1, 10:6,30.5:0,40:2".parse().expect("path");
        assert_eq!([0.0, 9.9, 10.0, 30.4, 30.5, 99.0].map(|t| path.at(t)), [1, 1, 6, 6, 0, 2]);
        assert_eq!(path.peak(), 6);
        let late: ReplicaPath = "5:2".parse().expect("path");
        assert_eq!(late.at(1.0), 0);
    }

    #[test]
    fn wrong_schedules_say_why() {
        for text in ["", "1", "0:x", "x:1", "5:1,5:2", "5:1,4:2", "-1:1", "nan:1", "0:1001"] {
            let error = text.parse::<ReplicaPath>().expect_err(text).to_string();
            assert!(error.contains("for example 0:1,10:6,30:0"), "{error}");
        }
    }
}
