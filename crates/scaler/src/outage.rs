//! Something that cannot be read for a while: which looks are worth a line. Pure.
//!
//! Contract: the first failure is said at once, and its end. In between the same is said
//! once a minute; another reason, which may be a new one at each look, at most every ten
//! seconds.

/// The same reason is said again after this.
const AGAIN_MS: i64 = 60_000;
/// Another reason is said after this.
const OTHER_MS: i64 = 10_000;

/// What is to be said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Said {
    /// It begins.
    Began,
    /// It goes on, for so long already.
    GoesOn {
        /// Seconds.
        for_s: f64,
    },
    /// It is over, after so long.
    Over {
        /// Seconds.
        for_s: f64,
    },
}

/// An outage, or none.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    now: Option<Since>,
}

#[derive(Debug)]
struct Since {
    began_ms: i64,
    said_ms: i64,
    why: String,
}

impl Outage {
    /// Notes a look, which failed where there is a reason.
    pub(crate) fn look(&mut self, now_ms: i64, why: Option<&str>) -> Option<Said> {
        let for_s = |since: &Since| now_ms.saturating_sub(since.began_ms) as f64 / 1000.0;
        let Some(why) = why else {
            return self.now.take().map(|since| Said::Over { for_s: for_s(&since) });
        };
        let Some(since) = &mut self.now else {
            self.now = Some(Since { began_ms: now_ms, said_ms: now_ms, why: why.to_owned() });
            return Some(Said::Began);
        };
        let apart_ms = if since.why == why { AGAIN_MS } else { OTHER_MS };
        if now_ms.saturating_sub(since.said_ms) < apart_ms {
            return None;
        }
        (since.said_ms, since.why) = (now_ms, why.to_owned());
        Some(Said::GoesOn { for_s: for_s(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_once_then_each_minute_and_when_it_is_over() {
        let mut outage = Outage::default();
        let mut said = Vec::new();
        for second in 0..150 {
            let why = (10..140).contains(&second).then_some("refused");
            if let Some(line) = outage.look(second * 1000, why) {
                said.push((second, line));
            }
        }
        let goes_on = |for_s| Said::GoesOn { for_s };
        let over = Said::Over { for_s: 130.0 };
        assert_eq!(
            said,
            [(10, Said::Began), (70, goes_on(60.0)), (130, goes_on(120.0)), (140, over)]
        );
    }

    #[test]
    fn reasons_that_change_at_each_look_are_no_flood() {
        let mut outage = Outage::default();
        let why = |second: i64| format!("partition {second} has no leader");
        let said = (0..60).filter_map(|second| outage.look(second * 1000, Some(&why(second))));
        assert_eq!(said.count(), 6);
    }
}
