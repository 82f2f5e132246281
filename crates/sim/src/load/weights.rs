//! Each partition's share of the load.

use tidegate_profile::LoadProfile;

use crate::scenario::{Spread, Topic};

/// Shares that sum to 1, one a partition.
pub fn partition_weights(topic: &Topic, load: &LoadProfile) -> Vec<f64> {
    let partitions = topic.partitions as usize;
    let raw = match (topic.weights.is_empty(), topic.spread) {
        (false, _) => topic.weights.clone(),
        (true, Spread::Keys) => by_keys(partitions, load.keys, load.zipf),
        (true, Spread::Even) => vec![1.0; partitions],
    };
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|weight| weight / sum).collect()
}

/// The accounts `ACC1000` and up, the first ones the hottest, hashed as the producer does.
fn by_keys(partitions: usize, keys: u32, zipf: f64) -> Vec<f64> {
    let mut shares = vec![0.0; partitions];
    for key in 0..keys {
        let name = format!("ACC{}", 1000 + key);
        let hash = murmur2(name.as_bytes()) & 0x7FFF_FFFF;
        shares[hash as usize % partitions] += f64::from(key + 1).powf(-zipf);
    }
    shares
}

/// Murmur2 as Kafka's default partitioner uses it (`Utils.murmur2`).
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5BD1_E995;
    let mut hash = 0x9747_B28C ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from the test of Kafka's own `Utils.murmur2`.
    #[test]
    fn murmur2_is_kafkas() {
        assert_eq!(murmur2(b"21") as i32, -973_932_308);
        assert_eq!(murmur2(b"foobar") as i32, -790_332_482);
        assert_eq!(murmur2(b"a-little-bit-long-string") as i32, -985_981_536);
        assert_eq!(murmur2(b"abc") as i32, 479_470_107);
    }

    #[test]
    fn a_zipf_law_makes_one_partition_hot() {
        let hottest = |zipf| by_keys(100, 200, zipf).into_iter().fold(0.0, f64::max);
        let total: f64 = by_keys(100, 200, 1.1).iter().sum();
        // The first of 200 keys has 1/H(200, 1.1), about a quarter of everything.
        assert!(hottest(1.1) / total > 0.2, "{}", hottest(1.1) / total);
        assert!(hottest(0.0) / 200.0 < 0.05);
    }

    #[test]
    fn explicit_weights_are_relative() {
        let topic = Topic { partitions: 2, weights: vec![3.0, 1.0], ..Topic::default() };
        let load = LoadProfile::constant(1.0, None);
        assert_eq!(partition_weights(&topic, &load), [0.75, 0.25]);
    }
}
