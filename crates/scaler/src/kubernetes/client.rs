//! HTTP requests to the API server.
//!
//! Contract: one connection a request; the pod's token is read anew for each, since it
//! is rotated. The server's certificate is checked against the pod's CA. Plain HTTP is
//! for a local proxy (`kubectl proxy`) and only goes to a loopback address.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Five hundred HPAs are about two megabytes.
const MOST_BYTES: usize = 64 << 20;
/// Where a pod finds its token, the server's CA and its namespace.
pub const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the API is, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesOptions {
    /// Address, for example `https://10.0.0.1:443`.
    pub url: String,
    /// CA of the server (PEM); not for plain HTTP.
    pub ca: Option<PathBuf>,
    /// File with the token.
    pub token: Option<PathBuf>,
    /// Only this namespace; `None` is all.
    pub namespace: Option<String>,
    /// Which pods are watched, for example `app=trade-tx-consumer`; empty is all.
    pub pod_selector: String,
}

impl KubernetesOptions {
    /// As a pod finds it, with the account's files in a directory ([`ACCOUNT`]).
    ///
    /// # Errors
    /// [`Error::Kubernetes`] outside of a cluster.
    pub fn in_cluster(account: &Path) -> Result<Self, Error> {
        let variable = |name: &str| {
            std::env::var(name).map_err(|_| {
                Error::Kubernetes(format!(
                    "{name} is not set, so this is no pod: give --kubernetes-url"
                ))
            })
        };
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        Ok(Self {
            url: format!("https://{host}:{port}"),
            ca: Some(account.join("ca.crt")),
            token: Some(account.join("token")),
            namespace: Self::own_namespace(account),
            pod_selector: String::new(),
        })
    }

    /// The namespace of the pod that this is.
    pub fn own_namespace(account: &Path) -> Option<String> {
        let text = std::fs::read_to_string(account.join("namespace")).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    }
}

/// A client of the API.
#[derive(Clone)]
pub struct Client {
    uri: Uri,
    tls: Option<TlsConnector>,
    options: Arc<KubernetesOptions>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Client {
    /// Checks the options; connects with the first request.
    ///
    /// # Errors
    /// [`Error::Kubernetes`] or [`Error::File`].
    pub fn new(options: &KubernetesOptions) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Kubernetes(format!("{}: {why}", options.url));
        let uri: Uri = options.url.parse().map_err(|_| wrong("is not a URL"))?;
        let host = uri.host().ok_or_else(|| wrong("names no host"))?;
        let tls = match uri.scheme_str() {
            Some("https") => Some(connector(options)?),
            Some("http") if is_loopback(host) => None,
            Some("http") => {
                return Err(wrong("plain HTTP is allowed to this machine only: use https"));
            }
            _ => return Err(wrong("allowed is https://HOST:PORT, or http:// to this machine")),
        };
        Ok(Self { uri, tls, options: Arc::new(options.clone()) })
    }

    /// Its options.
    pub fn options(&self) -> &KubernetesOptions {
        &self.options
    }

    /// The answer to a GET as JSON.
    ///
    /// # Errors
    /// [`Error::Kubernetes`] with the server's reason.
    pub async fn get(&self, path: &str) -> Result<serde_json::Value, Error> {
        let call = Call { method: Method::GET, path };
        let body = async {
            let mut body = self.open(path).await?.into_body();
            let mut bytes = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| call.failed(&error))?;
                bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                if bytes.len() > MOST_BYTES {
                    return Err(call.failed(&"the answer is too long"));
                }
            }
            Ok(bytes)
        };
        let body = call.within(ANSWER_TIMEOUT, body).await?;
        serde_json::from_slice(&body).map_err(|error| call.failed(&error))
    }

    /// A GET whose body is still to be read.
    ///
    /// # Errors
    /// [`Error::Kubernetes`] with the server's reason.
    pub async fn open(&self, path: &str) -> Result<Response<Incoming>, Error> {
        self.answer(&Call { method: Method::GET, path }, Bytes::new()).await
    }

    /// Merges a part of an object into it (RFC 7386).
    ///
    /// # Errors
    /// [`Error::Kubernetes`] with the server's reason.
    pub async fn merge(&self, path: &str, part: &serde_json::Value) -> Result<(), Error> {
        let call = Call { method: Method::PATCH, path };
        self.answer(&call, Bytes::from(part.to_string())).await.map(drop)
    }

    async fn answer(&self, call: &Call<'_>, body: Bytes) -> Result<Response<Incoming>, Error> {
        let answer = call.within(ANSWER_TIMEOUT, self.send(call, body)).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        let said: serde_json::Value =
            text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let reason = said["message"].as_str().unwrap_or("no reason given").to_owned();
        Err(call.failed(&format!("{status}: {reason}")))
    }

    async fn send(&self, call: &Call<'_>, body: Bytes) -> Result<Response<Incoming>, Error> {
        let host = self.uri.host().unwrap_or_default();
        let default = if self.tls.is_some() { 443 } else { 80 };
        let port = self.uri.port_u16().unwrap_or(default);
        let mut request = Request::builder()
            .method(&call.method)
            .uri(call.path)
            .header("host", format!("{host}:{port}"))
            .header("accept", "application/json")
            .header("user-agent", concat!("tidegate-scaler/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &self.options.token {
            let token =
                tokio::fs::read_to_string(file).await.map_err(|error| Error::file(file, &error))?;
            request = request.header("authorization", format!("Bearer {}", token.trim()));
        }
        if call.method == Method::PATCH {
            request = request.header("content-type", "application/merge-patch+json");
        }
        let request = request.body(Full::new(body)).map_err(|error| call.failed(&error))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let connected = TcpStream::connect((bare, port));
        let stream = call
            .within(CONNECT_TIMEOUT, async { connected.await.map_err(|error| call.failed(&error)) })
            .await?;
        match &self.tls {
            None => exchange(call, TokioIo::new(stream), request).await,
            Some(tls) => {
                let name =
                    ServerName::try_from(bare.to_owned()).map_err(|error| call.failed(&error))?;
                let stream =
                    tls.connect(name, stream).await.map_err(|error| call.failed(&error))?;
                exchange(call, TokioIo::new(stream), request).await
            }
        }
    }
}

async fn exchange<S>(
    call: &Call<'_>,
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Error>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(|error| call.failed(&error))?;
    // Ends with the body, or when the body is dropped.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| call.failed(&error))
}

/// What is asked, for errors.
struct Call<'a> {
    method: Method,
    path: &'a str,
}

impl Call<'_> {
    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let late = || format!("no answer within {} s", limit.as_secs());
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(self.failed(&late())))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        let path = self.path.split('?').next().unwrap_or(self.path);
        Error::Kubernetes(format!("{} {path}: {error}", self.method))
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn connector(options: &KubernetesOptions) -> Result<TlsConnector, Error> {
    let mut roots = rustls::RootCertStore::empty();
    let ca = options.ca.as_ref().ok_or_else(|| {
        Error::Kubernetes(format!("{}: needs the CA of the server: --kubernetes-ca", options.url))
    })?;
    let certificates =
        CertificateDer::pem_file_iter(ca).map_err(|error| Error::file(ca, &error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| Error::file(ca, &error))?;
        roots.add(certificate).map_err(|error| Error::file(ca, &error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Kubernetes(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
