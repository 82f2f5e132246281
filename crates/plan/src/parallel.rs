//! Work on all cores.
//!
//! Threads: scoped, one a core, taking the next item from a counter. Rejected: a thread
//! pool (one call in a second needs none).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Threads, and the flag that stops them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crew<'a> {
    pub(crate) threads: usize,
    pub(crate) stop: &'a AtomicBool,
}

/// Applies `work` to every item; results in the order of the input. `None` when `stop` was set before all were done; what was
/// under way is finished and dropped.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    Crew { threads, stop }: Crew<'_>,
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

/// Work that may leave more work, and what is done.
#[derive(Debug)]
struct Heap<T, R> {
    open: Vec<T>,
    done: Vec<R>,
    /// Items that are being worked on.
    under_way: usize,
}

/// Works off items, and those that come of them, the latest first; the results in any order.
/// `None` when `stop` was set before all were done.
pub(crate) fn work_off<T: Send, R: Send>(
    open: Vec<T>,
    Crew { threads, stop }: Crew<'_>,
    work: impl Fn(T) -> (Vec<T>, Vec<R>) + Sync,
) -> Option<Vec<R>> {
    let heap = Mutex::new(Heap { open, done: Vec::new(), under_way: 0 });
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(item) = next(&heap, &changed, stop) {
                    let ended = Ended { heap: &heap, changed: &changed };
                    let (more, done) = work(item);
                    let mut heap = lock(&heap);
                    heap.open.extend(more);
                    heap.done.extend(done);
                    drop(heap);
                    drop(ended);
                }
            });
        }
    });
    let heap = heap.into_inner().unwrap_or_else(PoisonError::into_inner);
    heap.open.is_empty().then_some(heap.done)
}

/// The next item; waits for one as long as somebody may still leave one.
fn next<T, R>(heap: &Mutex<Heap<T, R>>, changed: &Condvar, stop: &AtomicBool) -> Option<T> {
    let mut heap = lock(heap);
    while !stop.load(Ordering::Relaxed) {
        if let Some(item) = heap.open.pop() {
            heap.under_way += 1;
            return Some(item);
        }
        if heap.under_way == 0 {
            return None;
        }
        heap = changed.wait(heap).unwrap_or_else(PoisonError::into_inner);
    }
    None
}

/// Tells the others that an item is worked off, also by a panic: nobody waits for it.
struct Ended<'a, T, R> {
    heap: &'a Mutex<Heap<T, R>>,
    changed: &'a Condvar,
}

impl<T, R> Drop for Ended<'_, T, R> {
    fn drop(&mut self) {
        lock(self.heap).under_way -= 1;
        self.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_threads() {
        let items: Vec<u32> = (0..1000).collect();
        let stop = &AtomicBool::new(false);
        let squares =
            map(&items, Crew { threads: 7, stop }, |item| item * item).expect("not stopped");
        assert!(squares.iter().zip(&items).all(|(square, item)| *square == item * item));
        assert_eq!(map(&items[..0], Crew { threads: 4, stop }, |item| *item), Some(Vec::new()));
    }

    #[test]
    fn a_stop_leaves_no_half_result() {
        let crew = Crew { threads: 2, stop: &AtomicBool::new(true) };
        assert_eq!(map(&[1, 2, 3], crew, |item| *item), None);
        assert_eq!(work_off(vec![1, 2, 3], crew, |item| (vec![], vec![item])), None);
    }

    #[test]
    fn work_that_comes_of_work_is_done() {
        let stop = &AtomicBool::new(false);
        // Every number leaves its two halves, down to one.
        let halves = |number: u32| {
            if number == 1 {
                return (Vec::new(), vec![1]);
            }
            (vec![number / 2, number - number / 2], Vec::new())
        };
        for threads in 1..5 {
            let ones: Vec<u32> =
                work_off(vec![700, 300], Crew { threads, stop }, halves).expect("all");
            assert_eq!(ones.len(), 1000);
        }
        assert_eq!(
            work_off(Vec::<u32>::new(), Crew { threads: 2, stop }, halves),
            Some(Vec::new())
        );
    }
}
