//! Certificates of the gRPC server.
//!
//! Contract: what cannot be used is known before anything is served, and named by its
//! file; tonic would tell it without a name, and only once it serves.

use std::path::Path;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tonic::transport::server::ServerTlsConfig;
use tonic::transport::{Certificate, Identity};

use crate::Error;
use crate::options::TlsFiles;

/// TLS for the files.
///
/// # Errors
/// [`Error::File`]: cannot be read, holds no certificate or key, or the two are no pair.
pub(crate) fn server_tls(files: &TlsFiles) -> Result<ServerTlsConfig, Error> {
    let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
    let chain = certificates(&files.certificate, &certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| Error::file(&files.key, &format!("no private key in PEM: {error}")))?;
    let pair = CertifiedKey::from_der(chain, private, &default_provider());
    pair.map_err(|error| {
        let with = files.certificate.display();
        Error::file(&files.key, &format!("does not go with {with}: {error}"))
    })?;
    let mut config = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
    if let Some(file) = &files.client_ca {
        let ca = read(file)?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates(file, &ca)? {
            roots.add(certificate).map_err(|error| Error::file(file, &error))?;
        }
        config = config.client_ca_root(Certificate::from_pem(ca));
    }
    Ok(config)
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| Error::file(file, &format!("cannot be read: {error}")))
}

/// All certificates of a file; at least one.
fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::file(file, &"no certificate in PEM")),
        Err(error) => Err(Error::file(file, &format!("no certificate in PEM: {error}"))),
    }
}
