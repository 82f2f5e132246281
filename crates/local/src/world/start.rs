//! Kafka for a world: found or started, with its topic and the group's start offsets.
//!
//! Threads: blocking, on the main thread, before the loop begins: the broker is its child.

use std::time::{Duration, Instant};

use tidegate_kafka::{Admin, ConnectionOptions, TopicCreation};

use super::WorldOptions;
use crate::broker::{Broker, Distribution};
use crate::{Error, clock};

/// How long an existing cluster gets to answer.
const EXTERNAL_READY: Duration = Duration::from_secs(8);

/// A world whose Kafka is ready.
#[derive(Debug)]
pub struct World {
    pub(super) options: WorldOptions,
    pub(super) broker: Option<Broker>,
    pub(super) connection: ConnectionOptions,
    pub(super) partitions: u32,
    pub(super) began: Instant,
    pub(super) created_at_ms: i64,
}

impl World {
    /// Finds or starts Kafka, creates the topic, pins the group's start offsets.
    /// Blocking; call it on the main thread. `say` gets a line before anything slow.
    ///
    /// # Errors
    /// One line each; nothing is left running.
    pub fn start(options: WorldOptions, say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let began = Instant::now();
        let (broker, connection) = match &options.cluster {
            Some(cluster) => (None, cluster.clone()),
            None => {
                let distribution = Distribution::find(say)?;
                say("starting Kafka");
                let broker = Broker::start(&distribution, &options.run_dir.join("kafka"))?;
                let connection = ConnectionOptions::new(broker.bootstrap());
                (Some(broker), connection)
            }
        };
        let bootstrap = &connection.brokers;
        let admin = Admin::new(&connection)?;
        admin.wait_ready(EXTERNAL_READY)?;
        let partitions =
            match admin.create_topic(&options.topic, options.partitions as i32, -1, &[])? {
                TopicCreation::Created => options.partitions,
                TopicCreation::Exists { partitions } => partitions as u32,
            };
        let pinned = admin.pin_start_offsets(&options.group, &options.topic)?;
        say(&format!(
            "Kafka at {bootstrap}, topic {} with {partitions} partitions, start offsets of {} pinned ({} new)",
            options.topic,
            options.group,
            pinned.len()
        ));
        Ok(Self { options, broker, connection, partitions, began, created_at_ms: clock::now_ms() })
    }
}
