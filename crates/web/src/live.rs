//! A run that goes on, second by second, and the routes that serve it.
//!
//! | path | |
//! |---|---|
//! | `/` | the page; it asks for `/data.json` each second |
//! | `/data.json` | what its charts show, thinned out as in a report |
//!
//! Contract: nothing is kept but the seconds of the run. Whoever listens decides who may
//! read: the routes ask for no password, so only this machine should reach them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tidegate_autoscale::series::Second;
use tokio::net::TcpListener;

use crate::{Report, page};

const DATA: &str = "/data.json";

/// A run that goes on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    title: Arc<str>,
    subtitle: Arc<str>,
    promise_s: Option<f64>,
    seconds: Arc<Mutex<Vec<Second>>>,
}

impl Live {
    /// Before its first second; the words are a report's.
    pub fn new(title: &str, subtitle: &str, promise_s: Option<f64>) -> Self {
        Self { title: title.into(), subtitle: subtitle.into(), promise_s, seconds: Arc::default() }
    }

    /// Adds a second.
    pub fn push(&self, second: Second) {
        self.lock().push(second);
    }

    /// Serves the page for as long as it runs.
    ///
    /// # Errors
    /// As `axum::serve`.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let routes = Router::new().route("/", get(shown)).route(DATA, get(data)).with_state(self);
        axum::serve(listener, routes).await
    }

    fn report<T>(&self, of: impl FnOnce(&Report<'_>) -> T) -> T {
        let seconds = self.lock();
        of(&Report {
            title: self.title.to_string(),
            subtitle: self.subtitle.to_string(),
            seconds: &seconds,
            promise_s: self.promise_s,
            figures: Vec::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Second>> {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn shown(State(live): State<Live>) -> Html<String> {
    Html(live.report(|report| page::live_html(report, DATA)))
}

async fn data(State(live): State<Live>) -> Response {
    let json = live.report(page::data);
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], json)
        .into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("asks");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answers");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
        answer
    }

    #[tokio::test]
    async fn the_page_follows_the_run() {
        let live = Live::new("A run", "live", Some(5.0));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("address");
        tokio::spawn(live.clone().serve(listener));
        let page = ask(address, "/").await;
        assert!(page.contains("data-live=\"/data.json\""), "{page}");
        let data = ask(address, DATA).await;
        assert!(data.contains("\"t\":[]") && data.contains("\"promise_s\":5.0"), "{data}");
        let second = |t_s, pods| Second { t_s, replicas_desired: pods, ..Second::default() };
        live.push(second(1, 0));
        live.push(Second { reason: "records wait".into(), ..second(2, 3) });
        let data = ask(address, DATA).await;
        assert!(data.contains("\"t\":[1,2]"), "{data}");
        assert!(data.contains("{\"t\":2,\"from\":0,\"to\":3,\"why\":\"records wait\"}"), "{data}");
    }
}
