//! The service behind the proxy: answers what it is told to, and writes down what reached it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use pintle_core::testing::corpus::{FieldLines, SeenUpstream};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::payload::{Gate, Payload, field_lines, header_map};

/// The request field that says which exchange a request belongs to.
pub(crate) const CASE: &str = "x-pintle-case";

/// More than any proxy between would let pass.
const MAX_HEADER_BYTES: u32 = 256 * 1024;
const MAX_FIELDS: usize = 1000;

/// For a request to arrive in: far more than it takes, as only a failure waits for its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what has arrived.
const PAUSE: Duration = Duration::from_millis(5);

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Fields beside those that frame the message.
    pub(crate) fields: FieldLines,
    /// The content.
    pub(crate) body: Bytes,
    /// Without `content-length`.
    pub(crate) chunked: bool,
    /// Fields behind the content.
    pub(crate) trailers: FieldLines,
    /// How the content comes.
    pub(crate) manner: Manner,
}

/// How content comes.
#[derive(Clone, Debug, Default)]
pub(crate) enum Manner {
    /// All that there is, without delay.
    #[default]
    AtOnce,
    /// In pieces of so many bytes, each of which goes out by itself.
    Drops(usize),
    /// So many times over.
    Repeated(u64),
    /// Half of it, and the other half once this is open.
    Gated(Gate),
    /// All of it but not its end: the connection ends before, or the stream over HTTP/2.
    BrokenOff,
    /// All of it but not its end, which never comes.
    Stalled,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            fields: vec![(b"content-type".to_vec(), b"text/plain".to_vec())],
            body: Bytes::from_static(b"hello from the upstream\n"),
            chunked: false,
            trailers: Vec::new(),
            manner: Manner::AtOnce,
        }
    }
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// What it was.
    pub(crate) seen: SeenUpstream,
    /// [`digest`] of its content.
    pub(crate) digest: u64,
    /// Whether the content came to its end.
    pub(crate) complete: bool,
}

/// A digest to tell one content from another.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// A running service; it ends with its handle.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    book: Arc<Mutex<Book>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Book {
    answers: HashMap<String, Answer>,
    arrivals: HashMap<String, Vec<Arrival>>,
}

impl Upstream {
    /// Listens on a port of the system's choice, for HTTP/1.1 and for HTTP/2 with prior knowledge.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening on loopback")?;
        let address = listener.local_addr().context("listening on loopback")?;
        let book = Arc::<Mutex<Book>>::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&book)));
        Ok(Self { address, book, server })
    }

    /// Says what to answer to the requests of one exchange.
    pub(crate) fn expect(&self, case: &str, answer: Answer) {
        lock(&self.book).answers.insert(case.into(), answer);
    }

    /// Returns when a request of one exchange is there, whole.
    pub(crate) async fn arrived(&self, case: &str) -> Result<()> {
        let is_there = || {
            let book = lock(&self.book);
            book.arrivals.get(case).is_some_and(|all| all.iter().any(|one| one.complete))
        };
        let deadline = Instant::now() + PATIENCE;
        while !is_there() {
            ensure!(Instant::now() < deadline, "{case} did not arrive within {PATIENCE:?}");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// How much has arrived that was not taken yet.
    pub(crate) fn total(&self) -> usize {
        lock(&self.book).arrivals.values().map(Vec::len).sum()
    }

    /// What arrived of one exchange, and forgets it.
    pub(crate) fn take(&self, case: &str) -> Vec<Arrival> {
        let mut book = lock(&self.book);
        book.answers.remove(case);
        book.arrivals.remove(case).unwrap_or_default()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, book: Arc<Mutex<Book>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let book = Arc::clone(&book);
        connections.spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().max_headers(MAX_FIELDS).max_buf_size(MAX_HEADER_BYTES as usize);
            server.http2().max_header_list_size(MAX_HEADER_BYTES);
            let service =
                hyper::service::service_fn(move |request| handle(request, Arc::clone(&book)));
            // A connection that breaks is the business of the suite that broke it.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn handle(request: Request<Incoming>, book: Arc<Mutex<Book>>) -> Result<Response<Payload>> {
    let (head, mut body) = request.into_parts();
    let case = head.headers.get(CASE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    // Written down at once: a request that is given up half-way has reached the upstream too.
    let place = lock(&book).arrive(&case, &head);
    let mut content = Vec::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        match frame.context("reading a request")?.into_data() {
            Ok(data) => content.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let answer = lock(&book).complete(&case, place, &content, &trailers);
    if head.method == Method::HEAD { respond_to_head(answer) } else { respond(answer) }
}

impl Book {
    fn arrive(&mut self, case: &str, head: &hyper::http::request::Parts) -> usize {
        let seen = SeenUpstream {
            method: head.method.to_string(),
            path: head.uri.path_and_query().map(|p| p.as_str().into()).unwrap_or_default(),
            fields: field_lines(&head.headers),
            ..SeenUpstream::default()
        };
        let arrivals = self.arrivals.entry(case.into()).or_default();
        arrivals.push(Arrival { seen, digest: 0, complete: false });
        arrivals.len() - 1
    }

    fn complete(
        &mut self,
        case: &str,
        place: usize,
        content: &[u8],
        trailers: &HeaderMap,
    ) -> Answer {
        if let Some(arrival) = self.arrivals.get_mut(case).and_then(|a| a.get_mut(place)) {
            arrival.seen.body_bytes = content.len() as u64;
            arrival.seen.trailers = field_lines(trailers);
            arrival.digest = digest(content);
            arrival.complete = true;
        }
        self.answers.get(case).cloned().unwrap_or_default()
    }
}

/// An answer as hyper has it.
pub(crate) fn respond(answer: Answer) -> Result<Response<Payload>> {
    let (body, states_length) = (answer.body, !answer.chunked);
    let payload = match answer.manner {
        Manner::AtOnce if states_length => Payload::whole(body),
        Manner::AtOnce => Payload::pieces(body),
        Manner::Drops(bytes) => Payload::drops(body, bytes),
        Manner::Repeated(times) => Payload::repeated(body, times),
        Manner::Gated(gate) => Payload::gated(body, gate),
        Manner::BrokenOff => Payload::broken_off(body),
        Manner::Stalled => Payload::pieces(body).stalled(),
    };
    let payload = if states_length { payload.exact() } else { payload };
    let trailers = header_map(&answer.trailers)?;
    let mut response = Response::new(Payload::default());
    *response.status_mut() = StatusCode::from_u16(answer.status)?;
    *response.headers_mut() = header_map(&answer.fields)?;
    for name in trailers.keys() {
        response.headers_mut().append(header::TRAILER, header::HeaderValue::from(name.clone()));
    }
    // Over HTTP/1.1 hyper keeps them from those who did not ask with `te: trailers`.
    *response.body_mut() = payload.with_trailers(trailers);
    Ok(response)
}

/// The fields that the answer to a `GET` would have (RFC 9110 section 9.3.2). hyper leaves content
/// out over HTTP/1.1 alone.
fn respond_to_head(answer: Answer) -> Result<Response<Payload>> {
    let length = (!answer.chunked).then_some(answer.body.len());
    let mut response = respond(Answer { trailers: Vec::new(), ..answer })?;
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = Payload::whole(Bytes::new());
    Ok(response)
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
