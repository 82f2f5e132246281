//! The draw of a round.

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Ending, Fault, Limits, Planned, Protocol, Round, Service, SinkKind};

/// Processes that share a SQLite file: its one writer is a queue.
const SQLITE_PODS_MAX: u32 = 8;
/// A broker needs about this long to come back, ms; a PostgreSQL server less.
const BROKER_BACK_MS: u64 = 9_000;
const DATABASE_BACK_MS: u64 = 2_500;

/// Chances of a kind, in no unit.
const WEIGHTS: [(Draw, u32); 25] = [
    (Draw::PodKill, 15),
    (Draw::PodPause, 9),
    (Draw::PodZombie, 6),
    (Draw::PodTerm, 8),
    (Draw::ScaleUp, 4),
    (Draw::ScaleDown, 4),
    (Draw::Storm, 2),
    (Draw::BrokerKill, 2),
    (Draw::BrokerPause, 2),
    (Draw::Database(Fault::DatabaseImmediate { down_ms: 0 }), 3),
    (Draw::Database(Fault::DatabaseKill { down_ms: 0 }), 3),
    (Draw::Database(Fault::DatabaseRestart { down_ms: 0 }), 1),
    (Draw::Database(Fault::SessionsTerminated), 4),
    (Draw::Database(Fault::DatabaseReadOnly { for_ms: 0 }), 2),
    (Draw::Locked, 2),
    (Draw::Cut(Service::Kafka), 5),
    (Draw::Cut(Service::Database), 7),
    (Draw::HalfOpen(Service::Kafka), 3),
    (Draw::HalfOpen(Service::Database), 4),
    (Draw::AnswersLost(Service::Kafka), 3),
    (Draw::AnswersLost(Service::Database), 6),
    (Draw::Slow(Service::Kafka), 3),
    (Draw::Slow(Service::Database), 4),
    (Draw::Stall, 5),
    (Draw::Flap, 4),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Draw {
    PodKill,
    PodPause,
    PodZombie,
    PodTerm,
    ScaleUp,
    ScaleDown,
    Storm,
    BrokerKill,
    BrokerPause,
    /// Something that the server itself does or suffers.
    Database(Fault),
    Locked,
    Cut(Service),
    HalfOpen(Service),
    AnswersLost(Service),
    Slow(Service),
    Stall,
    Flap,
}

impl Round {
    /// Draws a round; see the module for what it depends on.
    pub(crate) fn plan(seed: u64, number: u64, limits: &Limits) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        let is_sqlite = limits.sqlite_every > 0 && number % limits.sqlite_every == 2;
        let sink = if is_sqlite { SinkKind::Sqlite } else { SinkKind::Postgres };
        let pods_max =
            if is_sqlite { limits.pods_max.min(SQLITE_PODS_MAX) } else { limits.pods_max };
        let usual = limits.pods_min..=pods_max.min(limits.pods_min + 9);
        let pods = rng.random_range(usual);
        let protocol =
            if number.is_multiple_of(2) { Protocol::Consumer } else { Protocol::Classic };
        let header = Self {
            number,
            protocol,
            sink,
            pods,
            partitions: 32,
            rate_per_s: if is_sqlite { 600 } else { rng.random_range(8..=16) * 100 },
            load_seed: rng.random_range(1..=1_000_000),
            batch_size: [None, Some(50), Some(200), Some(500)][rng.random_range(0..4)],
            connections: [1, 1, 2, 4][rng.random_range(0..4)],
            upsert: !is_sqlite && number % 4 == 3,
            write_ms: [0, 20, 100][rng.random_range(0..3)],
            faults: Vec::new(),
        };
        let mut drawing = Drawing {
            rng,
            limits,
            sink,
            pods,
            pods_max,
            at_ms: 0,
            broker_back_ms: 0,
            database_back_ms: 0,
            faults: Vec::new(),
        };
        while drawing.faults.len() < limits.faults {
            drawing.next();
        }
        drawing.faults.truncate(limits.faults);
        Self { faults: drawing.faults, ..header }
    }
}

struct Drawing<'a> {
    rng: ChaCha8Rng,
    limits: &'a Limits,
    sink: SinkKind,
    /// Pods that there will be, if every fault takes effect.
    pods: u32,
    pods_max: u32,
    at_ms: u64,
    /// When the server will be there again, as far as planned.
    broker_back_ms: u64,
    database_back_ms: u64,
    faults: Vec<Planned>,
}

