//! Who gets which partition. Pure.

/// No owner.
pub(crate) const NOBODY: usize = usize::MAX;

/// Even shares that move as few partitions as possible. `owners` holds an index into the
/// members for each partition, or [`NOBODY`]; so does the answer. Without members all are
/// nobody's. Ties go to the earlier member and the lower partition.
pub(crate) fn sticky(owners: &[usize], members: usize) -> Vec<usize> {
    if members == 0 {
        return vec![NOBODY; owners.len()];
    }
    let mut held = vec![0_usize; members];
    for owner in owners.iter().filter(|owner| **owner != NOBODY) {
        held[*owner] += 1;
    }
    let limit = limits(&held, owners.len());
    let mut kept = vec![0_usize; members];
    let mut target = vec![NOBODY; owners.len()];
    for (place, owner) in target.iter_mut().zip(owners) {
        if *owner != NOBODY && kept[*owner] < limit[*owner] {
            kept[*owner] += 1;
            *place = *owner;
        }
    }
    for place in target.iter_mut().filter(|place| **place == NOBODY) {
        let open = (0..members).filter(|member| kept[*member] < limit[*member]);
        if let Some(member) = open.min_by_key(|member| kept[*member]) {
            kept[member] += 1;
            *place = member;
        }
    }
    target
}

/// How many partitions each member may hold: the even share, and one more for the rest,
/// which goes first to those who hold more than the share already.
fn limits(held: &[usize], partitions: usize) -> Vec<usize> {
    let (share, mut rest) = (partitions / held.len(), partitions % held.len());
    let mut limit = vec![share; held.len()];
    for wants_more in [true, false] {
        for (limit, held) in limit.iter_mut().zip(held) {
            if rest > 0 && *limit == share && (*held > share) == wants_more {
                *limit += 1;
                rest -= 1;
            }
        }
    }
    limit
}

/// Contiguous ranges in the members' order, the first ones longer.
pub(crate) fn range(partitions: usize, members: usize) -> Vec<usize> {
    if members == 0 {
        return vec![NOBODY; partitions];
    }
    let (share, rest) = (partitions / members, partitions % members);
    (0..members)
        .flat_map(|member| std::iter::repeat_n(member, share + usize::from(member < rest)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_contiguous() {
        assert_eq!(range(7, 3), [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(range(2, 3), [0, 1]);
        assert_eq!(range(2, 0), [NOBODY, NOBODY]);
    }

    fn any_group() -> impl Strategy<Value = (Vec<usize>, usize)> {
        (1..120_usize).prop_flat_map(|members| {
            let owner = prop_oneof![1 => Just(NOBODY), 4 => 0..members];
            (prop::collection::vec(owner, 1..120), Just(members))
        })
    }

    proptest! {
        #[test]
        fn sticky_is_even_and_moves_the_least((owners, members) in any_group()) {
            let target = sticky(&owners, members);
            let held = |of: &[usize], member| of.iter().filter(|owner| **owner == member).count();
            let after: Vec<usize> = (0..members).map(|member| held(&target, member)).collect();
            prop_assert_eq!(after.iter().sum::<usize>(), owners.len());
            let (least, most) = (after.iter().min(), after.iter().max());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1));
            // Nobody gives up a partition that counts in its new share.
            for (member, after) in after.iter().enumerate() {
                let kept = owners.iter().zip(&target)
                    .filter(|(was, is)| **was == member && **is == member).count();
                prop_assert_eq!(kept, held(&owners, member).min(*after));
            }
            // The larger shares are with those who had more: no fewer moves are possible.
            let (share, rest) = (owners.len() / members, owners.len() % members);
            let rich = (0..members).filter(|member| held(&owners, *member) > share).count();
            let kept_most: usize = (0..members).map(|member| held(&owners, member).min(share)).sum();
            let kept = owners.iter().zip(&target).filter(|(was, is)| was == is && **was != NOBODY).count();
            prop_assert_eq!(kept, kept_most + rich.min(rest));
        }
    }
}
