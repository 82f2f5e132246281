//! A broker that lasts as long as a case, and a process that ends with it.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_local::broker::{Broker, BrokerOptions, Distribution};

use crate::run::say;

/// A broker for throughput: the JVM's own compiler and a heap that is not the limit.
pub(crate) fn start(directory: &Path) -> anyhow::Result<Broker> {
    let distribution = Distribution::find(&mut say)?;
    let options = BrokerOptions {
        jvm_flags: Some(vec!["-Xmx1g".into(), "-XX:+UseParallelGC".into()]),
        ..BrokerOptions::default()
    };
    Ok(Broker::start_with(&distribution, directory, &options)?)
}

/// Creates a topic with one replica.
pub(crate) fn create_topic(bootstrap: &str, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let admin = Admin::new(&ConnectionOptions::new(bootstrap))?;
    admin.wait_ready(Duration::from_secs(30))?;
    admin.create_topic(topic, partitions, 1, &[])?;
    Ok(())
}

/// Killed and waited for when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
