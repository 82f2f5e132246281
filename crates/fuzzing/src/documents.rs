//! Manifests, profiles and scenarios: read, or refused in one line.

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_pipeline::Mapping;
use tidegate_profile::LoadProfile;
use tidegate_sim::Scenario;

use crate::assert_one_line;

/// KEDA's manifest. What is accepted keeps the bounds in order.
pub fn scaled_object(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ScaledObject::from_yaml(text, "manifest.yaml") {
        Err(error) => {
            let line = error.to_string();
            assert_one_line(&line);
            assert!(line.starts_with("manifest.yaml: "), "{line}");
        }
        Ok(object) => {
            assert!(!object.name().is_empty());
            assert!((0..=object.max_replicas()).contains(&object.min_replicas()));
        }
    }
}

/// A load profile. What is accepted has a finite load that never shrinks.
pub fn profile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for name in ["p.toml", "p.yaml"] {
        match LoadProfile::from_text(name, text) {
            Err(error) => assert_one_line(&error.to_string()),
            Ok(profile) => {
                let mut due = 0.0_f64;
                for step in 0..=16 {
                    let now = profile.cumulative(profile.duration_s() * f64::from(step) / 16.0);
                    assert!(now.is_finite() && now >= due - 1e-6 * due.abs(), "{due} then {now}");
                    due = now;
                }
                let first: Vec<u64> = profile.arrivals().take(64).collect();
                assert!(first.is_sorted(), "{first:?}");
            }
        }
    }
}

/// A mapping file.
pub fn mapping(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for name in ["m.toml", "m.yaml"] {
        match Mapping::from_text(name, text) {
            Err(error) => assert_one_line(&error.to_string()),
            Ok(mapping) => {
                assert!(!mapping.table().is_empty());
                assert!(mapping.postgres_shape().written().next().is_some());
                assert!(mapping.sqlite_shape().written().next().is_some());
            }
        }
    }
}

/// A simulator's scenario.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for name in ["s.toml", "s.yaml"] {
        if let Err(error) = Scenario::from_text(name, text) {
            assert_one_line(&error.to_string());
        }
    }
}
