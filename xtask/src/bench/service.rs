//! A service behind Envoy: as little as one can do.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::cores::Cores;

/// What the upstream of latency says.
pub(crate) const CONTENT: &[u8] = b"hello from the upstream\n";

/// Answers requests over HTTP/1.1, on one thread of its own; it ends with its handle.
#[derive(Debug)]
pub(crate) struct Service {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Closed with the handle, which ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Service {
    /// An upstream, which answers all requests alike.
    pub(crate) async fn upstream(cores: Option<Cores>, content: impl Into<Bytes>) -> Result<Self> {
        let content = content.into();
        let answer = move |_: &Parts| {
            let mut response = Response::new(Full::new(content.clone()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            response
        };
        Self::start("upstream", cores, answer).await
    }

    /// Listens on a port of the system's choice, off Envoy's core.
    pub(crate) async fn start(
        name: &str,
        cores: Option<Cores>,
        answer: impl Fn(&Parts) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").context("listening on loopback")?;
        let address = listener.local_addr().context("listening on loopback")?;
        listener.set_nonblocking(true).context("listening on loopback")?;
        let runtime = Builder::new_current_thread().enable_io().build();
        let runtime = runtime.context("starting a runtime")?;
        let (stop, stopped) = oneshot::channel();
        let (tell, placed) = oneshot::channel();
        let thread = move || {
            let cores = cores.as_ref();
            // A receiver that is gone has given up on the service.
            drop(tell.send(cores.map_or(Ok(()), Cores::leave_envoy_alone)));
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, answer) => {}
                    _ = stopped => {}
                }
            });
        };
        std::thread::Builder::new()
            .name(name.into())
            .spawn(thread)
            .context("starting a service's thread")?;
        placed.await.context("a service's thread ended")?.context("placing a service")?;
        Ok(Self { address, _stop: stop })
    }
}

async fn serve(
    listener: std::net::TcpListener,
    answer: impl Fn(&Parts) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        connections.spawn(async move {
            if stream.set_nodelay(true).is_ok() {
                let service = service_fn(|request: hyper::Request<Incoming>| {
                    let answer = answer.clone();
                    async move {
                        let (head, content) = request.into_parts();
                        // Where it breaks off, nobody waits for the answer.
                        drop(content.collect().await);
                        Ok::<_, Infallible>(answer(&head))
                    }
                });
                // How it ends shows in the answers.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
