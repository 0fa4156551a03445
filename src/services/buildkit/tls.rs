//! Purpose: TLS to a BuildKit daemon, with certificates out of a folder as Docker lays it out.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::BuildError;

/// Whom we trust and who we are.
#[derive(Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub(super) fn read(folder: &Path) -> Result<Self, BuildError> {
        let unusable = |file: &str, why: String| {
            BuildError::Invalid(format!("{} cannot be used: {why}", folder.join(file).display()))
        };
        let certificates = |file: &str| -> Result<Vec<CertificateDer<'static>>, BuildError> {
            let read =
                CertificateDer::pem_file_iter(folder.join(file)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            read.map_err(|error| unusable(file, error.to_string()))
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ca.pem")? {
            roots.add(certificate).map_err(|error| unusable("ca.pem", error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions.map_err(|error| unusable("", error.to_string()))?.with_root_certificates(roots);
        let mut config = if folder.join("cert.pem").exists() {
            let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"));
            let key = key.map_err(|error| unusable("key.pem", error.to_string()))?;
            let client = config.with_client_auth_cert(certificates("cert.pem")?, key);
            client.map_err(|error| unusable("cert.pem", error.to_string()))?
        } else {
            config.with_no_client_auth()
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Encrypts a connection to `host:port`.
    pub(super) async fn wrap(&self, address: &str, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        TlsConnector::from(self.0.clone()).connect(name, stream).await
    }
}
