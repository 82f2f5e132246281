//! What each `sslmode` verifies, with the meanings libpq gave them.
//!
//! Rejected: bundled root certificates (they age with the binary; the system's
//! are kept by the system).

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::url::PostgresUrl;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS only if the server refuses a client without; its certificate is not looked at.
    Allow,
    /// TLS if the server has it; its certificate is not looked at.
    #[default]
    Prefer,
    /// TLS or nothing; the certificate is verified only if `sslrootcert` is given.
    Require,
    /// The certificate comes from a trusted authority.
    VerifyCa,
    /// It does, and is the host's.
    VerifyFull,
}

impl SslMode {
    const ALL: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// What the client library has to know; the rest is the verifier's.
    pub(crate) fn of_client(self) -> tokio_postgres::config::SslMode {
        use tokio_postgres::config::SslMode as Client;
        match self {
            Self::Disable | Self::Allow => Client::Disable,
            Self::Prefer => Client::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => Client::Require,
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(_, mode)| mode == self).map_or("", |(name, _)| name))
    }
}

impl FromStr for SslMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("sslmode = {text:?}: allowed is {}", names.join(", "))
        })
    }
}

/// Why TLS cannot be set up: file and reason.
pub(crate) type TlsError = String;

/// The TLS side of a URL; `None` where there is none to set up.
pub(crate) fn client_config(url: &PostgresUrl) -> Result<Option<ClientConfig>, TlsError> {
    if url.ssl_mode == SslMode::Disable || url.is_local_socket() {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = url.ssl_root_cert.as_deref();
    let trust = match url.ssl_mode {
        SslMode::VerifyFull => Trust::Host(authorities(roots, &provider)?),
        SslMode::VerifyCa => Trust::Authority(authorities(roots, &provider)?),
        SslMode::Require if roots.is_some() => Trust::Authority(authorities(roots, &provider)?),
        _ => Trust::Anybody,
    };
    let verifier = Verifier { trust, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(Some(match own_files(url) {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let failed = |what: &str, file: &Path, error: &dyn fmt::Display| {
                format!("{what} {}: {error}", file.display())
            };
            let chain = CertificateDer::pem_file_iter(&certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| failed("sslcert", &certificate, &error))?;
            let secret = PrivateKeyDer::from_pem_file(&key)
                .map_err(|error| failed("sslkey", &key, &error))?;
            config
                .with_client_auth_cert(chain, secret)
                .map_err(|error| failed("sslkey", &key, &error))?
        }
    }))
}

/// The own certificate and its key: `sslcert` and `sslkey`, else libpq's default files, if
/// there is a certificate.
fn own_files(url: &PostgresUrl) -> Option<(PathBuf, PathBuf)> {
    let certificate = match &url.ssl_cert {
        Some(file) => file.clone(),
        None => home_file("postgresql.crt").filter(|path| path.exists())?,
    };
    let key = url.ssl_key.clone().or_else(|| home_file("postgresql.key"));
    Some((certificate, key.unwrap_or_else(|| "sslkey".into())))
}

/// Where libpq looks for a file that is not named.
fn home_file(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(".postgresql").join(name))
}

/// `sslrootcert`, else libpq's default file, else the system's authorities.
fn authorities(
    file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let file = match file {
        Some(file) if file == Path::new("system") => None,
        Some(file) => Some(file.to_owned()),
        None => home_file("root.crt").filter(|path| path.exists()),
    };
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            let failed =
                |error: &dyn fmt::Display| format!("sslrootcert {}: {error}", file.display());
            let certificates =
                CertificateDer::pem_file_iter(&file).map_err(|error| failed(&error))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| failed(&error))?;
                store.add(certificate).map_err(|error| failed(&error))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map_err(|error| format!("no trusted authority (sslrootcert): {error}"))
}

#[derive(Debug)]
enum Trust {
    Anybody,
    Authority(Arc<WebPkiServerVerifier>),
    Host(Arc<WebPkiServerVerifier>),
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        match &self.trust {
            Trust::Anybody => Ok(ServerCertVerified::assertion()),
            Trust::Host(verifier) => verify(verifier),
            // The chain is verified before the name is.
            Trust::Authority(verifier) => match verify(verifier) {
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) => Ok(ServerCertVerified::assertion()),
                verified => verified,
            },
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
