//! The letters that this process has published: they are not published again with their
//! batch. Pure; so many are remembered and no more.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::Letter;

/// Letters that are remembered as published.
const REMEMBERED: usize = 10_000;

/// A letter: topic, partition, offset, code of its reason.
pub(super) type Id = (Arc<str>, i32, i64, &'static str);

/// The letters published last.
#[derive(Default)]
pub(super) struct Published {
    ids: HashSet<Id>,
    order: VecDeque<Id>,
}

impl Published {
    pub(super) fn has(&self, letter: &Letter<'_>) -> bool {
        self.ids.contains(&id(letter))
    }

    pub(super) fn add(&mut self, id: Id) {
        if self.ids.insert(id.clone()) {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

pub(super) fn id(letter: &Letter<'_>) -> Id {
    let (record, why) = letter;
    (Arc::clone(&record.topic), record.partition, record.offset, why.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::reason;

    #[test]
    fn so_many_letters_are_remembered_and_no_more() {
        let mut published = Published::default();
        let topic: Arc<str> = "t".into();
        let id = |offset| (Arc::clone(&topic), 0, offset, reason::BAD_JSON);
        let count = REMEMBERED as i64 + 5;
        (0..count).for_each(|offset| published.add(id(offset)));
        published.add(id(count - 1));
        assert_eq!((published.ids.len(), published.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!published.ids.contains(&id(4)) && published.ids.contains(&id(5)));
    }
}
