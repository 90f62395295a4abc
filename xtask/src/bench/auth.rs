//! The auth service of scenarios that call one out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::HeaderValue;

use super::cores::Cores;
use super::service::Service;

/// Paths that begin with this are answered by a field, all others by the content: `ext_authz` takes
/// nothing but fields.
const BY_FIELD: &str = "/field";
/// The field that holds it, in answers and upstream.
pub(crate) const TOKEN_FIELD: &str = "x-auth-jwt";

/// A JWT of the size that authorization servers make: who, for whom, by whom, until 2100, and 64 bytes
/// of nothing where the signature would be.
pub(crate) const TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjIwMjYtMDEifQ.",
    "eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBsZS5jb20iLCJzdWIiOiIyNDgyODk3NjEwMDEiLCJhdWQiOiJodHRw",
    "czovL29yZGVycy5leGFtcGxlLmNvbSIsImNsaWVudF9pZCI6ImdhdGV3YXkiLCJzY29wZSI6Im9yZGVyczpyZWFk",
    "IG9yZGVyczp3cml0ZSIsImp0aSI6IjBmOGZhZDViLWQ5Y2ItNDY5Zi1hMTY1LTcwODY3NzI4OTUwZSIsImlhdCI6",
    "MTc2NzIyNTYwMCwiZXhwIjo0MTAyNDQ0ODAwfQ.",
    "KXK7BE2W3yhxugNMld4ncLkCS5TdJm-4AUqT3CVutwBJktskbbb_SJHaI2y1_keQ2SJrtP1Gj9gharP8RY7XIA",
);

/// Answers every request with [`TOKEN`], and counts; it ends with its handle.
#[derive(Debug)]
pub(crate) struct Auth {
    service: Service,
    calls: Arc<AtomicU64>,
}

impl Auth {
    /// Listens on a port of the system's choice, off Envoy's core.
    pub(crate) async fn start(cores: Option<Cores>) -> Result<Self> {
        let calls = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&calls);
        let answer = move |head: &hyper::http::request::Parts| {
            counter.fetch_add(1, Ordering::Relaxed);
            if !head.uri.path().starts_with(BY_FIELD) {
                return Response::new(Full::new(Bytes::from_static(TOKEN.as_bytes())));
            }
            let mut response = Response::new(Full::default());
            response.headers_mut().insert(TOKEN_FIELD, HeaderValue::from_static(TOKEN));
            response
        };
        Ok(Self { service: Service::start("auth", cores, answer).await?, calls })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.service.address
    }

    /// How often it was asked so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
