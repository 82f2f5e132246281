//! What can be done to a running pipeline.

use serde::Serialize;

/// Who is on the other side of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Service {
    Kafka,
    Database,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// RST: what was under way is lost.
    Reset,
    /// FIN: an orderly end.
    Close,
}

/// One fault. `pod` is taken modulo the pods that are there; `share` is the part of the
/// open connections that is hit, percent, at least one. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Fault {
    /// SIGKILL; another pod starts later.
    PodKill { pod: u32, back_after_ms: u64 },
    /// SIGSTOP and SIGCONT, shorter than the session timeout.
    PodPause { pod: u32, for_ms: u64 },
    /// The same past the session timeout: a zombie owner wakes up.
    PodZombie { pod: u32, for_ms: u64 },
    /// SIGTERM: it must drain and exit 0; another pod starts later.
    PodTerm { pod: u32, back_after_ms: u64 },
    /// More pods.
    ScaleUp { pods: u32 },
    /// Fewer pods, by SIGTERM.
    ScaleDown { pods: u32 },
    /// SIGKILL of the broker, restarted later.
    BrokerKill { down_ms: u64 },
    /// SIGSTOP and SIGCONT of the broker.
    BrokerPause { for_ms: u64 },
    /// The server's immediate shutdown: no checkpoint, recovery at the start.
    DatabaseImmediate { down_ms: u64 },
    /// SIGKILL of the server's main process and of all others.
    DatabaseKill { down_ms: u64 },
    /// The server's fast shutdown: sessions are told.
    DatabaseRestart { down_ms: u64 },
    /// Every session of the database is terminated by an administrator.
    SessionsTerminated,
    /// The database answers reads only, as after a failover to a standby.
    DatabaseReadOnly { for_ms: u64 },
    /// Somebody else holds the lock that every write needs.
    DatabaseLocked { for_ms: u64 },
    /// Connections are cut.
    Cut { service: Service, share: u32, ending: Ending },
    /// Connections carry nothing any more and never end: both peers are on their own.
    HalfOpen { service: Service, share: u32 },
    /// Requests arrive, their answers do not; then the connections are cut.
    AnswersLost { service: Service, share: u32, for_ms: u64 },
    /// Each packet is late.
    Slow { service: Service, delay_ms: u64, for_ms: u64 },
    /// Nothing passes, then everything.
    Stall { service: Service, for_ms: u64 },
    /// Reachable and not, in turns.
    Flap { service: Service, times: u32, down_ms: u64, up_ms: u64 },
}

impl Fault {
    /// The name it is counted under.
    pub(crate) fn name(&self) -> &'static str {
        let kafka = |service: &Service| *service == Service::Kafka;
        match self {
            Self::PodKill { .. } => "pod_kill",
            Self::PodPause { .. } => "pod_pause",
            Self::PodZombie { .. } => "pod_zombie",
            Self::PodTerm { .. } => "pod_term",
            Self::ScaleUp { .. } => "scale_up",
            Self::ScaleDown { .. } => "scale_down",
            Self::BrokerKill { .. } => "broker_kill",
            Self::BrokerPause { .. } => "broker_pause",
            Self::DatabaseImmediate { .. } => "database_immediate",
            Self::DatabaseKill { .. } => "database_kill",
            Self::DatabaseRestart { .. } => "database_restart",
            Self::SessionsTerminated => "sessions_terminated",
            Self::DatabaseReadOnly { .. } => "database_read_only",
            Self::DatabaseLocked { .. } => "database_locked",
            Self::Cut { service, .. } if kafka(service) => "kafka_cut",
            Self::Cut { .. } => "database_cut",
            Self::HalfOpen { service, .. } if kafka(service) => "kafka_half_open",
            Self::HalfOpen { .. } => "database_half_open",
            Self::AnswersLost { service, .. } if kafka(service) => "kafka_answers_lost",
            Self::AnswersLost { .. } => "database_answers_lost",
            Self::Slow { service, .. } if kafka(service) => "kafka_slow",
            Self::Slow { .. } => "database_slow",
            Self::Stall { service, .. } if kafka(service) => "kafka_stall",
            Self::Stall { .. } => "database_stall",
            Self::Flap { service, .. } if kafka(service) => "kafka_flap",
            Self::Flap { .. } => "database_flap",
        }
    }
}
