//! Work on all cores; results in the order of the input.
//!
//! Threads: scoped, one a core, taking the next item from a counter. Rejected: a thread
//! pool (one call in a second needs none).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Applies `work` to every item. `None` when `stop` was set before all were done; what was
/// under way is finished and dropped.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    stop: &AtomicBool,
    work: impl Fn(&T) -> R + Sync,
) -> Option<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    if done.len() < items.len() {
        return None;
    }
    done.sort_by_key(|(index, _)| *index);
    Some(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_threads() {
        let items: Vec<u32> = (0..1000).collect();
        let stop = AtomicBool::new(false);
        let squares = map(&items, 7, &stop, |item| item * item).expect("not stopped");
        assert!(squares.iter().zip(&items).all(|(square, item)| *square == item * item));
        assert_eq!(map(&items[..0], 4, &stop, |item| *item), Some(Vec::new()));
    }

    #[test]
    fn a_stop_leaves_no_half_result() {
        let stop = AtomicBool::new(true);
        assert_eq!(map(&[1, 2, 3], 2, &stop, |item| *item), None);
    }
}
