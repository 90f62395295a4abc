//! The auth service of the files about token exchange, behind TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::upstream::{Answer, respond};

/// The name that the files have for it.
pub(super) const NAME: &str = "auth.example.com";
/// The one credential that it takes, and the token for it.
const TAKES: (&str, &str) = ("Bearer abc", "t0k3n");

/// A running service; it ends with its handle.
pub(super) struct Auth {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// A file with the certificate that its own is signed with.
    pub(super) trusted: PathBuf,
    server: JoinHandle<()>,
}

impl Auth {
    /// Listens on a port of the system's choice, under a name.
    pub(super) async fn start(folder: &Path, name: &str) -> Result<Self> {
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().context("making a key")?;
        let issuer = CertifiedIssuer::self_signed(params, key).context("making an authority")?;
        let mut params = named("auth service");
        params.subject_alt_names.push(rcgen::SanType::DnsName(name.try_into()?));
        let key = KeyPair::generate().context("making a key")?;
        let certificate = params.signed_by(&key, &issuer).context("signing a certificate")?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], key.into());
        let acceptor = TlsAcceptor::from(Arc::new(config.context("the service's certificate")?));
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let trusted = folder.join(format!("{name}.pem"));
        std::fs::write(&trusted, issuer.pem()).with_context(|| trusted.display().to_string())?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening on loopback")?;
        let address = listener.local_addr().context("listening on loopback")?;
        let server = tokio::spawn(serve(listener, acceptor));
        Ok(Self { address, trusted, server })
    }
}

impl Drop for Auth {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            // A connection that breaks shows in what the client gets.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service =
                service_fn(|request: Request<Incoming>| async move { respond(answer(&request)) });
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

fn answer(request: &Request<Incoming>) -> Answer {
    let (credential, token) = TAKES;
    let brought = request.headers().get(header::AUTHORIZATION);
    let asked = request.uri().path() == "/token"
        && request.headers().get(header::HOST).is_some_and(|host| host == NAME);
    match brought {
        _ if !asked => Answer { status: 500, ..Answer::default() },
        Some(brought) if brought == credential => {
            Answer { body: token.into(), ..Answer::default() }
        }
        _ => {
            let challenge = b"Bearer error=\"invalid_token\"".to_vec();
            let fields = vec![(b"www-authenticate".to_vec(), challenge)];
            Answer { status: 401, fields, body: "no".into(), ..Answer::default() }
        }
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
