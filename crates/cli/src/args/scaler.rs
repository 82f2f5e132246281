//! `tidegate scaler`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tidegate_scaler::PodMetrics;
use tidegate_scaler::kubernetes::ACCOUNT;

use super::{CommonArgs, KafkaArgs, LawName};

const EXAMPLES: &str = "\
Examples:
  tidegate scaler --brokers kafka:9092 --listen 0.0.0.0:6000 --metrics-addr 0.0.0.0:8000
  tidegate scaler --brokers kafka:9092 --grpc-tls-cert tls.crt --grpc-tls-key tls.key --grpc-tls-client-ca ca.crt
  tidegate scaler --brokers kafka:9092 --kubernetes --namespace '*' --fence-pods --pod-selector app=trade-tx-consumer
  tidegate scaler --brokers kafka:9092 --listen 0.0.0.0:6000 --fence-pods
  tidegate scaler --shadow --brokers kafka:9092 --topic trade-tx --group tx-trade-workers
  tidegate scaler --shadow --scaled-object my-scaledobject.yaml --brokers kafka:9092 --kubernetes
  tidegate scaler replay --series run.csv --scaled-object demo --law slo --target-age 60

The ScaledObject to use it with: config/scaled-object-external.yaml; every key: docs/scaler.md.
Stops on SIGTERM or Ctrl-C.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct ScalerArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ScalerCommand>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    /// A further cluster that ScaledObjects may name as bootstrapServers, repeatable
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) cluster: Vec<String>,
    /// Where KEDA reaches it by gRPC [default: 127.0.0.1:6000]
    #[arg(long, value_name = "HOST:PORT", env = "TIDEGATE_SCALER_LISTEN")]
    pub(crate) listen: Option<String>,
    /// Where /metrics, /healthz, /readyz, /decisions listen, or "off" [default: 127.0.0.1:8002]
    #[arg(long, value_name = "HOST:PORT", env = "TIDEGATE_METRICS_ADDR")]
    pub(crate) metrics_addr: Option<String>,
    /// ScaledObjects at most [default: 2000]
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_objects: Option<u64>,
    /// Certificate chain of the gRPC server (PEM); without it gRPC is plaintext
    #[arg(long, value_name = "FILE", requires = "grpc_tls_key")]
    pub(crate) grpc_tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "grpc_tls_cert")]
    pub(crate) grpc_tls_key: Option<PathBuf>,
    /// Only clients with a certificate of this CA (PEM) are served
    #[arg(long, value_name = "FILE", requires = "grpc_tls_cert")]
    pub(crate) grpc_tls_client_ca: Option<PathBuf>,
    /// Ask the pods of a group at HOST:PORT whether their sink is the limit (all addresses of the
    /// name, as of a headless service), repeatable; podMetricsPort of a ScaledObject asks the members
    #[arg(long, value_name = "GROUP=HOST:PORT")]
    pub(crate) pod_metrics: Vec<PodMetrics>,
    #[command(flatten)]
    pub(crate) kubernetes: KubernetesArgs,
    /// Take members of dead pods out of their group, so that others get their partitions at
    /// once; with the pod's own rights (list and watch pods) unless --kubernetes-url is given
    #[arg(long)]
    pub(crate) fence_pods: bool,
    /// Serve nothing: log and export what would be decided, for the ScaledObjects of the
    /// files, or without one for --group on --topic
    #[arg(long)]
    pub(crate) shadow: bool,
    /// Group of a shadow without a file [default: tx-trade-workers]
    #[arg(long, value_name = "NAME", env = "CONSUMER_GROUP")]
    pub(crate) group: Option<String>,
    /// A ScaledObject to shadow, repeatable: with an external or KEDA's own Kafka trigger
    #[arg(long, value_name = "FILE", requires = "shadow")]
    pub(crate) scaled_object: Vec<PathBuf>,
    /// The promise in shadow, where the ScaledObject has none
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) target_age: f64,
}

/// The Kubernetes API, for what may be read from it.
#[derive(Debug, Clone, Args)]
pub(crate) struct KubernetesArgs {
    /// Use the Kubernetes API with the pod's own rights: replica counts from the HPAs (list), and
    /// one that KEDA made while no scaler answered is mended (patch)
    #[arg(long)]
    pub(crate) kubernetes: bool,
    /// Where the pod's token, the server's CA and the namespace are
    #[arg(long, value_name = "DIRECTORY", env = "TIDEGATE_KUBERNETES_ACCOUNT", default_value = ACCOUNT)]
    pub(crate) kubernetes_account: PathBuf,
    /// The API at another address, for example http://127.0.0.1:8001 of `kubectl proxy`
    #[arg(long, value_name = "URL")]
    pub(crate) kubernetes_url: Option<String>,
    /// CA of that address (PEM)
    #[arg(long, value_name = "FILE", requires = "kubernetes_url")]
    pub(crate) kubernetes_ca: Option<PathBuf>,
    /// A file with the token for it
    #[arg(long, value_name = "FILE", requires = "kubernetes_url")]
    pub(crate) kubernetes_token_file: Option<PathBuf>,
    /// Only this namespace, or "*" for all [default: the pod's own; all with --kubernetes-url]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Pods that --fence-pods watches, for example app=trade-tx-consumer [default: all]
    #[arg(long, value_name = "LABEL=VALUE")]
    pub(crate) pod_selector: Option<String>,
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  tidegate scaler replay --series run.csv --scaled-object config/scaled-object-external.yaml
  tidegate scaler replay --series run.csv --scaled-object demo --law slo --target-age 60 --json

The series is what `simulate --csv` and `up --csv` write. The law sees the recorded pods
and says what it would do; what that would have changed, `tidegate simulate` shows.";

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ScalerCommand {
    /// Run a recorded series through the law and print its decisions
    Replay(ReplayArgs),
}

#[derive(Debug, Clone, Args)]
#[command(after_help = REPLAY_EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// The recording (CSV)
    #[arg(long, value_name = "FILE")]
    pub(crate) series: PathBuf,
    /// What scales the pods: "local", "demo" or a file, external triggers included
    #[arg(long, value_name = "NAME|FILE", default_value = "demo")]
    pub(crate) scaled_object: String,
    /// Who decides [default: slo for an external trigger, else stock]
    #[arg(long, value_enum)]
    pub(crate) law: Option<LawName>,
    /// The promise of the slo law, where the ScaledObject has none
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) target_age: f64,
    /// Partitions the recording is spread over
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) partitions: u32,
    /// Print one JSON object a decision
    #[arg(long)]
    pub(crate) json: bool,
}
