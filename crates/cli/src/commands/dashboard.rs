//! `up --dashboard`: the page of a run while it goes on.

use std::net::{SocketAddr, TcpListener};

use tidegate_web::Live;

use crate::config::Config;
use crate::exit::bad_input;

/// Listens before anything is started, so that an address in use costs no run.
///
/// # Errors
/// Another machine's address, or one that cannot be listened on.
pub(super) fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let wrong = |why: &dyn std::fmt::Display| bad_input(format!("--dashboard {address}: {why}"));
    let allowed = "allowed is an address of this machine only, 127.0.0.1:PORT or [::1]:PORT";
    let parsed: SocketAddr = address.parse().map_err(|_| wrong(&allowed))?;
    if !parsed.ip().is_loopback() {
        return Err(wrong(&allowed));
    }
    let listener = TcpListener::bind(parsed).map_err(|error| wrong(&error))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// An empty page for a run.
pub(super) fn live(config: &Config) -> Live {
    Live::new(&title(config), &subtitle(config), promise_s(config))
}

/// Serves it on the current runtime, for as long as that lives.
pub(super) fn serve(listener: TcpListener, live: Live) -> anyhow::Result<Live> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tracing::info!("dashboard http://{}/", listener.local_addr()?);
    let served = live.clone().serve(listener);
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::warn!(%error, "the dashboard ended");
        }
    });
    Ok(live)
}

pub(super) fn title(config: &Config) -> String {
    format!("tidegate up: {}", config.up.profile)
}

pub(super) fn subtitle(config: &Config) -> String {
    let up = &config.up;
    format!("on real Kafka · law: {} · {} partitions", up.law, up.partitions)
}

pub(super) fn promise_s(config: &Config) -> Option<f64> {
    (config.up.law == "slo").then_some(config.up.target_age_s)
}
