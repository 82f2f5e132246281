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
    with_authorities(options, authorities(options.tls_ca.as_deref())?).map(Some)
}

/// Whether such a connection can be had with the files that are named.
pub(crate) fn check_files(options: &SecurityOptions) -> Result<(), Error> {
    let named = options.tls_ca.as_deref().map(|file| authorities(Some(file))).transpose()?;
    with_authorities(options, named.unwrap_or_else(RootCertStore::empty)).map(drop)
}

fn with_authorities(
    options: &SecurityOptions,
    trusted: RootCertStore,
) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(trusted);
    let config = match (&options.tls_certificate, &options.tls_key) {
        (Some(certificate), Some(key)) => {
            let refused = |why: String| Error::option("tls_key", key.display(), why);
            let chain = certificates("tls_certificate", certificate)?;
            let private = private_key(key, options.tls_key_password.as_ref()).map_err(refused)?;
            builder.with_client_auth_cert(chain, private).map_err(|error| {
                refused(match error {
                    rustls::Error::InconsistentKeys(_) => {
                        format!("not the key of tls_certificate {}", certificate.display())
                    }
                    other => other.to_string(),
                })
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// A key in a PEM file; one with a pass phrase in the form that openssl writes since 1.0.
fn private_key(file: &Path, pass: Option<&Secret>) -> Result<PrivateKeyDer<'static>, String> {
    let refused = |error: &dyn std::fmt::Display| error.to_string();
    let bytes = std::fs::read(file).map_err(|error| refused(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| NOT_PEM.to_owned())?;
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("a key with a pass phrase has to be PKCS #8 (openssl pkcs8 -topk8)".into());
    }
    let Some(begins) = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") else {
        // Not every key that is given a pass phrase has one.
        return PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => NOT_PEM.to_owned(),
            other => refused(&other),
        });
    };
    let Some(pass) = pass else {
        return Err("it has a pass phrase: tls_key_password_file, or KAFKA_TLS_KEY_PASSWORD".into());
    };
    let (_, key) =
        SecretDocument::from_pem(text[begins..].trim_end()).map_err(|error| refused(&error))?;
    let key = EncryptedPrivateKeyInfo::try_from(key.as_bytes()).map_err(|error| refused(&error))?;
    let pass = pass.read().map_err(|error| refused(&error))?;
    let key = key.decrypt(pass).map_err(|_| "the pass phrase does not open it")?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

const NOT_PEM: &str =
    "a PEM file with a private key (from PKCS #12: openssl pkcs12 -in FILE -nocerts -nodes)";

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
        let allowed = "a PEM file with at least one certificate (from PKCS #12: openssl pkcs12 \
                       -in FILE -nokeys; from DER: openssl x509 -inform DER -in FILE)";
        return Err(refused(allowed.into()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use pkcs8::{LineEnding, PrivateKeyInfo, pkcs5::pbes2};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

    use super::*;

    /// Found when options are checked, by every command, with what to do.
    #[test]
    fn files_that_hold_something_else_are_told_by_field_and_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).expect("writes");
            file
        };
        let of = |ca: Option<&Path>, key: Option<&Path>, certificate: Option<&Path>| {
            let owned = |file: Option<&Path>| file.map(Path::to_owned);
            let options = SecurityOptions {
                tls_ca: owned(ca),
                tls_certificate: owned(certificate),
                tls_key: owned(key),
                ..SecurityOptions::default()
            };
            options.validate().expect_err("refused").to_string()
        };
        let store = write("client.p12", b"\x30\x82\x04\x00\xff\xfe");
        let error = of(Some(&store), None, None);
        assert!(error.starts_with("tls_ca = ") && error.contains("client.p12"), "{error}");
        assert!(error.contains("openssl pkcs12"), "{error}");
        let error = of(Some(folder.path()), None, None);
        assert!(error.contains("directory"), "{error}");
        let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let certificate = write("client.pem", pem.as_bytes());
        let locked = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMAA=\n";
        let cases = [
            (store, "openssl pkcs12"),
            (certificate.clone(), "a PEM file with a private key"),
            (write("old.key", locked.as_bytes()), "openssl pkcs8"),
        ];
        for (key, expected) in cases {
            let error = of(None, Some(&key), Some(&certificate));
            assert!(error.starts_with("tls_key = ") && error.contains(expected), "{error}");
        }
    }

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
        let error = private_key(&file, None).expect_err("stays shut");
        assert!(error.contains("it has a pass phrase: tls_key_password_file"), "{error}");
    }
}
