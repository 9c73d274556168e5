//! Connections: resolution, TCP, TLS.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gatelet_core::port::{Reach, is_public_address};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use super::Settings;
use super::address::NotPublic;

pub(super) type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// TLS 1.2 and 1.3 with Mozilla's authorities and `extra` ones. *ring*, because it builds with a C compiler alone, in
/// seconds, to half the size of its rival.
pub(super) fn tls(extra: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

pub(super) fn connector(settings: &Settings, tls: ClientConfig, reach: Reach) -> Connector {
    let mut tcp = HttpConnector::new_with_resolver(Resolver { reach, lookup: settings.lookup });
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(settings.connect_timeout));
    // A server that went away without a word is noticed although a stream may be silent for minutes.
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    tcp.set_keepalive_interval(Some(Duration::from_secs(10)));
    tcp.set_keepalive_retries(Some(3));
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp)
}

/// Asks for a name's addresses.
pub(super) type Lookup = fn(Name) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Asks the system.
pub(super) fn system_lookup(name: Name) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
}

/// The resolver, less the addresses that are out of reach. The address that was checked is the one that is
/// connected to, so a name cannot change its mind in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver {
    pub(super) reach: Reach,
    pub(super) lookup: Lookup,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { reach, lookup } = *self;
        Box::pin(async move {
            let mut addresses = lookup(name.clone()).await?;
            match reach {
                Reach::Private => {}
                Reach::Public | Reach::PublicPlain => {
                    addresses.retain(|address| is_public_address(address.ip()));
                }
            }
            if addresses.is_empty() {
                return Err(io::Error::other(NotPublic(name.as_str().to_owned())));
            }
            Ok(addresses.into_iter())
        })
    }
}
