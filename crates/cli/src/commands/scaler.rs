//! `tidegate scaler`: KEDA's external scaler, its shadow, and the replay of a recording.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate_autoscale::law::{Law, SloLaw, StockLaw, StockOptions};
use tidegate_scaler::kubernetes::KubernetesOptions;
use tidegate_scaler::manifest::{Manifest, Trigger};
use tidegate_scaler::metadata::LawSettings;
use tidegate_scaler::replay::{self, Replayed};
use tidegate_scaler::shadow::Shadow;
use tidegate_scaler::{Error, Scaler, ScalerOptions, TlsFiles};

use super::{parts, scaled_object};
use crate::args::{KubernetesArgs, LawName, ReplayArgs, ScalerArgs, ScalerCommand};
use crate::config::{Config, Layers};
use crate::exit::{Outcome, bad_input};
use crate::logging;
use crate::signals::{StopSignals, service_stop};

pub(super) fn run(args: &ScalerArgs) -> anyhow::Result<Outcome> {
    if let Some(ScalerCommand::Replay(args)) = &args.command {
        return replay(args);
    }
    logging::init(args.common.log_format);
    let config = config(args)?;
    let options = options(args, &config)?;
    let manifests = manifests(args, &config)?;
    let bound = |error: Error| match &error {
        Error::Listen { address, .. } if *address == config.scaler.listen => {
            said(error).context("--listen")
        }
        Error::Listen { .. } => said(error).context("--metrics-addr"),
        _ => said(error),
    };
    parts::runtime()?.block_on(async {
        let signals = StopSignals::install()?;
        let stop = async {
            service_stop(signals, false).await;
        };
        if args.shadow {
            let shadow = Shadow::bind(options, manifests, args.target_age).await.map_err(bound)?;
            if let Some(address) = shadow.http_address() {
                tracing::info!("Metrics available at http://{address}/metrics");
            }
            shadow.run(stop).await.map_err(said)?;
        } else {
            let scaler = Scaler::bind(options).await.map_err(bound)?;
            if let Some(address) = scaler.http_address()? {
                tracing::info!("Metrics available at http://{address}/metrics");
            }
            tracing::info!("gRPC available at {}", scaler.address()?);
            scaler.run(stop).await.map_err(said)?;
        }
        Ok(Outcome::Done)
    })
}

/// What the user can mend is bad input.
fn said(error: Error) -> anyhow::Error {
    match error {
        Error::Option { .. } | Error::File { .. } | Error::Kubernetes(_) => {
            bad_input(error.to_string())
        }
        Error::Kafka(inner @ tidegate_kafka::Error::Option { .. }) => bad_input(inner.to_string()),
        other => other.into(),
    }
}

/// What a shadow watches.
fn manifests(args: &ScalerArgs, config: &Config) -> anyhow::Result<Vec<Manifest>> {
    if args.shadow && args.scaled_object.is_empty() {
        let namespace = KubernetesOptions::own_namespace(&args.kubernetes.kubernetes_account)
            .unwrap_or_else(|| "default".into());
        let (group, topic) = (&config.consume.group, &config.kafka.topic);
        return Ok(vec![Manifest::of_group(&namespace, group, topic, args.target_age)]);
    }
    if args.group.is_some() {
        tracing::warn!("--group is not used: it is for a shadow without --scaled-object");
    }
    Manifest::from_files(&args.scaled_object).map_err(said)
}

fn config(args: &ScalerArgs) -> anyhow::Result<Config> {
    let mut layers = Layers::read(args.common.config.as_deref())?;
    parts::lay_kafka(&mut layers, &args.kafka)?;
    layers.set("scaler", "listen", "--listen", args.listen.clone())?;
    layers.set("scaler", "metrics_addr", "--metrics-addr", args.metrics_addr.clone())?;
    layers.set("scaler", "max_objects", "--max-objects", args.max_objects)?;
    layers.set("consume", "group", "--group", args.group.clone())?;
    layers.resolve()
}

