//! A TCP connection, with TLS where it is wanted. Blocking, every step bounded.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Secret, SecurityOptions};
use crate::Error;

/// Connect, and each read and write.
const STEP_TIMEOUT: Duration = Duration::from_secs(3);

/// The other side is there and silent.
#[derive(Debug, thiserror::Error)]
#[error("did not answer within {} s", after.as_secs_f64())]
pub(crate) struct Silent {
    after: Duration,
}

/// The system's words for an end of patience (`os error 11`) say nothing to anybody.
fn in_time<T>(result: io::Result<T>, tcp: &TcpStream) -> io::Result<T> {
    use io::ErrorKind::{TimedOut, WouldBlock};
    result.map_err(|error| match error.kind() {
        WouldBlock | TimedOut => {
            let after = tcp.read_timeout().ok().flatten().unwrap_or(STEP_TIMEOUT);
            io::Error::new(TimedOut, Silent { after })
        }
        _ => error,
    })
}

/// A connection that is open.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects to `host:port`; with a TLS configuration also verifies the server.
    pub(crate) fn connect(
        host: &str,
        port: u16,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut last = io::Error::other("the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, STEP_TIMEOUT) {
                Ok(stream) => return Self::on(stream, host, tls),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    last = io::Error::new(error.kind(), Silent { after: STEP_TIMEOUT });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A read may take this much longer than a step.
    pub(crate) fn patience(&self, wait: Duration) -> io::Result<()> {
        self.tcp().set_read_timeout(Some(STEP_TIMEOUT + wait))
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }

    fn on(mut tcp: TcpStream, host: &str, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        tcp.set_read_timeout(Some(STEP_TIMEOUT))?;
        tcp.set_write_timeout(Some(STEP_TIMEOUT))?;
        tcp.set_nodelay(true)?;
        let Some(config) = tls else { return Ok(Self::Plain(tcp)) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut connection =
            ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            let done = connection.complete_io(&mut tcp);
            in_time(done, &tcp)?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        };
        in_time(read, self.tcp())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        };
        in_time(written, self.tcp())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        };
        in_time(flushed, self.tcp())
    }
}

/// What a TLS connection of ours verifies and shows; `None` where TLS is off.
pub(crate) fn tls_config(options: &SecurityOptions) -> Result<Option<Arc<ClientConfig>>, Error> {
    if !options.protocol().has_tls() {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(authorities(options.tls_ca.as_deref())?);
    let config = match (&options.tls_certificate, &options.tls_key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("tls_certificate", certificate)?;
            let key = private_key(key, options.tls_key_password.as_ref())
                .map_err(|why| Error::option("tls_key", key.display(), why))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| unusable(&error))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

/// A key in a PEM file; one with a pass phrase in the form that openssl writes since 1.0.
fn private_key(file: &Path, pass: Option<&Secret>) -> Result<PrivateKeyDer<'static>, String> {
    let refused = |error: &dyn std::fmt::Display| error.to_string();
    let Some(pass) = pass else {
        return PrivateKeyDer::from_pem_file(file).map_err(|error| refused(&error));
    };
    let text = std::fs::read_to_string(file).map_err(|error| refused(&error))?;
    let begins = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----");
    let Some(begins) = begins else {
        // Not every key that is given a pass phrase has one.
        return PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
            format!("{error}; a key with a pass phrase has to be PKCS #8 (openssl pkcs8 -topk8)")
        });
    };
    let (_, key) =
        SecretDocument::from_pem(text[begins..].trim_end()).map_err(|error| refused(&error))?;
    let key = EncryptedPrivateKeyInfo::try_from(key.as_bytes()).map_err(|error| refused(&error))?;
    let pass = pass.read().map_err(|error| refused(&error))?;
    let key = key.decrypt(pass).map_err(|_| "the pass phrase does not open it")?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// TLS towards a web server, with the system's authorities.
pub(crate) fn web_tls_config() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(Arc::new(
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(authorities(None)?)
            .with_no_client_auth(),
    ))
}

fn unusable(error: &rustls::Error) -> Error {
    Error::Client { action: "set up TLS", reason: error.to_string(), code: None }
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            for certificate in certificates("tls_ca", file)? {
                store
                    .add(certificate)
                    .map_err(|error| Error::option("tls_ca", file.display(), error.to_string()))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(store)
}

fn certificates(field: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let refused = |why: String| Error::option(field, file.display(), why);
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(error.to_string()))?;
    if found.is_empty() {
        return Err(refused("a PEM file with at least one certificate".into()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use pkcs8::{LineEnding, PrivateKeyInfo, pkcs5::pbes2};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

    use super::*;

    #[test]
    fn a_key_with_a_pass_phrase_is_opened_by_it_only() {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let plain = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).expect("a key");
        let by = pbes2::Parameters::pbkdf2_sha256_aes256cbc(10, b"salt", &[7; 16]).expect("valid");
        let locked = PrivateKeyInfo::try_from(plain.as_ref())
            .and_then(|key| key.encrypt_with_params(by, "sesame"))
            .expect("encrypts")
            .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
            .expect("a text");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        std::fs::write(&file, format!("# a comment\n{}", locked.as_str())).expect("writes");
        let opened = |pass: &str| private_key(&file, Some(&Secret::value(pass)));
        assert_eq!(opened("sesame").expect("opens").secret_der(), plain.as_ref());
        assert_eq!(opened("barley").expect_err("stays shut"), "the pass phrase does not open it");
        assert!(private_key(&file, None).is_err());
    }
}
