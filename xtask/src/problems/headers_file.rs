//! `dist/pintle-headers.wasm`, which does not see the content of responses: it says so where a
//! configuration asks for that, and does all else.

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::{Http, filler};

use super::expected::{same, values};
use super::site::{error, get};
use crate::artefact::{Artefact, headers_file};
use crate::bootstrap::{self, Listener};
use crate::envoy::Envoy;
use crate::mesh::Mesh;
use crate::suite::Ground;
use crate::upstream::{Answer, Manner};

pub(super) const NAME: &str = "pintle-headers.wasm and what it cannot do";

/// For either file.
const FIELDS: &str = r#"{"filters": [
    {"headers": {"response": [{"set": {"name": "hello", "value": "world"}}]}}
]}"#;
/// For `pintle.wasm` alone.
const CONTENT: &str = r#"{"filters": [{"problem_json": {}}]}"#;

pub(super) async fn run(ground: &Ground, envoy: &Envoy) -> Result<()> {
    let file = headers_file(&ground.workspace);
    let listener = |name: &str, config| {
        Listener::new(name, vec![bootstrap::filter(Artefact::Wasm, &file, config)])
    };
    let plain = Listener::plain("plain");
    let fields = listener("fields", FIELDS);
    let listeners = [plain.clone(), fields.clone()];
    let mut mesh =
        Mesh::start(&ground.workspace, envoy, "problems-headers", &listeners, &[]).await?;
    for http in [Http::One, Http::Two] {
        for status in [200, 404] {
            let trailers = vec![(b"x-sum".to_vec(), b"1".to_vec())];
            let manner = Manner::Drops(100);
            let answer = Answer { chunked: true, trailers, manner, ..error(status, filler(2000)) };
            let request = get("/a", http);
            let plain = mesh.exchange("plain", &request, answer.clone()).await?.reply;
            let mut reply = mesh.exchange("fields", &request, answer).await?.reply;
            ensure!(values(&reply.fields, "hello") == [b"world"], "the filter did not run");
            reply.fields.retain(|(name, _)| name != b"hello");
            same(&reply, &plain).with_context(|| status.to_string())?;
        }
    }
    let update = mesh.update(&[plain, fields, listener("content", CONTENT)]).await?;
    ensure!(!update.accepted, "Envoy took it");
    for part in ["problem_json", "pintle.wasm"] {
        ensure!(update.log.contains(part), "the log does not name {part}:\n{}", update.log);
    }
    mesh.alive()
}
