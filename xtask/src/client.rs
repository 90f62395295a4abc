//! The client in front of the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{self, HeaderValue};
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::{HeaderMap, Method, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pintle_core::testing::corpus::{self, FieldLines, Http};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::payload::{Payload, field_lines, header_map};

/// For a whole reply to come in: far more than any takes, as only a failure waits for its end.
const PATIENCE: Duration = Duration::from_secs(60);
const MAX_HEADER_BYTES: u32 = 256 * 1024;
const MAX_FIELDS: usize = 1000;

/// A connection to the proxy; closed with the last of its handles.
pub(crate) struct Connection {
    sender: Sender,
    driver: Arc<Driver>,
}

struct Driver(JoinHandle<()>);

enum Sender {
    One(http1::SendRequest<Payload>),
    Two(http2::SendRequest<Payload>),
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// The fields.
    pub(crate) fields: FieldLines,
    /// The content.
    pub(crate) body: Bytes,
    /// The trailers.
    pub(crate) trailers: FieldLines,
}

impl Reply {
    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        first(&self.fields, name)
    }

    /// The first value of a trailer field.
    pub(crate) fn trailer(&self, name: &str) -> Option<&[u8]> {
        first(&self.trailers, name)
    }
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr, http: Http) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        let io = TokioIo::new(stream);
        let (sender, driver) = match http {
            Http::One => {
                let mut builder = http1::Builder::new();
                builder.max_headers(MAX_FIELDS).max_buf_size(MAX_HEADER_BYTES as usize);
                let (sender, connection) = builder.handshake(io).await?;
                // How it ends shows in the replies.
                (Sender::One(sender), tokio::spawn(async { drop(connection.await) }))
            }
            Http::Two => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.max_header_list_size(MAX_HEADER_BYTES);
                let (sender, connection) = builder.handshake(io).await?;
                (Sender::Two(sender), tokio::spawn(async { drop(connection.await) }))
            }
        };
        Ok(Self { sender, driver: Arc::new(Driver(driver)) })
    }

    /// Another handle, for a request at the same time, on the same worker of the proxy. Only HTTP/2
    /// has that.
    pub(crate) fn share(&self) -> Result<Self> {
        match &self.sender {
            Sender::One(_) => bail!("one request at a time over HTTP/1.1"),
            Sender::Two(sender) => {
                Ok(Self { sender: Sender::Two(sender.clone()), driver: Arc::clone(&self.driver) })
            }
        }
    }

    /// Sends a request and reads the whole reply. The error is [`Elapsed`](tokio::time::error::Elapsed)
    /// where none came in time.
    pub(crate) async fn send(&mut self, request: &corpus::Request) -> Result<Reply> {
        self.send_as(request, |payload| payload).await
    }

    /// Sends a request with another content than it has.
    pub(crate) async fn send_as(
        &mut self,
        request: &corpus::Request,
        content: impl FnOnce(Payload) -> Payload,
    ) -> Result<Reply> {
        let shown = || format!("{} {}", request.method, request.path);
        let request = self.render(request, content).with_context(shown)?;
        let exchange = async { read(self.response(request).await?).await };
        let reply = tokio::time::timeout(PATIENCE, exchange).await;
        reply
            .with_context(|| format!("no complete reply within {PATIENCE:?}"))
            .flatten()
            .with_context(shown)
    }

    /// Sends a request, and returns when the fields of the reply are there, however long that takes.
    pub(crate) async fn begin(&mut self, request: &corpus::Request) -> Result<Response<Incoming>> {
        let shown = || format!("{} {}", request.method, request.path);
        let request = self.render(request, |payload| payload).with_context(shown)?;
        self.response(request).await.with_context(shown)
    }

    async fn response(&mut self, request: Request<Payload>) -> Result<Response<Incoming>> {
        Ok(match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }

    fn render(
        &self,
        request: &corpus::Request,
        content: impl FnOnce(Payload) -> Payload,
    ) -> Result<Request<Payload>> {
        let path = PathAndQuery::try_from(request.path.as_str()).context("the path")?;
        let message = &request.message;
        let trailers = header_map(&message.trailers)?;
        let body = Bytes::from(message.body.clone());
        let payload = if message.chunked { Payload::pieces(body) } else { Payload::whole(body) };
        let mut rendered = Request::new(content(payload.with_trailers(trailers.clone())));
        *rendered.method_mut() = Method::try_from(request.method.as_str()).context("the method")?;
        let mut fields = HeaderMap::new();
        match self.sender {
            Sender::One(_) => {
                fields.insert(header::HOST, request.authority.parse().context("the authority")?);
                *rendered.uri_mut() = Uri::from(path);
                for name in trailers.keys() {
                    fields.append(header::TRAILER, HeaderValue::from(name.clone()));
                }
            }
            Sender::Two(_) => {
                *rendered.version_mut() = Version::HTTP_2;
                *rendered.uri_mut() = Uri::builder()
                    .scheme("http")
                    .authority(request.authority.as_str())
                    .path_and_query(path)
                    .build()
                    .context("the authority")?;
            }
        }
        fields.extend(header_map(&message.fields)?);
        *rendered.headers_mut() = fields;
        Ok(rendered)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One request on a connection of its own.
pub(crate) async fn send(address: SocketAddr, request: &corpus::Request) -> Result<Reply> {
    Connection::open(address, request.http).await?.send(request).await
}

/// `GET path`, as one starts building a request.
pub(crate) fn get(path: &str) -> corpus::Request {
    corpus::Request {
        method: "GET".into(),
        path: path.into(),
        authority: "example.com".into(),
        http: Http::One,
        message: corpus::Message::default(),
    }
}

async fn read(response: Response<Incoming>) -> Result<Reply> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.context("reading the reply")?;
    let trailers = body.trailers().map(field_lines).unwrap_or_default();
    Ok(Reply {
        status: head.status.as_u16(),
        fields: field_lines(&head.headers),
        body: body.to_bytes(),
        trailers,
    })
}

fn first<'a>(fields: &'a FieldLines, name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|(n, _)| n == name.as_bytes()).map(|(_, value)| value.as_slice())
}
