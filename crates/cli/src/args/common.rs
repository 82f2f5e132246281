//! Flags several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `[2025-12-30 16:12:06] INFO: …`
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CommonArgs {
    /// Settings file (TOML); config/default.toml shows every key
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Log lines as text or JSON (on stderr; TIDEGATE_LOG filters them)
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text", global = true)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct KafkaArgs {
    /// Kafka brokers, comma separated [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT", env = "KAFKA_BOOTSTRAP_SERVERS")]
    pub(crate) brokers: Option<String>,
    /// Topic of the trades [default: trade-tx]
    #[arg(long, value_name = "NAME", env = "KAFKA_TOPIC")]
    pub(crate) topic: Option<String>,
    /// A librdkafka setting, repeatable; keys that tidegate owns are refused
    #[arg(long = "kafka-config", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) kafka_config: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("expected KEY=VALUE, for example socket.keepalive.enable=true".into()),
    }
}
