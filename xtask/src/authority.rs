//! The service that callouts go to: answers by plan, well or badly, and keeps what arrived.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pintle_core::testing::corpus::FieldLines;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::payload::{Payload, field_lines};
use crate::upstream::{Answer, digest, respond};

/// What a client with prior knowledge of HTTP/2 sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI ";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running service; it ends with its handle.
pub(crate) struct Authority {
    /// Where it listens, also after it was killed and started again.
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    server: Mutex<Option<JoinHandle<()>>>,
}

/// One request that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// How many arrived before it, since the service was started first.
    pub(crate) number: usize,
    /// The method.
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) path: String,
    /// The `host` field, or `:authority`.
    pub(crate) authority: String,
    /// The fields, `host` aside.
    pub(crate) fields: FieldLines,
    /// The content.
    pub(crate) body: Bytes,
}

/// What to do about a call.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What passes before it is done.
    pub(crate) delay: Duration,
    /// What is done.
    pub(crate) act: Act,
}

/// What the service does about a call.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers, as HTTP has it.
    Answer(Answer),
    /// Writes these bytes over HTTP/1.1, whatever they are, and closes the connection. Over HTTP/2:
    /// resets the stream.
    Bytes(Bytes),
    /// Writes these bytes over HTTP/1.1, one at a time with this pause, and closes the connection.
    Drip(Bytes, Duration),
    /// Writes these bytes over HTTP/1.1, and resets the connection.
    Reset(Bytes),
    /// Nothing.
    Silence,
}

impl From<Act> for Plan {
    fn from(act: Act) -> Self {
        Self { delay: Duration::ZERO, act }
    }
}

impl From<Answer> for Plan {
    fn from(answer: Answer) -> Self {
        Act::Answer(answer).into()
    }
}

impl Call {
    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let line = self.fields.iter().find(|(n, _)| n == name.as_bytes());
        line.map(|(_, value)| value.as_slice())
    }
}

/// The token that the service gives for a credential unless a plan says otherwise.
pub(crate) fn token(credential: &[u8]) -> String {
    format!("token.{:016x}", digest(credential))
}

/// An answer with a body of text.
pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Answer {
    Answer { status, body: body.into(), ..Answer::default() }
}

type Planner = Arc<dyn Fn(&Call) -> Plan + Send + Sync>;

struct State {
    planner: Mutex<Planner>,
    calls: Mutex<Vec<Call>>,
    /// How many calls have arrived.
    arrived: watch::Sender<usize>,
    /// Whether answers are held back.
    held: watch::Sender<bool>,
}

impl Authority {
    /// Listens on a port of the system's choice, for HTTP/1.1 and for HTTP/2 with prior knowledge.
    /// Every caller gets the [`token`] for its `authorization`, 401 without one.
    pub(crate) async fn start() -> Result<Self> {
        let state = State {
            planner: Mutex::new(Arc::new(exchange)),
            calls: Mutex::default(),
            arrived: watch::Sender::new(0),
            held: watch::Sender::new(false),
        };
        let state = Arc::new(state);
        let (address, server) = listen(([127, 0, 0, 1], 0).into(), Arc::clone(&state)).await?;
        Ok(Self { address, state, server: Mutex::new(Some(server)) })
    }

    /// Says what to do about calls from now on.
    pub(crate) fn plan<P: Into<Plan>>(&self, plan: impl Fn(&Call) -> P + Send + Sync + 'static) {
        *lock(&self.state.planner) = Arc::new(move |call| plan(call).into());
    }

    /// Goes back to tokens for everybody, at once, with no call kept.
    pub(crate) fn reset(&self) {
        self.plan(exchange);
        self.release();
        drop(self.take());
    }

    /// Holds back all answers until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.state.held.send_replace(true);
    }

    /// Lets all answers go.
    pub(crate) fn release(&self) {
        self.state.held.send_replace(false);
    }

    /// The calls that arrived since they were last taken.
    pub(crate) fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).clone()
    }

    /// How many [`calls`](Self::calls) there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.state.calls).len()
    }

    /// The calls that arrived since they were last taken, which are then forgotten.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *lock(&self.state.calls))
    }

    /// Returns when there are so many [`calls`](Self::calls).
    pub(crate) async fn arrived(&self, calls: usize) -> Result<()> {
        let mut arrived = self.state.arrived.subscribe();
        let enough = async {
            while self.count() < calls {
                arrived.changed().await.context("the service has gone")?;
            }
            Ok(())
        };
        let late = || anyhow!("{} calls, not {calls}, within {PATIENCE:?}", self.count());
        tokio::time::timeout(PATIENCE, enough).await.map_err(|_| late()).flatten()
    }

    /// Stops at once: calls under way are cut off, connections are refused.
    pub(crate) async fn kill(&self) {
        let server = lock(&self.server).take();
        if let Some(server) = server {
            server.abort();
            // Its sockets are closed once this says that it was aborted.
            drop(server.await);
        }
    }

    /// Listens again where it did before.
    pub(crate) async fn restart(&self) -> Result<()> {
        self.kill().await;
        let (_, server) = listen(self.address, Arc::clone(&self.state)).await?;
        *lock(&self.server) = Some(server);
        Ok(())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        if let Some(server) = lock(&self.server).take() {
            server.abort();
        }
    }
}

