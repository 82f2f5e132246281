//! Profiles from TOML or YAML.

use crate::{LoadProfile, Phase, text};

/// A profile that cannot be used, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct ProfileError {
    /// File or built-in name.
    pub name: String,
    /// Field, value and what is allowed.
    pub reason: String,
}

impl LoadProfile {
    /// Reads a profile. The name's ending decides: `.yaml` and `.yml` are YAML,
    /// everything else is TOML. Unknown keys are refused.
    ///
    /// # Errors
    /// [`ProfileError`]: one line with name, field, value and what is allowed.
    pub fn from_text(name: &str, text: &str) -> Result<Self, ProfileError> {
        let wrong = |reason: String| ProfileError { name: name.to_owned(), reason };
        let profile: Self = text::read(name, text).map_err(|error| wrong(error.to_string()))?;
        profile.check().map_err(wrong)?;
        Ok(profile)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first field that is wrong, its value and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        within("keys", f64::from(self.keys), 1.0, 9000.0)?;
        within("zipf", self.zipf, 0.0, 5.0)?;
        within("poison_per_million", f64::from(self.poison_per_million), 0.0, 1e6)?;
        if self.phases.is_empty() {
            return Err("phases is empty: at least one of step, ramp, sine, burst".into());
        }
        for (index, phase) in self.phases.iter().enumerate() {
            check_phase(phase).map_err(|reason| format!("phases[{index}].{reason}"))?;
        }
        Ok(())
    }
}

const MAX_RATE: f64 = 1e7;
const MAX_S: f64 = 1e8;

fn check_phase(phase: &Phase) -> Result<(), String> {
    within("duration_s", phase.duration_s(), 1e-3, MAX_S)?;
    match *phase {
        Phase::Step { rate_per_s, .. } => within("rate_per_s", rate_per_s, 0.0, MAX_RATE),
        Phase::Ramp { from_per_s, to_per_s, .. } => {
            within("from_per_s", from_per_s, 0.0, MAX_RATE)?;
            within("to_per_s", to_per_s, 0.0, MAX_RATE)
        }
        Phase::Sine { mean_per_s, amplitude_per_s, period_s, .. } => {
            within("mean_per_s", mean_per_s, 0.0, MAX_RATE)?;
            within("amplitude_per_s", amplitude_per_s, 0.0, mean_per_s)?;
            within("period_s", period_s, 1e-3, MAX_S)
        }
        Phase::Burst { base_per_s, peak_per_s, every_s, burst_s, .. } => {
            within("base_per_s", base_per_s, 0.0, MAX_RATE)?;
            within("peak_per_s", peak_per_s, 0.0, MAX_RATE)?;
            within("every_s", every_s, 1e-3, MAX_S)?;
            within("burst_s", burst_s, 0.0, every_s)
        }
    }
}

fn within(field: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(format!("{field} = {value}: allowed is {low} to {high}"))
}