fn options(args: &ScalerArgs, config: &Config) -> anyhow::Result<ScalerOptions> {
    let first = parts::connection(&config.kafka, &args.kafka, "tidegate-scaler")?;
    let mut clusters = vec![first.clone()];
    for brokers in &args.cluster {
        let further = first.for_cluster(brokers);
        further.validate().map_err(|error| bad_input(format!("--cluster: {error}")))?;
        clusters.push(further);
    }
    let http = config.scaler.metrics_addr.clone();
    let tls = args.grpc_tls_cert.clone().zip(args.grpc_tls_key.clone());
    Ok(ScalerOptions {
        listen: config.scaler.listen.clone(),
        http: (http != "off").then_some(http),
        clusters,
        interval: Duration::from_millis(config.scaler.interval_ms),
        wake_interval: Duration::from_millis(config.scaler.wake_interval_ms),
        max_objects: usize::try_from(config.scaler.max_objects).unwrap_or(usize::MAX),
        tls: tls.map(|(certificate, key)| TlsFiles {
            certificate,
            key,
            client_ca: args.grpc_tls_client_ca.clone(),
        }),
        pod_metrics: args.pod_metrics.clone(),
        kubernetes: kubernetes(&args.kubernetes, args.fence_pods)?,
        follow_hpas: args.kubernetes.kubernetes || args.kubernetes.kubernetes_url.is_some(),
        fence_pods: args.fence_pods,
    })
}

fn kubernetes(
    args: &KubernetesArgs,
    watches_pods: bool,
) -> anyhow::Result<Option<KubernetesOptions>> {
    let options = match &args.kubernetes_url {
        Some(url) => KubernetesOptions {
            url: url.clone(),
            ca: args.kubernetes_ca.clone(),
            token: args.kubernetes_token_file.clone(),
            namespace: None,
            pod_selector: String::new(),
        },
        None if args.kubernetes || watches_pods => {
            KubernetesOptions::in_cluster(&args.kubernetes_account).map_err(said)?
        }
        None => return Ok(None),
    };
    Ok(Some(KubernetesOptions {
        namespace: args
            .namespace
            .clone()
            .or_else(|| options.namespace.clone())
            .filter(|namespace| namespace != "*"),
        pod_selector: args.pod_selector.clone().unwrap_or_default(),
        ..options
    }))
}

fn replay(args: &ReplayArgs) -> anyhow::Result<Outcome> {
    let name = args.series.display();
    let text = std::fs::read_to_string(&args.series)
        .map_err(|error| bad_input(format!("--series {name}: {error}")))?;
    let rows = replay::read(&text).map_err(|why| bad_input(format!("--series {name}: {why}")))?;
    let first_ms = rows.first().map_or(0, |row| (row.t_s * 1000.0) as i64);
    let mut law = law(args, first_ms)?;
    for replayed in replay::replay(&rows, args.partitions, law.as_mut()) {
        print(&replayed, args.json)?;
    }
    Ok(Outcome::Done)
}

fn law(args: &ReplayArgs, now_ms: i64) -> anyhow::Result<Box<dyn Law>> {
    let refused = |why: String| bad_input(format!("--scaled-object {}: {why}", args.scaled_object));
    let path = PathBuf::from(&args.scaled_object);
    let is_named = matches!(args.scaled_object.as_str(), "local" | "demo");
    let manifest = if is_named {
        let object = scaled_object::read(&args.scaled_object)?;
        Manifest {
            namespace: "default".into(),
            name: object.name().to_owned(),
            trigger: Trigger::Kafka(Box::new(object)),
        }
    } else {
        Manifest::from_file(Path::new(&path)).map_err(said)?
    };
    let settings = manifest.settings(args.target_age).map_err(refused)?;
    match (&manifest.trigger, args.law, settings.law) {
        (Trigger::Kafka(object), None | Some(LawName::Stock), _) => {
            Ok(Box::new(StockLaw::new((**object).clone(), StockOptions::default(), now_ms)))
        }
        (_, None | Some(LawName::Slo), LawSettings::Slo(options)) => {
            Ok(Box::new(SloLaw::new(*options, now_ms).map_err(|error| refused(error.to_string()))?))
        }
        _ => Err(refused("the stock law needs KEDA's own Kafka trigger".into())),
    }
}

fn print(replayed: &Replayed, json: bool) -> anyhow::Result<()> {
    if json {
        let line = serde_json::json!({
            "t_s": replayed.t_s, "recorded": replayed.recorded, "decision": replayed.decision,
        });
        anstream::println!("{}", serde_json::to_string(&line)?);
    } else {
        anstream::println!(
            "{:>8.1} s  recorded {:>3}  law {:>3}  {}",
            replayed.t_s,
            replayed.recorded,
            replayed.decision.to,
            replayed.decision.explanation()
        );
    }
    Ok(())
}
