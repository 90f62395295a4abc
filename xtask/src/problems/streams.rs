//! Responses that are streamed: nothing is held back, and nothing piles up.

use anyhow::{Context, Result, ensure};
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use pintle_core::testing::corpus::{Http, Request, filler};
use serde_json::json;

use super::expected::Problem;
use super::site::{ERRORS, Site, WANTED, error, get};
use super::{CHANCE, PATIENCE, PAUSE, Test, WORKERS};
use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::client::{Connection, Reply};
use crate::envoy::Envoy;
use crate::mesh::{Mesh, Setup};
use crate::payload::{Gate, field_lines};
use crate::process::resident_bytes;
use crate::suite::Ground;
use crate::upstream::{Answer, Manner};

/// One piece of the content; a stream has many.
const PIECE_BYTES: usize = 64 << 10;
/// Of a stream, that something had to be missed in if it were held.
const STREAM_BYTES: u64 = 2 << 30;
/// Over HTTP/2, whose windows make it slower.
const HTTP2_STREAM_BYTES: u64 = 256 << 20;
/// Sent before memory is looked at first.
const WARM_UP_BYTES: u64 = 64 << 20;
/// How often memory is looked at meanwhile.
const LOOK_BYTES: u64 = 32 << 20;
/// Bytes by which resident memory may grow, for what Envoy buffers (1 MiB per connection and
/// direction by default) and for what allocators do. A stream that is held is 2 GiB.
const MAX_GROWTH: u64 = 32 << 20;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "the first half before the second",
        run: |site, http| Box::pin(halves(site, http)),
    },
    Test { name: "a problem at the end of a stream", run: |site, http| Box::pin(end(site, http)) },
];

/// A stream, and what comes of it.
pub(super) struct Stream {
    pub(super) name: &'static str,
    status: u16,
    path: &'static str,
    http: Http,
    becomes_problem: bool,
}

pub(super) const MEMORY: &[Stream] = &[
    Stream {
        name: "memory while 2 GiB of a 200 pass",
        status: 200,
        path: WANTED,
        http: Http::One,
        becomes_problem: false,
    },
    Stream {
        name: "memory while 2 GiB of an error of another path pass",
        status: 500,
        path: "/other",
        http: Http::One,
        becomes_problem: false,
    },
    Stream {
        name: "memory while 2 GiB become a problem",
        status: 500,
        path: WANTED,
        http: Http::One,
        becomes_problem: true,
    },
    Stream {
        name: "memory while 256 MiB of a 200 pass over HTTP/2",
        status: 200,
        path: WANTED,
        http: Http::Two,
        becomes_problem: false,
    },
    Stream {
        name: "memory while 256 MiB become a problem over HTTP/2",
        status: 500,
        path: WANTED,
        http: Http::Two,
        becomes_problem: true,
    },
];

/// What is no problem goes on piece by piece: the client has the first half before there is more.
async fn halves(site: &Site, http: Http) -> Result<()> {
    let text = filler(1000);
    for (status, media_type) in [(200, "text/plain"), (500, "text/event-stream")] {
        for chunked in [false, true] {
            for (_, listener) in site.listeners(ERRORS) {
                let (gate, fields) =
                    (Gate::new(), vec![(b"content-type".into(), media_type.into())]);
                let manner = Manner::Gated(gate.clone());
                let answer = Answer { fields, chunked, manner, ..error(status, text.clone()) };
                let (case, request) = site.mesh.labelled(&get("/up/a", http));
                site.mesh.upstream.expect(&case, answer);
                let mut connection = Connection::open(site.mesh.address(&listener)?, http).await?;
                let mut response = connection.begin(&request).await?;
                let first = read(&mut response, text.len() / 2).await;
                let mut seen = first.with_context(|| format!("{status}, {listener}"))?;
                gate.open();
                seen.extend(read(&mut response, text.len() - seen.len()).await?);
                ensure!(seen == text, "other content");
                drop(site.mesh.upstream.take(&case));
            }
        }
    }
    Ok(())
}

/// The next so many bytes.
async fn read(response: &mut Response<Incoming>, bytes: usize) -> Result<Vec<u8>> {
    let mut seen = Vec::new();
    let reading = async {
        while seen.len() < bytes {
            let frame = response.frame().await.context("it ended")?.context("it broke off")?;
            seen.extend(frame.into_data().unwrap_or_default());
        }
        anyhow::Ok(())
    };
    let read = tokio::time::timeout(PATIENCE, reading).await;
    read.with_context(|| format!("not all of {bytes} bytes within {PATIENCE:?}")).flatten()?;
    Ok(seen)
}

/// What becomes a problem waits for the end of the content, and not a byte of that gets through.
async fn end(site: &Site, http: Http) -> Result<()> {
    let text = filler(1000);
    for (_, listener) in site.listeners(ERRORS).iter().filter(|(artefact, _)| artefact.is_some()) {
        let gate = Gate::new();
        let manner = Manner::Gated(gate.clone());
        let answer = Answer { chunked: true, manner, ..error(500, text.clone()) };
        let (case, request) = site.mesh.labelled(&get("/up/a", http));
        site.mesh.upstream.expect(&case, answer);
        let mut connection = Connection::open(site.mesh.address(listener)?, http).await?;
        let opening = async {
            tokio::time::sleep(CHANCE).await;
            gate.open();
        };
        let (reply, ()) = tokio::join!(connection.send(&request), opening);
        Problem::of(&request, 500, &text)?.check(&reply?).with_context(|| listener.clone())?;
        drop(site.mesh.upstream.take(&case));
    }
    Ok(())
}

