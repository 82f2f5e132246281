//! Which looks of a shadow are worth a line. Pure.
//!
//! Contract: numbers that change are told, at most one line in the time between two syncs
//! of an HPA, which takes the last one only; numbers that stay are told now and then. A look
//! that failed tells no numbers, but why, see [`Outage`].

use crate::object::{Status, Trouble};
use crate::outage::{Outage, Said};

/// An HPA's sync period.
const APART_MS: i64 = 15_000;
/// Numbers that stay are told again after this.
const HEARTBEAT_MS: i64 = 300_000;

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Line {
    /// The numbers side by side.
    Numbers,
    /// Facts that are missing, or are there again.
    Facts(Said),
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Telling {
    outage: Outage,
    told: Option<(i64, Numbers)>,
}

/// Own, the HPA's, stock's, members.
type Numbers = (i32, Option<i32>, Option<i32>, Option<i32>);

impl Telling {
    /// What a look's outcome is worth.
    pub(super) fn look(&mut self, status: &Status) -> Option<Line> {
        let now_ms = status.at_ms;
        if now_ms == 0 {
            return None;
        }
        if let Some(said) = self.outage.look(now_ms, status.error.as_deref()) {
            return Some(Line::Facts(said));
        }
        // While members are counted the number is not the law's.
        let settles = matches!(status.trouble, Some(Trouble::Settling { .. }));
        if status.error.is_some() || settles {
            return None;
        }
        let numbers =
            (status.wanted, status.hpa.map(|hpa| hpa.desired), status.stock_wanted, status.members);
        let is_due = self.told.is_none_or(|(at_ms, told)| {
            let apart_ms = if told == numbers { HEARTBEAT_MS } else { APART_MS };
            now_ms.saturating_sub(at_ms) >= apart_ms
        });
        is_due.then(|| {
            self.told = Some((now_ms, numbers));
            Line::Numbers
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(second: i64, wanted: i32, error: Option<&str>) -> Status {
        Status {
            at_ms: second * 1000,
            facts_ms: 0,
            wanted,
            active: true,
            lag: 0,
            members: Some(3),
            hpa: None,
            trouble: None,
            error: error.map(str::to_owned),
            is_fallback: false,
            stock_wanted: None,
        }
    }

    /// The seconds of ten minutes at which there is a line, and the line.
    fn told(look: impl Fn(i64) -> Status) -> Vec<(i64, Line)> {
        let mut telling = Telling::default();
        let lines = (1..=600).filter_map(|second| Some((second, telling.look(&look(second))?)));
        lines.collect()
    }

    #[test]
    fn numbers_that_stay_are_told_every_five_minutes() {
        let seconds: Vec<i64> =
            told(|second| status(second, 12, None)).iter().map(|t| t.0).collect();
        assert_eq!(seconds, [1, 301]);
    }

    #[test]
    fn a_number_that_changes_is_told_at_once_and_one_that_trembles_no_more_often_than_a_sync() {
        let step = told(|second| status(second, if second < 100 { 12 } else { 20 }, None));
        let seconds: Vec<i64> = step.iter().map(|t| t.0).collect();
        assert_eq!(seconds, [1, 100, 400]);
        let trembles = told(|second| status(second, 12 + (second % 2) as i32, None));
        let most = trembles.len();
        assert!((20..=40).contains(&most), "{most}");
        assert!(trembles.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 15), "{trembles:?}");
    }

    #[test]
    fn a_look_that_fails_is_told_once_then_now_and_then_and_when_it_is_over() {
        let lines = told(|second| {
            let error = (50..130).contains(&second).then_some("Kafka does not answer at b:9092");
            status(second, 12, error)
        });
        let facts = |said| Line::Facts(said);
        assert_eq!(
            lines,
            [
                (1, Line::Numbers),
                (50, facts(Said::Began)),
                (110, facts(Said::GoesOn { for_s: 60.0 })),
                (130, facts(Said::Over { for_s: 80.0 })),
                (301, Line::Numbers),
            ]
        );
    }

    #[test]
    fn nothing_is_told_of_numbers_that_nobody_decided() {
        let never = told(|second| status(second, 0, Some("gone")));
        assert!(never.iter().all(|(_, line)| *line != Line::Numbers), "{never:?}");
        let settling = Some(Trouble::Settling { left_s: 3.0 });
        assert!(
            told(|second| Status { trouble: settling.clone(), ..status(second, 3, None) })
                .is_empty()
        );
    }
}
