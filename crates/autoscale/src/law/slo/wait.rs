//! Whether writes have become fast again, told by how long records wait where pods have
//! time to spare.
//!
//! Pods that are plenty are never busy, so that nothing is learned of their rate. But the
//! records that are in flight tell how long a write takes: by Little's law they are the
//! arrival rate times the time from arrival to commit. Where that time was seen at rest,
//! rose to a level while a low rate was learned, and is now what it was, writes are what
//! they were.
//!
//! A slow spell that does not show at rest (a cost for each record, in small batches)
//! leaves no level, and its end is not seen. Where the time was what it usually is all the
//! while, pods do less than was guessed for another reason.

use std::collections::VecDeque;

/// A level is at rest when so many blocks in a row ...
const BLOCKS: usize = 4;
/// ... of this long each, seconds ...
const BLOCK_S: f64 = 5.0;
/// ... differ by less than this share of their mean. A wave that passes through two blocks
/// makes them equal for a moment, but not four.
const AT_REST: f64 = 0.2;
/// A spell shows when records wait this many times as long as usual, and so much longer,
/// seconds: a few records more or less in flight are chance ...
const SLOW: f64 = 1.5;
const SLOW_S: f64 = 0.05;
/// ... and is over when they wait at most so many times as long.
const AGAIN_USUAL: f64 = 1.2;
/// How much of a difference one more second at rest takes in.
const GAIN: f64 = 0.05;

/// What a level says while a low rate is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spell {
    /// It was seen, and is over.
    Over,
    /// None was seen: writes take what they usually do, or nothing usual is known.
    NotSeen,
}

/// Seconds from arrival to commit, in the mean, now and usually.
#[derive(Debug, Clone, Default)]
pub(super) struct Wait {
    /// Spans and record-seconds, one level's worth.
    recent: VecDeque<(f64, f64)>,
    usual_s: Option<f64>,
    /// A slow spell was seen at rest.
    slow: bool,
}

impl Wait {
    /// Pods came or went, or records are more than pods can do.
    pub(super) fn disturbed(&mut self) {
        self.recent.clear();
    }

    /// Records waited for `wait_s` in the mean in the last `span_s`; `is_low` says that the
    /// pods' rate is believed to be below what it was at best. What that tells of a
    /// slow spell, if anything.
    pub(super) fn observe(&mut self, span_s: f64, wait_s: f64, is_low: bool) -> Option<Spell> {
        self.recent.push_back((span_s, wait_s * span_s));
        while self.recent.iter().map(|(span_s, _)| span_s).sum::<f64>() > BLOCKS as f64 * BLOCK_S {
            self.recent.pop_front();
        }
        let now_s = self.level_s()?;
        if !is_low {
            let usual_s = self.usual_s.get_or_insert(now_s);
            *usual_s += GAIN * (now_s - *usual_s);
            self.slow = false;
            return None;
        }
        let Some(usual_s) = self.usual_s else { return Some(Spell::NotSeen) };
        if now_s > (SLOW * usual_s).max(usual_s + SLOW_S) {
            self.slow = true;
        }
        let is_usual = now_s <= (AGAIN_USUAL * usual_s).max(usual_s + SLOW_S);
        let over = is_usual && std::mem::take(&mut self.slow);
        is_usual.then_some(if over { Spell::Over } else { Spell::NotSeen })
    }

    /// The level, when it is at rest.
    fn level_s(&self) -> Option<f64> {
        let mut blocks = [(0.0, 0.0); BLOCKS];
        let mut ago_s = 0.0;
        for (span_s, record_s) in self.recent.iter().rev() {
            ago_s += span_s;
            let index = ((ago_s / BLOCK_S).ceil() as usize).clamp(1, BLOCKS) - 1;
            blocks[index] = (blocks[index].0 + span_s, blocks[index].1 + record_s);
        }
        if ago_s < (BLOCKS as f64 - 0.2) * BLOCK_S || blocks.iter().any(|block| block.0 <= 0.0) {
            return None;
        }
        let means = blocks.map(|(span_s, record_s)| record_s / span_s);
        let mean = means.iter().sum::<f64>() / BLOCKS as f64;
        let (least, most) =
            means.iter().fold((f64::MAX, 0.0_f64), |(a, b), m| (a.min(*m), b.max(*m)));
        (most - least < AT_REST * mean).then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When something is said first, and what.
    fn fed(wait: &mut Wait, seconds: usize, wait_s: f64, is_low: bool) -> Option<(usize, Spell)> {
        (0..seconds).find_map(|at| Some((at, wait.observe(1.0, wait_s, is_low)?)))
    }

    #[test]
    fn a_level_that_came_and_went_is_a_spell_that_is_over() {
        let mut wait = Wait::default();
        assert_eq!(fed(&mut wait, 60, 1.5, false), None);
        wait.disturbed();
        assert_eq!(fed(&mut wait, 60, 4.5, true), None);
        let (after, said) = fed(&mut wait, 60, 1.5, true).expect("over");
        assert_eq!(said, Spell::Over);
        assert!((15..25).contains(&after), "at rest again, {after} s");
        assert_eq!(fed(&mut wait, 60, 1.5, true), Some((0, Spell::NotSeen)), "said once");
    }

    #[test]
    fn a_low_rate_with_the_usual_wait_is_no_spell() {
        let mut wait = Wait::default();
        assert_eq!(fed(&mut wait, 60, 1.5, false), None);
        wait.disturbed();
        let (after, said) = fed(&mut wait, 60, 1.7, true).expect("at rest");
        assert_eq!(said, Spell::NotSeen);
        assert!((15..25).contains(&after), "at rest, {after} s");
        // Somewhat longer is neither.
        wait.disturbed();
        assert_eq!(fed(&mut wait, 60, 2.0, true), None);
    }

    #[test]
    fn a_spell_that_does_not_show_at_rest_is_not_judged() {
        let mut wait = Wait::default();
        fed(&mut wait, 60, 1.5, false);
        // A backlog that drains is no level.
        for second in 0..40 {
            assert_eq!(wait.observe(1.0, 20.0 * 0.93_f64.powi(second), true), None);
        }
        assert_eq!(fed(&mut wait, 300, 1.5, true).map(|(_, said)| said), Some(Spell::NotSeen));
    }

    #[test]
    fn nothing_usual_was_seen() {
        let mut wait = Wait::default();
        let said = |found: Option<(usize, Spell)>| found.map(|(_, said)| said);
        assert_eq!(said(fed(&mut wait, 60, 4.5, true)), Some(Spell::NotSeen));
        assert_eq!(said(fed(&mut wait, 60, 1.5, true)), Some(Spell::NotSeen));
    }
}
