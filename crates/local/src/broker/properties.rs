//! `server.properties` of a node. Pure.

use std::path::Path;

use super::{BrokerOptions, Cluster, Listener};

/// Ports of a node on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) broker: u16,
    pub(super) controller: u16,
}

/// The settings: small, single replica, and tuned for fast KIP-848 rebalances.
///
/// The broker decides a KIP-848 group's timing. A heartbeat of 200 ms and no
/// batching of assignments settle a rescale in well under a second; the minimum
/// intervals have to be lowered for that too.
pub(super) fn server(ports: Ports, data: &Path, options: &BrokerOptions) -> String {
    let mut stock = stock(ports, data, options.advertised_port.unwrap_or(ports.broker));
    if let Some(cluster) = &options.join {
        stock = joined(&stock, ports, cluster);
    }
    let stock = with_listeners(stock, options);
    let is_replaced = |line: &str| {
        options.settings.iter().any(|(key, _)| line.split('=').next() == Some(key.as_str()))
    };
    let kept = stock.lines().filter(|line| !is_replaced(line)).map(str::to_owned);
    let own = options.settings.iter().map(|(key, value)| format!("{key}={value}"));
    kept.chain(own).flat_map(|line| [line, "\n".to_owned()]).collect()
}

/// A broker without a controller, in another's cluster.
fn joined(stock: &str, Ports { broker, controller }: Ports, cluster: &Cluster) -> String {
    let listeners = format!("listeners=PLAINTEXT://127.0.0.1:{broker}");
    let (node_id, voter) = (cluster.node_id, cluster.controller_port);
    stock
        .replace("process.roles=broker,controller", "process.roles=broker")
        .replace("node.id=1\n", &format!("node.id={node_id}\n"))
        .replace(
            &format!("voters=1@127.0.0.1:{controller}"),
            &format!("voters=1@127.0.0.1:{voter}"),
        )
        .replace(&format!("{listeners},CONTROLLER://127.0.0.1:{controller}"), &listeners)
}

/// Further listeners in the three lines that name them, and who brokers talk through.
fn with_listeners(stock: String, options: &BrokerOptions) -> String {
    if options.listeners.is_empty() {
        return stock;
    }
    let mut lines: Vec<String> = stock.lines().map(str::to_owned).collect();
    for Listener { name, protocol, port } in &options.listeners {
        for line in &mut lines {
            match line.split('=').next() {
                Some("listeners") => line.push_str(&format!(",{name}://127.0.0.1:{port}")),
                Some("advertised.listeners") => {
                    line.push_str(&format!(",{name}://localhost:{port}"));
                }
                Some("listener.security.protocol.map") => {
                    line.push_str(&format!(",{name}:{protocol}"));
                }
                _ => {}
            }
        }
    }
    lines.push("inter.broker.listener.name=PLAINTEXT".into());
    lines.join("\n") + "\n"
}

fn stock(ports: Ports, data: &Path, advertised: u16) -> String {
    let Ports { broker, controller } = ports;
    let data = data.display();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.heartbeat.interval.ms=200
group.consumer.min.heartbeat.interval.ms=100
group.consumer.session.timeout.ms=6000
group.consumer.min.session.timeout.ms=1000
group.consumer.assignment.interval.ms=0
log.cleaner.dedupe.buffer.size=8388608
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
num.network.threads=2
num.io.threads=4
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { broker: 19092, controller: 19093 };

    #[test]
    fn options_replace_the_stock_lines() {
        let options = BrokerOptions {
            advertised_port: Some(29092),
            settings: vec![("group.consumer.session.timeout.ms".into(), "3000".into())],
            ..BrokerOptions::default()
        };
        let text = server(PORTS, Path::new("/data"), &options);
        assert!(text.contains("\nadvertised.listeners=PLAINTEXT://127.0.0.1:29092\n"), "{text}");
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:19092,"), "{text}");
        assert_eq!(text.matches("group.consumer.session.timeout.ms").count(), 1, "{text}");
        assert!(text.ends_with("group.consumer.session.timeout.ms=3000\n"), "{text}");
    }

    #[test]
    fn a_broker_that_joins_is_no_controller_and_votes_for_none() {
        let options = BrokerOptions {
            join: Some(Cluster { id: "x".into(), controller_port: 19999, node_id: 2 }),
            ..BrokerOptions::default()
        };
        let text = server(PORTS, Path::new("/data"), &options);
        for line in [
            "process.roles=broker\n",
            "node.id=2\n",
            "controller.quorum.voters=1@127.0.0.1:19999\n",
            "\nlisteners=PLAINTEXT://127.0.0.1:19092\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("19093"), "{text}");
    }

    #[test]
    fn a_further_listener_is_named_three_times() {
        let listener = Listener { name: "TLS", protocol: "SSL", port: 29094 };
        let options = BrokerOptions { listeners: vec![listener], ..BrokerOptions::default() };
        let text = server(PORTS, Path::new("/data"), &options);
        for part in [
            ",CONTROLLER://127.0.0.1:19093,TLS://127.0.0.1:29094\n",
            "advertised.listeners=PLAINTEXT://127.0.0.1:19092,TLS://localhost:29094\n",
            ",CONTROLLER:PLAINTEXT,TLS:SSL\n",
            "inter.broker.listener.name=PLAINTEXT\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn listens_on_loopback_only() {
        let text = server(PORTS, Path::new("/data"), &BrokerOptions::default());
        for line in text.lines().filter(|line| line.contains("://")) {
            assert_eq!(
                line.matches("://").count(),
                line.matches("://127.0.0.1:").count(),
                "{line}"
            );
        }
        assert!(text.contains("log.dirs=/data\n"));
        let keys: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
        let mut unique = keys.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), keys.len(), "a key is set twice");
    }
}
