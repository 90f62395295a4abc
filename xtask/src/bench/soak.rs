//! Whether memory grows with requests: a million of them, each unlike all before.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::{Buf, BytesMut};
use pintle_core::testing::corpus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Bench;
use super::cell::Cell;
use super::memory::{settled_bytes, warm_up};
use super::number::{kib, mib};
use super::progress::Progress;
use super::proof;
use super::proxy::{Proxy, Setup};
use super::results::{Place, Results, Soak, SoakPoint};
use super::scenario::{Measure, REFERENCE, Scenario};
use super::subject::Subject;

const REQUESTS: u64 = 1_000_000;
/// Memory is looked at after each of these.
const STAGE: u64 = 100_000;
/// One in so many has a wrong credential.
const WRONG: u64 = 10;

const CONNECTIONS: usize = 32;
/// Requests that are written to a connection at once. With more answers than two waiting to be
/// written, Envoy takes a client for hostile and closes the connection.
const BATCH: u64 = 2;

/// Longer than a batch takes, shorter than anybody waits.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_FIELDS: usize = 64;

/// Records resident memory of the two artefacts, and of no filter, over many requests. No time is
/// taken, so the client is lean, and the requests come as fast as they can.
pub(crate) async fn run(bench: &Bench, progress: &Progress, results: &mut Results) -> Result<()> {
    let mut cells = bench.cells(Measure::Soak);
    cells.retain(|cell| matches!(cell.subject, Subject::None | Subject::Native | Subject::Wasm));
    if bench.quick || cells.is_empty() {
        return Ok(());
    }
    progress.heading(format!("Resident memory over {REQUESTS} requests"));
    for cell in cells {
        match soak(bench, &cell).await {
            Ok(soak) => {
                let last = soak.points.last().map_or(0, |point| point.resident_bytes);
                let growth = soak.growth().map_or(0.0, |(bytes, _)| kib(bytes));
                let held = mib(last as f64);
                progress
                    .say(format!("{cell}: {held:.1} MiB at last, {growth:+} KiB since settled"));
                results.soak.push(soak);
            }
            Err(error) => results.failed.push(format!("memory over time of {cell}: {error:#}")),
        }
    }
    Ok(())
}

async fn soak(bench: &Bench, cell: &Cell<'_>) -> Result<Soak> {
    let proxy = Proxy::start(bench, cell, "soak", &Setup::default()).await?;
    proof::prove(&proxy, cell).await?;
    warm_up(&proxy, cell, 1).await?;
    let mut points = vec![point(&proxy, 0).await?];
    let mut client = Client::open(proxy.address, cell).await?;
    for stage in 0..REQUESTS / STAGE {
        let requests = stage * STAGE..(stage + 1) * STAGE;
        client.send(requests.clone()).await?;
        points.push(point(&proxy, requests.end).await?);
    }
    proof::prove(&proxy, cell).await?;
    proxy.stop().await?;
    Ok(Soak { place: Place::from(cell), points })
}

async fn point(proxy: &Proxy, requests: u64) -> Result<SoakPoint> {
    Ok(SoakPoint { requests, resident_bytes: settled_bytes(proxy).await? })
}

/// Several connections that take turns.
struct Client<'s> {
    connections: Vec<Pipeline>,
    scenario: &'s Scenario,
    /// Whether some credentials are wrong.
    wrong: bool,
    /// Whether a wrong credential is denied.
    denies: bool,
}

impl<'s> Client<'s> {
    async fn open(address: SocketAddr, cell: &Cell<'s>) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Pipeline::open(address).await?);
        }
        let wrong = cell.scenario.id == REFERENCE;
        let denies = wrong && cell.subject != Subject::None;
        Ok(Self { connections, scenario: cell.scenario, wrong, denies })
    }

    /// Sends the requests of these numbers, and returns when all are answered as they should be.
    async fn send(&mut self, numbers: Range<u64>) -> Result<()> {
        let denies = self.denies;
        let starts = numbers.clone().step_by(BATCH as usize);
        for (turn, start) in starts.enumerate() {
            let pipeline = &mut self.connections[turn % CONNECTIONS];
            pipeline.receive(|number| status(number, denies)).await?;
            let batch = start..numbers.end.min(start + BATCH);
            let mut text = String::new();
            for number in batch.clone() {
                let wrong = self.wrong && is_wrong(number);
                render(&self.scenario.numbered(number)?, number, wrong, &mut text);
            }
            pipeline.send(batch, &text).await?;
        }
        for pipeline in &mut self.connections {
            pipeline.receive(|number| status(number, denies)).await?;
        }
        Ok(())
    }
}

