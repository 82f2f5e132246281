//! A broker whose members live long, and whose records too.

#![allow(dead_code)]

use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_local::broker::BrokerOptions;

use crate::broker::TestBroker;

/// A one-node Kafka of a test.
pub(crate) struct Kafka(TestBroker);

impl Kafka {
    pub(crate) fn start() -> Self {
        let settings = [
            ("group.consumer.heartbeat.interval.ms", "500"),
            ("group.consumer.session.timeout.ms", "45000"),
        ];
        let options = BrokerOptions {
            settings: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            ..BrokerOptions::default()
        };
        Self(TestBroker::start(tempfile::tempdir().expect("directory"), options))
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.0.bootstrap().to_owned()
    }

    pub(crate) fn connection(&self) -> ConnectionOptions {
        ConnectionOptions::new(self.bootstrap())
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) {
        let admin = Admin::new(&self.connection()).expect("admin");
        // Some tests send records with times of their own: retention would delete old ones.
        admin.create_topic(topic, partitions, 1, &[("retention.ms", "-1")]).expect("topic");
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.0.stop();
    }

    /// SIGKILL: gone at once.
    pub(crate) fn kill(&mut self) {
        self.0.broker().kill();
    }

    pub(crate) fn start_again(&mut self) {
        self.0.start_again();
    }
}
