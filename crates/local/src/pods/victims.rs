//! Which pods go when there are too many. Pure.

use super::PodState;

/// Numbers of the pods to remove, as Kubernetes' ReplicaSet orders them where
/// that is simple: not ready before ready, then the newest first.
pub(super) fn choose(pods: &[(u64, PodState)], excess: usize) -> Vec<u64> {
    let mut order: Vec<(bool, u64)> = pods
        .iter()
        .filter(|(_, state)| *state != PodState::Draining)
        .map(|(number, state)| (*state == PodState::Ready, *number))
        .collect();
    order.sort_by_key(|(ready, number)| (*ready, std::cmp::Reverse(*number)));
    order.into_iter().take(excess).map(|(_, number)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_ready_first_then_newest_and_never_one_that_goes_already() {
        use PodState::{BackingOff, Draining, Ready, Starting};
        let pods =
            [(1, Ready), (2, BackingOff), (3, Ready), (4, Draining), (5, Starting), (6, Ready)];
        assert_eq!(choose(&pods, 4), [5, 2, 6, 3]);
        assert_eq!(choose(&pods, 99).len(), 5);
        assert!(choose(&pods, 0).is_empty());
    }
}