/// Looks at the memory of an Envoy of its own while a stream goes through the filter.
pub(super) async fn memory(
    ground: &Ground,
    envoy: &Envoy,
    artefact: Artefact,
    stream: &Stream,
) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("       not looked at: memory is read from /proc, which Linux alone has");
        return Ok(());
    }
    let config = json!({"filters": [{"problem_json": {"when": {"path": {"prefix": WANTED}}}}]});
    let name = artefact.name();
    let mut listener = Listener::with(name, &ground.workspace, artefact, &config.to_string());
    let route =
        json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}});
    let host = json!({"name": "all", "domains": ["*"], "routes": [route]});
    listener.manager.insert("route_config".into(), json!({"virtual_hosts": [host]}));
    let label = format!("problems-memory-{name}");
    let setup = Setup { workers: WORKERS, ..Setup::default() };
    let mut mesh = Mesh::start_as(&ground.workspace, envoy, &label, &[listener], setup).await?;
    // One connection, and so one worker, all the time.
    let mut connection = Connection::open(mesh.address(name)?, stream.http).await?;
    let pid = mesh.pid()?;
    pass(&mesh, &mut connection, stream, WARM_UP_BYTES, &mut || Ok(())).await.context("warm-up")?;
    let before = resident_bytes(pid)?;
    let mut most = before;
    let mut look = || {
        most = most.max(resident_bytes(pid)?);
        Ok(())
    };
    let bytes = if stream.http == Http::Two { HTTP2_STREAM_BYTES } else { STREAM_BYTES };
    pass(&mesh, &mut connection, stream, bytes, &mut look).await?;
    let after = resident_bytes(pid)?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "       {name}: {:.1} MiB before, {:.1} at most, {:.1} after {:.0} MiB of content",
        mib(before),
        mib(most),
        mib(after),
        mib(bytes)
    );
    let growth = most.max(after).saturating_sub(before);
    ensure!(growth <= MAX_GROWTH, "memory grew by {growth} bytes");
    mesh.alive()
}

/// Sends a stream of so many bytes through, and looks at memory now and then.
async fn pass(
    mesh: &Mesh,
    connection: &mut Connection,
    stream: &Stream,
    bytes: u64,
    look: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let piece = filler(PIECE_BYTES);
    let times = bytes / PIECE_BYTES as u64;
    let manner = Manner::Repeated(times);
    let answer = Answer { chunked: true, manner, ..error(stream.status, piece.clone()) };
    let (case, request) = mesh.labelled(&get(stream.path, stream.http));
    mesh.upstream.expect(&case, answer);
    if stream.becomes_problem {
        becomes_problem(connection, &request, stream.status, &piece, look).await?;
    } else {
        let response = connection.begin(&request).await?;
        ensure!(response.status() == stream.status, "status {}", response.status());
        passes(response, &piece, bytes, look).await?;
    }
    mesh.entry(&case).await?;
    ensure!(mesh.upstream.take(&case).len() == 1, "it was sent again");
    Ok(())
}

/// Reads what must be so many bytes of pieces, and keeps none.
async fn passes(
    mut response: Response<Incoming>,
    piece: &[u8],
    bytes: u64,
    look: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let (mut seen, mut looked) = (0, 0);
    while let Some(frame) = response.frame().await {
        let data = frame.context("it broke off")?.into_data().unwrap_or_default();
        let mut rest: &[u8] = &data;
        while !rest.is_empty() {
            let at = usize::try_from(seen % PIECE_BYTES as u64)?;
            let (part, after) = rest.split_at(rest.len().min(PIECE_BYTES - at));
            ensure!(part == &piece[at..at + part.len()], "other content after {seen} bytes");
            (seen, rest) = (seen + part.len() as u64, after);
        }
        if seen >= looked + LOOK_BYTES {
            looked = seen;
            look()?;
        }
    }
    ensure!(seen == bytes, "{seen} bytes, not {bytes}");
    Ok(())
}

/// Waits for a problem, and looks at memory meanwhile.
async fn becomes_problem(
    connection: &mut Connection,
    request: &Request,
    status: u16,
    piece: &[u8],
    look: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let reading = async {
        let (head, body) = connection.begin(request).await?.into_parts();
        anyhow::Ok(Reply {
            status: head.status.as_u16(),
            fields: field_lines(&head.headers),
            body: body.collect().await.context("reading it")?.to_bytes(),
            trailers: Vec::new(),
        })
    };
    let mut reading = std::pin::pin!(reading);
    let reply = loop {
        match tokio::time::timeout(PAUSE, &mut reading).await {
            Ok(reply) => break reply?,
            Err(_) => look()?,
        }
    };
    // Its start is all that counts.
    Problem::of(request, status, &[piece, piece].concat())?.check(&reply)
}
