//! The further scenarios, and what the law is told to keep in each.

/// Scenario (`config/scenarios/suite/NAME.toml`), and the promised age, seconds.
pub(crate) const SUITE: [(&str, f64); 12] = [
    ("ramp", 30.0),
    ("diurnal", 30.0),
    ("burst-train", 30.0),
    ("flash-crowd", 60.0),
    ("hot-key", 30.0),
    ("slow-sink", 30.0),
    ("broker-outage", 60.0),
    ("noisy-load", 30.0),
    ("slow-nodes", 60.0),
    ("tenant-step", 30.0),
    ("weekend", 30.0),
    ("sawtooth", 30.0),
];
