//! The time of a batch as fixed + per record, from means at several sizes.

use serde::Serialize;

/// A size, and the mean time of batches of about that size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Records a batch, mean.
    pub records: f64,
    /// Seconds a batch, mean.
    pub batch_s: f64,
    /// Batches that were measured.
    pub batches: u64,
}

/// `seconds = fixed_s + record_s * records`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Curve {
    /// Whatever the size, seconds.
    pub fixed_s: f64,
    /// For each record, seconds.
    pub record_s: f64,
}

impl Curve {
    /// The time of a batch, seconds.
    pub fn at(&self, records: f64) -> f64 {
        self.fixed_s + self.record_s * records
    }

    /// The largest deviation of a point, as a share of it.
    pub fn worst_error(&self, points: &[Point]) -> f64 {
        points
            .iter()
            .map(|point| (self.at(point.records) / point.batch_s - 1.0).abs())
            .fold(0.0, f64::max)
    }
}

/// Least squares of the relative error, so that small batches count as much as large ones;
/// neither part below 0. `None` without a point.
pub fn fit(points: &[Point]) -> Option<Curve> {
    let points: Vec<&Point> =
        points.iter().filter(|p| p.batches > 0 && p.batch_s > 0.0 && p.records > 0.0).collect();
    // Rows (1/t, n/t), right side 1.
    let (mut aa, mut ab, mut bb, mut a1, mut b1) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for point in &points {
        let (a, b) = (1.0 / point.batch_s, point.records / point.batch_s);
        aa += a * a;
        ab += a * b;
        bb += b * b;
        a1 += a;
        b1 += b;
    }
    let only_fixed = Curve { fixed_s: a1 / aa, record_s: 0.0 };
    let only_record = Curve { fixed_s: 0.0, record_s: b1 / bb };
    match points.len() {
        0 => return None,
        1 => return Some(only_fixed),
        _ => {}
    }
    let determinant = aa * bb - ab * ab;
    if determinant <= 1e-9 * aa * bb {
        return Some(only_fixed);
    }
    let curve = Curve {
        fixed_s: (a1 * bb - b1 * ab) / determinant,
        record_s: (b1 * aa - a1 * ab) / determinant,
    };
    Some(if curve.fixed_s < 0.0 {
        only_record
    } else if curve.record_s < 0.0 {
        only_fixed
    } else {
        curve
    })
}

/// The curve where no fixed part is below `least_s`: that part, and the record's part that
/// fits the batches which take longer.
pub fn fit_from(points: &[Point], least_s: f64) -> Curve {
    let longer = points.iter().filter(|point| point.batch_s > least_s && point.batches > 0);
    let (above, square) = longer.fold((0.0, 0.0), |(above, square), point| {
        let share = point.records / point.batch_s;
        (above + share * (1.0 - least_s / point.batch_s), square + share * share)
    });
    Curve { fixed_s: least_s, record_s: if square > 0.0 { above / square } else { 0.0 } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(curve: Curve, sizes: &[f64]) -> Vec<Point> {
        sizes.iter().map(|n| Point { records: *n, batch_s: curve.at(*n), batches: 10 }).collect()
    }

    #[test]
    fn nothing_gives_nothing_and_one_size_is_all_fixed() {
        assert_eq!(fit(&[]), None);
        let one = fit(&points(Curve { fixed_s: 0.2, record_s: 0.001 }, &[100.0])).expect("curve");
        assert!((one.at(100.0) - 0.3).abs() < 1e-12 && one.record_s == 0.0);
    }

    #[test]
    fn parts_are_never_negative() {
        let falling = [(1.0, 0.5), (100.0, 0.4)];
        let points = falling.map(|(records, batch_s)| Point { records, batch_s, batches: 1 });
        let curve = fit(&points).expect("curve");
        assert!(curve.record_s == 0.0 && curve.fixed_s > 0.39 && curve.fixed_s < 0.51);
    }

    proptest! {
        #[test]
        fn a_line_is_found_again(fixed_ms in 0.1_f64..2000.0, record_us in 0.1_f64..5000.0) {
            let curve = Curve { fixed_s: fixed_ms / 1e3, record_s: record_us / 1e6 };
            let points = points(curve, &[1.0, 10.0, 100.0, 1000.0]);
            let found = fit(&points).expect("curve");
            prop_assert!(found.worst_error(&points) < 1e-6, "{found:?}");
            prop_assert!((found.fixed_s / curve.fixed_s - 1.0).abs() < 1e-3, "{found:?}");
        }
    }
}