/// A connection on which requests do not wait for answers.
struct Pipeline {
    stream: TcpStream,
    received: BytesMut,
    /// The numbers of the requests under way.
    pending: Range<u64>,
}

impl Pipeline {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        Ok(Self { stream, received: BytesMut::new(), pending: 0..0 })
    }

    async fn send(&mut self, numbers: Range<u64>, text: &str) -> Result<()> {
        self.pending = numbers;
        self.stream.write_all(text.as_bytes()).await.context("sending requests")
    }

    /// Reads the answers to all that was sent.
    async fn receive(&mut self, expected: impl Fn(u64) -> u16) -> Result<()> {
        for number in std::mem::take(&mut self.pending) {
            let status = tokio::time::timeout(PATIENCE, self.answer())
                .await
                .map_err(|_| anyhow!("no complete answer within {PATIENCE:?}"))
                .flatten()
                .with_context(|| format!("request {number}"))?;
            let expected = expected(number);
            ensure!(status == expected, "request {number}: the status is {status}, not {expected}");
        }
        Ok(())
    }

    async fn answer(&mut self) -> Result<u16> {
        loop {
            if let Some((status, length)) = parse(&self.received)? {
                self.received.advance(length);
                return Ok(status);
            }
            let read = self.stream.read_buf(&mut self.received).await.context("reading")?;
            ensure!(read > 0, "the connection was closed");
        }
    }
}

/// What a request is answered with.
fn status(number: u64, denies: bool) -> u16 {
    if denies && is_wrong(number) { 401 } else { 200 }
}

fn is_wrong(number: u64) -> bool {
    number % WRONG == WRONG - 1
}

/// The scenario's request with a path, a query and a user agent that no other has, and now and then
/// with a credential that is not only wrong but new.
fn render(request: &corpus::Request, number: u64, wrong: bool, text: &mut String) {
    let mut line = |line: &[&str]| {
        line.iter().for_each(|part| text.push_str(part));
        text.push_str("\r\n");
    };
    let n = number.to_string();
    line(&[&request.method, " ", &request.path, "/", &n, "?number=", &n, " HTTP/1.1"]);
    line(&["host: ", &request.authority]);
    for (name, value) in &request.message.fields {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        match name.as_ref() {
            "user-agent" => line(&[&name, ": ", &value, "/", &n]),
            // "alice:" and six bytes, in base64.
            "authorization" if wrong => {
                line(&[&name, ": Basic YWxpY2U6", &format!("{number:08}")]);
            }
            _ => line(&[&name, ": ", &value]),
        }
    }
    line(&[]);
}

/// The status of the first response, and how long that is with its content; none if it is not yet
/// whole.
fn parse(received: &[u8]) -> Result<Option<(u16, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(received).context("a response")? else {
        return Ok(None);
    };
    let content = response.headers.iter().find(|f| f.name.eq_ignore_ascii_case("content-length"));
    let Some(content) = content else { bail!("a response without content-length") };
    let content: usize = std::str::from_utf8(content.value)?.parse().context("content-length")?;
    let length = head + content;
    let status = response.code.context("a response without a status")?;
    Ok((received.len() >= length).then_some((status, length)))
}

#[cfg(test)]
mod tests {
    use super::{is_wrong, parse, render, status};
    use crate::client;

    #[test]
    fn requests_differ_and_one_in_ten_is_wrong() {
        let mut request = client::get("/x");
        let right = "Basic YWxpY2U6d29uZGVybGFuZA==";
        request.message.fields =
            vec![("authorization".into(), right.into()), ("user-agent".into(), "bench".into())];
        let text = |number| {
            let mut text = String::new();
            render(&request, number, is_wrong(number), &mut text);
            text
        };
        assert_eq!(
            text(8),
            "GET /x/8?number=8 HTTP/1.1\r\nhost: example.com\r\n\
             authorization: Basic YWxpY2U6d29uZGVybGFuZA==\r\nuser-agent: bench/8\r\n\r\n"
        );
        assert!(text(9).contains("authorization: Basic YWxpY2U600000009\r\n"));
        assert_eq!((status(8, true), status(9, true), status(9, false)), (200, 401, 200));
        assert_eq!((0..100).filter(|&number| status(number, true) == 401).count(), 10);
    }

    #[test]
    fn responses_one_after_another() {
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n";
        let (status, length) = parse(two).unwrap().unwrap();
        assert_eq!((status, &two[length - 2..length]), (200, b"ok".as_slice()));
        assert_eq!(parse(&two[length..]).unwrap(), Some((401, two.len() - length)));
        for short in [0, 10, length - 1] {
            assert_eq!(parse(&two[..short]).unwrap(), None);
        }
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"nonsense").is_err());
    }
}