/// A port that is taken, and refuses connections for as long as its handle is there.
pub(crate) struct Refusing {
    /// Where nobody listens.
    pub(crate) address: SocketAddr,
    _socket: TcpSocket,
}

impl Refusing {
    /// On a port of the system's choice.
    pub(crate) fn new() -> Result<Self> {
        let socket = TcpSocket::new_v4().context("making a socket")?;
        socket.bind(([127, 0, 0, 1], 0).into()).context("taking a port on loopback")?;
        let address = socket.local_addr().context("taking a port on loopback")?;
        Ok(Self { address, _socket: socket })
    }
}

fn exchange(call: &Call) -> Plan {
    match call.field("authorization") {
        Some(credential) => text(200, token(credential)).into(),
        None => text(401, "who?\n").into(),
    }
}

async fn listen(address: SocketAddr, state: Arc<State>) -> Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address).await.context("listening on loopback")?;
    let address = listener.local_addr().context("listening on loopback")?;
    Ok((address, tokio::spawn(serve(listener, state))))
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        // How a connection ends shows to whoever is at its other end.
        connections.spawn(async move { drop(connection(stream, state).await) });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut start = [0; PREFACE.len()];
    // A client that sends fewer bytes at first, and waits, is none of ours.
    let read = stream.peek(&mut start).await?;
    let (sender, mut receiver) = mpsc::channel(1);
    let service = service_fn(move |request| handle(request, Arc::clone(&state), sender.clone()));
    if start[..read] == *PREFACE {
        let server = http2::Builder::new(TokioExecutor::new());
        let server = server.serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            served = server => return served.context("serving HTTP/2"),
            _ = async { while receiver.recv().await.is_some() {} } => bail!("no service"),
        }
    }
    let mut server = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let act = tokio::select! {
        served = &mut server => return served.context("serving HTTP/1.1"),
        act = receiver.recv() => act.context("no service")?,
    };
    misbehave(server.into_parts().io.into_inner(), act).await
}

async fn handle(
    request: Request<Incoming>,
    state: Arc<State>,
    misbehave: mpsc::Sender<Act>,
) -> Result<Response<Payload>> {
    let http2 = request.version() == hyper::Version::HTTP_2;
    let call = read(request, &state).await?;
    let planner = Arc::clone(&lock(&state.planner));
    let plan = planner(&call);
    state.held.subscribe().wait_for(|held| !held).await.context("the service has gone")?;
    tokio::time::sleep(plan.delay).await;
    match plan.act {
        Act::Answer(answer) => respond(answer),
        Act::Silence => std::future::pending().await,
        _ if http2 => bail!("as planned"),
        act => {
            misbehave.send(act).await.context("the connection has gone")?;
            std::future::pending().await
        }
    }
}

async fn read(request: Request<Incoming>, state: &State) -> Result<Call> {
    let (mut head, body) = request.into_parts();
    let host = head.headers.remove(header::HOST);
    let authority = match head.uri.authority() {
        Some(authority) => authority.to_string(),
        None => host.map(|h| String::from_utf8_lossy(h.as_bytes()).into()).unwrap_or_default(),
    };
    let body = body.collect().await.context("reading a call")?.to_bytes();
    let mut call = Call {
        number: 0,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authority,
        fields: field_lines(&head.headers),
        body,
    };
    state.arrived.send_modify(|arrived| {
        call.number = *arrived;
        *arrived += 1;
        lock(&state.calls).push(call.clone());
    });
    Ok(call)
}

async fn misbehave(mut stream: TcpStream, act: Act) -> Result<()> {
    match act {
        Act::Bytes(bytes) => stream.write_all(&bytes).await?,
        Act::Drip(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Act::Reset(bytes) => {
            stream.write_all(&bytes).await?;
            stream.set_zero_linger()?;
        }
        Act::Answer(_) | Act::Silence => {}
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
