//! ScaledObjects that an operator who tunes stock KEDA could come to.

use std::error::Error;
use std::fmt;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tidegate_autoscale::scaled_object::ScaledObject;

/// What is varied; the rest is as KEDA has it. Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    min: u32,
    lag_threshold: u32,
    even: bool,
    up_window_s: u32,
    up_pods: u32,
    up_period_s: u32,
    down_window_s: u32,
    down_percent: u32,
    down_period_s: u32,
    tolerance: f64,
}

/// Candidates; the same for the same seed. `need` is the number of pods that the
/// load of today keeps busy: some candidates keep that many, or more, at all times.
pub(crate) fn candidates(count: usize, need: f64) -> Vec<Settings> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut pick = |values: &[u32]| values[random.random_range(0..values.len())];
    (0..count)
        .map(|_| Settings {
            min: (need * f64::from(pick(&[0, 0, 50, 100, 120, 150])) / 100.0).ceil() as u32,
            lag_threshold: pick(&[30, 50, 80, 100, 130, 170, 200, 300, 500, 1000, 2000, 5000]),
            even: pick(&[0, 1]) == 1,
            up_window_s: pick(&[0, 0, 15, 60]),
            up_pods: pick(&[4, 10, 30, 100]),
            up_period_s: pick(&[15, 60]),
            down_window_s: pick(&[15, 60, 120, 300, 600]),
            down_percent: pick(&[10, 50, 100]),
            down_period_s: pick(&[15, 60]),
            tolerance: f64::from(pick(&[0, 5, 10, 20])) / 100.0,
        })
        .collect()
}

impl Settings {
    /// As a ScaledObject with these bounds.
    pub(crate) fn object(&self, max: u32) -> Result<ScaledObject, Box<dyn Error>> {
        let min = self.min.min(max);
        let Self { lag_threshold, even, up_window_s, up_pods, up_period_s, .. } = self;
        let Self { down_window_s, down_percent, down_period_s, tolerance, .. } = self;
        let text = format!(
            "
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: candidate}}
spec:
  scaleTargetRef: {{name: consumer}}
  pollingInterval: 1
  cooldownPeriod: 300
  minReplicaCount: {min}
  maxReplicaCount: {max}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp:
          stabilizationWindowSeconds: {up_window_s}
          tolerance: {tolerance}
          policies: [{{type: Pods, value: {up_pods}, periodSeconds: {up_period_s}}}]
        scaleDown:
          stabilizationWindowSeconds: {down_window_s}
          tolerance: {tolerance}
          policies: [{{type: Percent, value: {down_percent}, periodSeconds: {down_period_s}}}]
  triggers:
  - type: kafka
    metricType: AverageValue
    metadata:
      bootstrapServers: b:9092
      topic: t
      consumerGroup: g
      lagThreshold: \"{lag_threshold}\"
      offsetResetPolicy: earliest
      ensureEvenDistributionOfPartitions: \"{even}\"
"
        );
        Ok(ScaledObject::from_yaml(&text, "candidate")?)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lagThreshold {}, min {}, even distribution {}, up {} pods/{} s after {} s, \
             down {} %/{} s after {} s, tolerance {}",
            self.lag_threshold,
            self.min,
            self.even,
            self.up_pods,
            self.up_period_s,
            self.up_window_s,
            self.down_percent,
            self.down_period_s,
            self.down_window_s,
            self.tolerance
        )
    }
}
