//! gRPC: a denial is a reply of trailers alone, with the same `grpc-status` from both artefacts.

use anyhow::{Result, ensure};
use bytes::Bytes;
use pintle_core::testing::corpus::{Http, Message, Request};

use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::envoy::Envoy;
use crate::mesh::Mesh;
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

const CONFIG: &str = r#"{"filters": [
    {"basic_auth": {"rules": [{"when": {"path": {"prefix": "/pets.Pets/"}}, "credentials": ["alice:wonderland"]}]}},
    {"require_header": {"header": "allow", "exact": "true", "when": {"path": {"prefix": "/toys.Toys/"}}}}
]}"#;

/// A method, the HTTP status of the denial, and what Envoy maps it to: UNAUTHENTICATED (16) and
/// PERMISSION_DENIED (7) of the gRPC protocol's table.
const DENIALS: [(&str, &str, &str); 2] = [
    ("/pets.Pets/Get", "16", "pintle_no_credentials"),
    ("/toys.Toys/Get", "7", "pintle_field_missing"),
];

/// Sends calls that are denied, and one that is not.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    let artefacts = envoy.artefacts();
    let listener = |a: &Artefact| Listener::with(a.name(), &ground.workspace, *a, CONFIG);
    let listeners: Vec<Listener> = artefacts.iter().map(listener).collect();
    let mesh = Mesh::start(&ground.workspace, envoy, "grpc", &listeners, &[]).await?;
    for artefact in artefacts {
        let place = artefact.name();
        for (path, status, details) in DENIALS {
            let name = format!("gRPC call of {path} denied");
            if ground.wants(&name) {
                tally.record(place, name, denied(&mesh, place, path, status, details).await);
            }
        }
        let name = "gRPC call let through";
        if ground.wants(name) {
            tally.record(place, name, allowed(&mesh, place).await);
        }
    }
    Ok(tally)
}

async fn denied(
    mesh: &Mesh,
    listener: &str,
    path: &str,
    status: &str,
    details: &str,
) -> Result<()> {
    let done = mesh.exchange(listener, &call(path, &[]), Answer::default()).await?;
    let reply = &done.reply;
    ensure!(done.arrivals.is_empty(), "it reached the upstream");
    ensure!(reply.status == 200, "status {}, not 200", reply.status);
    // The form of trailers alone is one section of fields for HTTP/2.
    for (name, expected) in [("content-type", "application/grpc"), ("grpc-status", status)] {
        let seen = reply.field(name).unwrap_or_default();
        ensure!(seen == expected.as_bytes(), "{name}: {}, not {expected}", seen.escape_ascii());
    }
    ensure!(reply.body.is_empty() && reply.trailers.is_empty(), "more than trailers: {reply:?}");
    ensure!(done.entry.details == details, "details {}", done.entry.details);
    Ok(())
}

async fn allowed(mesh: &Mesh, listener: &str) -> Result<()> {
    let answer = Answer {
        fields: vec![(b"content-type".into(), b"application/grpc".into())],
        body: Bytes::from_static(&[0, 0, 0, 0, 0]),
        chunked: true,
        trailers: vec![(b"grpc-status".into(), b"0".into())],
        ..Answer::default()
    };
    let credentials = ("authorization", "Basic YWxpY2U6d29uZGVybGFuZA==");
    let done = mesh.exchange(listener, &call("/pets.Pets/Get", &[credentials]), answer).await?;
    ensure!(done.arrivals.len() == 1, "{} requests reached the upstream", done.arrivals.len());
    ensure!(done.reply.trailer("grpc-status") == Some(b"0"), "reply: {:?}", done.reply);
    ensure!(done.reply.body.len() == 5, "reply: {:?}", done.reply);
    Ok(())
}

fn call(path: &str, more: &[(&str, &str)]) -> Request {
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let fields = fields.iter().chain(more);
    Request {
        method: "POST".into(),
        path: path.into(),
        authority: "example.com".into(),
        http: Http::Two,
        message: Message {
            fields: fields
                .map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into()))
                .collect(),
            body: vec![0; 5],
            chunked: true,
            trailers: Vec::new(),
        },
    }
}
