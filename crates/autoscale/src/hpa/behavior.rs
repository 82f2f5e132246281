//! Scaling behavior, after the API server's defaulting.

/// What a policy counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// Absolute pods.
    Pods,
    /// Percent of the size one period ago.
    Percent,
}

/// At most so much change in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Unit of `value`.
    pub kind: PolicyKind,
    /// Above 0.
    pub value: i32,
    /// 1 to 1800 seconds.
    pub period_s: i32,
}

/// Which of several policies counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Select {
    /// The one that allows the most change.
    #[default]
    Max,
    /// The one that allows the least.
    Min,
    /// No scaling in this direction.
    Disabled,
}

/// Rules of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How far back recommendations count, 0 to 3600 seconds; `None` is the
    /// controller's own default when scaling down.
    pub stabilization_window_s: Option<i32>,
    /// Which policy counts.
    pub select: Select,
    /// At least one.
    pub policies: Vec<Policy>,
    /// Share of the target that is not worth a change; `None` is the controller's 0.1.
    pub tolerance: Option<f64>,
}

impl Rules {
    /// What the API server fills in for `scaleUp`: at once, four pods or a doubling
    /// in 15 seconds, whichever is more.
    pub fn default_up() -> Self {
        Self {
            stabilization_window_s: Some(0),
            select: Select::Max,
            policies: vec![
                Policy { kind: PolicyKind::Pods, value: 4, period_s: 15 },
                Policy { kind: PolicyKind::Percent, value: 100, period_s: 15 },
            ],
            tolerance: None,
        }
    }

    /// What the API server fills in for `scaleDown`: all pods within 15 seconds,
    /// after the controller's stabilization window.
    pub fn default_down() -> Self {
        Self {
            stabilization_window_s: None,
            select: Select::Max,
            policies: vec![Policy { kind: PolicyKind::Percent, value: 100, period_s: 15 }],
            tolerance: None,
        }
    }

    /// The window in milliseconds, the controller's default filled in.
    pub fn window_ms(&self) -> i64 {
        self.stabilization_window_s
            .map_or(super::DOWNSCALE_STABILIZATION_MS, |seconds| i64::from(seconds) * 1000)
    }

    /// The longest period of the policies, milliseconds.
    pub fn longest_period_ms(&self) -> i64 {
        self.policies.iter().map(|policy| i64::from(policy.period_s) * 1000).max().unwrap_or(0)
    }
}

/// Rules of both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavior {
    /// Upwards.
    pub scale_up: Rules,
    /// Downwards.
    pub scale_down: Rules,
}

impl Default for Behavior {
    /// What an empty `behavior: {}` becomes.
    fn default() -> Self {
        Self { scale_up: Rules::default_up(), scale_down: Rules::default_down() }
    }
}
