//! Purpose: addresses at which no proper answer can be had: nobody listens, no such name, a certificate nobody trusts.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A name that no resolver knows (RFC 6761, "invalid.").
pub(crate) const UNKNOWN_NAME: &str = "landfall-test.invalid:80";

/// A port at which nobody listens. Not one that was free a moment ago: another world could take it.
pub(crate) const REFUSING: &str = "127.0.0.1:1";

/// A server whose certificate comes from nobody. It serves until the test program ends.
pub(crate) fn untrusted() -> SocketAddr {
    static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || serve(&sender));
        receiver.recv().unwrap()
    });
    *SERVER
}

fn serve(ready: &std::sync::mpsc::Sender<SocketAddr>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        ready.send(listener.local_addr().unwrap()).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(settings()));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
        }
    });
}

fn settings() -> rustls::ServerConfig {
    let certificate = CertificateDer::from(include_bytes!("untrusted.cert.der").to_vec());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(include_bytes!("untrusted.key.der").to_vec()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