impl Drawing<'_> {
    fn next(&mut self) {
        let draw = weighted(&mut self.rng);
        if !self.is_possible(draw) {
            return;
        }
        let gap_ms = self.limits.gap_ms as f64;
        // Exponential gaps: faults come in clusters, as real ones do.
        let drawn = -gap_ms * (1.0 - self.rng.random_range(0.0..1.0f64)).ln();
        self.at_ms += drawn.clamp(20.0, gap_ms * 3.0) as u64;
        if draw == Draw::Storm {
            return self.storm();
        }
        let fault = self.fault(draw);
        self.push(fault);
    }

    fn push(&mut self, fault: Fault) {
        match fault {
            Fault::ScaleUp { pods } => self.pods += pods,
            Fault::ScaleDown { pods } => self.pods -= pods,
            Fault::BrokerKill { down_ms } => {
                self.broker_back_ms = self.at_ms + down_ms + BROKER_BACK_MS;
            }
            Fault::BrokerPause { for_ms } => self.broker_back_ms = self.at_ms + for_ms + 500,
            Fault::DatabaseImmediate { down_ms }
            | Fault::DatabaseKill { down_ms }
            | Fault::DatabaseRestart { down_ms } => {
                self.database_back_ms = self.at_ms + down_ms + DATABASE_BACK_MS;
            }
            Fault::DatabaseReadOnly { for_ms } | Fault::DatabaseLocked { for_ms } => {
                self.database_back_ms = self.at_ms + for_ms + 500;
            }
            _ => {}
        }
        self.faults.push(Planned { at_ms: self.at_ms, fault });
    }

    /// Pods up and down faster than the group can settle.
    fn storm(&mut self) {
        for step in 0..self.rng.random_range(4..=6) {
            let draw = if step % 2 == 0 { Draw::ScaleUp } else { Draw::ScaleDown };
            if self.is_possible(draw) {
                let fault = self.fault(draw);
                self.push(fault);
                self.at_ms += self.rng.random_range(150..=600);
            }
        }
    }

    /// Whether it would hit something.
    fn is_possible(&self, draw: Draw) -> bool {
        let postgres = self.sink == SinkKind::Postgres;
        let broker = self.at_ms >= self.broker_back_ms;
        let database = self.at_ms >= self.database_back_ms;
        match draw {
            Draw::ScaleUp | Draw::Storm => self.pods < self.pods_max,
            Draw::ScaleDown => self.pods > self.limits.pods_min,
            Draw::BrokerKill
            | Draw::BrokerPause
            | Draw::Cut(Service::Kafka)
            | Draw::HalfOpen(Service::Kafka)
            | Draw::AnswersLost(Service::Kafka)
            | Draw::Slow(Service::Kafka) => broker,
            Draw::Database(_)
            | Draw::Cut(Service::Database)
            | Draw::HalfOpen(Service::Database)
            | Draw::AnswersLost(Service::Database)
            | Draw::Slow(Service::Database) => postgres && database,
            Draw::Locked => database,
            Draw::Stall | Draw::Flap => broker && database,
            _ => true,
        }
    }

    fn fault(&mut self, draw: Draw) -> Fault {
        let session_ms = self.limits.session_ms;
        let room_up = self.pods_max - self.pods;
        let room_down = self.pods - self.limits.pods_min;
        let sink = self.sink;
        let rng = &mut self.rng;
        let pod = rng.random_range(0..1_000);
        let share = [10, 30, 60, 100][rng.random_range(0..4)];
        let service = |rng: &mut ChaCha8Rng| match sink {
            SinkKind::Postgres if rng.random_ratio(2, 3) => Service::Database,
            _ => Service::Kafka,
        };
        match draw {
            Draw::PodKill => Fault::PodKill { pod, back_after_ms: rng.random_range(0..=1_500) },
            Draw::PodPause => {
                Fault::PodPause { pod, for_ms: rng.random_range(100..=session_ms / 2) }
            }
            Draw::PodZombie => Fault::PodZombie {
                pod,
                for_ms: rng.random_range(session_ms + 1_000..=session_ms * 2),
            },
            Draw::PodTerm => Fault::PodTerm { pod, back_after_ms: rng.random_range(0..=1_500) },
            Draw::ScaleUp | Draw::Storm => {
                Fault::ScaleUp { pods: rng.random_range(1..=room_up.min(8)) }
            }
            Draw::ScaleDown => Fault::ScaleDown { pods: rng.random_range(1..=room_down.min(8)) },
            Draw::BrokerKill => Fault::BrokerKill { down_ms: rng.random_range(0..=1_500) },
            Draw::BrokerPause => {
                Fault::BrokerPause { for_ms: rng.random_range(300..=session_ms + 1_000) }
            }
            Draw::Database(kind) => database(kind, rng),
            Draw::Locked => Fault::DatabaseLocked { for_ms: rng.random_range(500..=3_000) },
            Draw::Cut(service) => {
                let ending = if rng.random_ratio(2, 3) { Ending::Reset } else { Ending::Close };
                Fault::Cut { service, share, ending }
            }
            Draw::HalfOpen(service) => Fault::HalfOpen { service, share: share.min(60) },
            Draw::AnswersLost(service) => {
                Fault::AnswersLost { service, share, for_ms: rng.random_range(100..=1_000) }
            }
            Draw::Slow(service) => Fault::Slow {
                service,
                delay_ms: rng.random_range(20..=300),
                for_ms: rng.random_range(1_000..=3_000),
            },
            Draw::Stall => Fault::Stall {
                service: service(rng),
                for_ms: rng.random_range(300..=session_ms + 1_000),
            },
            Draw::Flap => Fault::Flap {
                service: service(rng),
                times: rng.random_range(2..=5),
                down_ms: rng.random_range(50..=400),
                up_ms: rng.random_range(50..=400),
            },
        }
    }
}

fn database(kind: Fault, rng: &mut ChaCha8Rng) -> Fault {
    let down_ms = rng.random_range(0..=1_200);
    match kind {
        Fault::DatabaseImmediate { .. } => Fault::DatabaseImmediate { down_ms },
        Fault::DatabaseKill { .. } => Fault::DatabaseKill { down_ms },
        Fault::DatabaseRestart { .. } => Fault::DatabaseRestart { down_ms },
        Fault::DatabaseReadOnly { .. } => Fault::DatabaseReadOnly { for_ms: down_ms + 800 },
        other => other,
    }
}

fn weighted(rng: &mut impl Rng) -> Draw {
    let total: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.random_range(0..total);
    for (draw, weight) in WEIGHTS {
        if left < weight {
            return draw;
        }
        left -= weight;
    }
    Draw::PodKill
}
