//! A `tidegate scaler` under test, and a client of it as KEDA has one.

#![allow(dead_code)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidegate_scaler::proto::external_scaler_client::ExternalScalerClient;
use tidegate_scaler::proto::{GetMetricsRequest, IsActiveResponse, ScaledObjectRef};
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Status, Streaming};

use super::support::{Process, get, tidegate, wait_for};

/// Nothing that is waited for takes longer.
pub(crate) const POLL: Duration = Duration::from_secs(60);

/// The word after this in its log, text or JSON.
pub(crate) fn said(process: &Process, what: &str) -> String {
    wait_for(&format!("{what}\n{}", process.log()), POLL, || {
        let text = process.log();
        let (_, rest) = text.split_once(what)?;
        let (word, _) = rest.split_once(|end: char| end == '"' || end.is_whitespace())?;
        Some(word.to_owned())
    })
}

/// A process of the binary, as the pod of this name where one is given.
pub(crate) fn start(
    directory: &Path,
    name: &str,
    arguments: &[&str],
    pod: Option<&str>,
) -> Process {
    let mut command = tidegate();
    command.args(arguments).envs(pod.map(|pod| ("POD_NAME", pod)));
    Process::start(command, directory, name)
}

/// A consumer's arguments.
pub(crate) fn consume<'a>(kafka: &'a str, topic: &'a str, database: &'a str) -> Vec<&'a str> {
    vec![
        "consume",
        "--brokers",
        kafka,
        "--topic",
        topic,
        "--database",
        database,
        "--metrics-addr",
        "off",
        "--protocol",
        "consumer",
    ]
}

/// A scaler and a client of it, as KEDA has one.
pub(crate) struct Scaler {
    pub(crate) process: Process,
    pub(crate) http: String,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) client: ExternalScalerClient<Channel>,
    pub(crate) channel: Channel,
}

impl Scaler {
    pub(crate) fn start(directory: &Path, bootstrap: &str, further: &[&str]) -> Self {
        Self::with(directory, bootstrap, further, &[], None)
    }

    /// With variables of its environment, and TLS where its gRPC has it.
    pub(crate) fn with(
        directory: &Path,
        bootstrap: &str,
        further: &[&str],
        variables: &[(&str, &str)],
        tls: Option<ClientTlsConfig>,
    ) -> Self {
        let mut arguments = vec!["scaler", "--brokers", bootstrap, "--listen", "127.0.0.1:0"];
        arguments.extend(["--metrics-addr", "127.0.0.1:0"]);
        arguments.extend(further);
        // A test may have several: each has a log of its own.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("scaler-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut command = tidegate();
        command.args(arguments).envs(variables.iter().copied());
        let process = Process::start(command, directory, &name);
        let http = said(&process, "Metrics available at http://").replace("/metrics", "");
        let grpc = said(&process, "gRPC available at ");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let channel = runtime.block_on(connect(&grpc, tls)).expect("connects");
        let client = ExternalScalerClient::new(channel.clone());
        Self { process, http, runtime, client, channel }
    }

    pub(crate) fn is_active(&self, object: &ScaledObjectRef) -> Result<bool, Status> {
        let (mut client, object) = (self.client.clone(), object.clone());
        self.runtime
            .block_on(async move { Ok(client.is_active(object).await?.into_inner().result) })
    }

    pub(crate) fn stream(&self, object: &ScaledObjectRef) -> Streaming<IsActiveResponse> {
        let (mut client, object) = (self.client.clone(), object.clone());
        self.runtime
            .block_on(async move { client.stream_is_active(object).await })
            .expect("a stream")
            .into_inner()
    }

    pub(crate) fn next(&self, stream: &mut Streaming<IsActiveResponse>) -> bool {
        let next =
            self.runtime.block_on(async { tokio::time::timeout(POLL, stream.message()).await });
        next.expect("in time").expect("no error").expect("not the end").result
    }

    /// What an HPA sync and a poll do: GetMetricSpec, GetMetrics, IsActive.
    pub(crate) fn metric(&self, object: &ScaledObjectRef) -> Result<Metric, Status> {
        let (mut client, object) = (self.client.clone(), object.clone());
        self.runtime.block_on(async move {
            let spec =
                client.get_metric_spec(object.clone()).await?.into_inner().metric_specs.remove(0);
            let request = GetMetricsRequest {
                scaled_object_ref: Some(object.clone()),
                metric_name: spec.metric_name.clone(),
            };
            let mut values = client.get_metrics(request).await?.into_inner().metric_values;
            let active = client.is_active(object).await?.into_inner().result;
            let value = values.remove(0);
            assert_eq!(value.metric_name, spec.metric_name);
            assert_eq!(value.metric_value as f64, value.metric_value_float, "both fields agree");
            assert_eq!(spec.target_size as f64, spec.target_size_float, "both fields agree");
            Ok(Metric {
                name: spec.metric_name,
                target: spec.target_size,
                value: value.metric_value,
                active,
            })
        })
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let (code, body) = get(&self.http, path).expect("answers");
        assert_eq!(code, 200, "{path}");
        body
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) target: i64,
    pub(crate) value: i64,
    pub(crate) active: bool,
}

pub(crate) fn object(name: &str, topic: &str, pairs: &[(&str, &str)]) -> ScaledObjectRef {
    let binding = [
        ("scalerAddress", "tidegate-scaler:6000"),
        ("topic", topic),
        ("consumerGroup", "tx-trade-workers"),
    ];
    let pairs = binding.iter().chain(pairs);
    let scaler_metadata: HashMap<String, String> =
        pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ScaledObjectRef { name: name.into(), namespace: "trades".into(), scaler_metadata }
}

/// A client of gRPC at `HOST:PORT`.
pub(crate) async fn connect(
    grpc: &str,
    tls: Option<ClientTlsConfig>,
) -> Result<Channel, tonic::transport::Error> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Channel::from_shared(format!("{scheme}://{grpc}")).expect("endpoint");
    match tls {
        Some(tls) => endpoint.tls_config(tls)?.connect().await,
        None => endpoint.connect().await,
    }
}
