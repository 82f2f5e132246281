//! What the client says of itself, once each. Pure.
//!
//! Contract: an error of a kind is said when it comes first, and then at most every
//! [`REMINDER`], with how often it came meanwhile. A kind that is over, or did not come for
//! that long, is said anew.
//!
//! A kind is the client's code. The words are none: they hold addresses and counts, and a
//! client without brokers says them twenty times a second.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

/// Between two lines of the same kind.
pub(crate) const REMINDER: Duration = Duration::from_secs(30);

type Kind = Option<RDKafkaErrorCode>;

/// The kinds that were said, few at any time.
#[derive(Debug, Default)]
pub(crate) struct Said(Vec<Line>);

#[derive(Debug)]
struct Line {
    kind: Kind,
    said: Instant,
    /// How often it came since.
    times: u64,
}

impl Said {
    /// An error comes. If it is to be said now: how often it came since it was last said.
    pub(crate) fn comes(&mut self, kind: Kind, now: Instant) -> Option<u64> {
        let Some(line) = self.0.iter_mut().find(|line| line.kind == kind) else {
            self.0.push(Line { kind, said: now, times: 0 });
            return Some(1);
        };
        line.times += 1;
        if now.duration_since(line.said) < REMINDER {
            return None;
        }
        line.said = now;
        Some(std::mem::take(&mut line.times))
    }

    /// A kind is over; whether it was said.
    pub(crate) fn is_over(&mut self, kind: RDKafkaErrorCode) -> bool {
        let before = self.0.len();
        self.0.retain(|line| line.kind != Some(kind));
        self.0.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: RDKafkaErrorCode = RDKafkaErrorCode::AllBrokersDown;
    const BROKEN: RDKafkaErrorCode = RDKafkaErrorCode::BrokerTransportFailure;

    #[test]
    fn a_kind_is_said_once_then_counted_and_again_when_it_was_over() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut said = Said::default();
        assert_eq!(said.comes(Some(DOWN), at(0)), Some(1));
        assert_eq!(said.comes(Some(BROKEN), at(0)), Some(1), "another kind");
        for s in 1..30 {
            assert_eq!(said.comes(Some(DOWN), at(s)), None, "{s}");
        }
        assert_eq!(said.comes(Some(DOWN), at(30)), Some(30));
        assert_eq!(said.comes(Some(DOWN), at(31)), None);
        assert!(said.is_over(DOWN));
        assert!(!said.is_over(DOWN), "it is over once");
        assert_eq!(said.comes(Some(DOWN), at(32)), Some(1));
        assert_eq!(said.comes(Some(BROKEN), at(32)), Some(1), "it did not come for long");
        assert_eq!(said.comes(None, at(32)), Some(1), "an error without a code");
    }
}
