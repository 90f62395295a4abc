//! What a filter notes, as others of the same Envoy read it: the access log, RBAC by value, CEL.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::artefact::Artefact;
use crate::bootstrap::{self, Listener};
use crate::client;
use crate::envoy::Envoy;
use crate::mesh::Mesh;
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

const CONFIG: &str = r#"{"filters": [
    {"basic_auth": {"rules": [{"credentials": ["alice:wonderland", "bob:builder"]}], "forward_user": "x-user"}},
    {"require_header": {"header": "x-team", "mode": "observe"}}
]}"#;
const ALICE: &str = "Basic YWxpY2U6d29uZGVybGFuZA==";
const BOB: &str = "Basic Ym9iOmJ1aWxkZXI=";
const NOTES: [&str; 2] = ["user", "observed.require_header"];

/// One listener for each artefact and each way of asking whether the user is alice.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut listeners = Vec::new();
    for artefact in envoy.artefacts() {
        let file = artefact.file(&ground.workspace);
        for (way, policy) in policies(artefact) {
            let name = format!("{}: {way}", artefact.name());
            let pintle = bootstrap::filter(artefact, &file, CONFIG);
            listeners.push(Listener::new(name, vec![pintle, policy]));
        }
    }
    let notes = NOTES.map(String::from);
    let mut mesh = Mesh::start(&ground.workspace, envoy, "identity", &listeners, &notes).await?;
    let mut tally = Tally::default();
    for artefact in envoy.artefacts() {
        for (way, _) in policies(artefact) {
            let listener = format!("{}: {way}", artefact.name());
            let name = format!("{way} and the access log know the user");
            if ground.wants(&name) {
                tally.record(artefact.name(), name, told_apart(&mesh, &listener).await);
            }
        }
    }
    mesh.alive()?;
    Ok(tally)
}

async fn told_apart(mesh: &Mesh, listener: &str) -> Result<()> {
    for (credentials, user, status) in [(ALICE, "alice", 200), (BOB, "bob", 403)] {
        let mut request = client::get("/");
        request.message.fields.push((b"authorization".into(), credentials.into()));
        let done = mesh.exchange(listener, &request, Answer::default()).await?;
        ensure!(done.reply.status == status, "{user}: status {}, not {status}", done.reply.status);
        let note = |key: &str| done.entry.notes.get(key).map(Vec::as_slice);
        ensure!(note("user") == Some(user.as_bytes()), "the log has {:?}", done.entry.notes);
        ensure!(
            note("observed.require_header") == Some(b"field_missing"),
            "the log has {:?}",
            done.entry.notes
        );
    }
    Ok(())
}

/// Ways for RBAC to let alice through and nobody else: `docs/identity.md` shows them. CEL stands in
/// Envoy's configuration as a syntax tree.
fn policies(artefact: Artefact) -> [(&'static str, Value); 2] {
    let (principal, note, alice) = match artefact {
        // metadata.filter_metadata["pintle"]["user"] == "alice"
        Artefact::Native => (
            json!({"sourced_metadata": {"metadata_matcher": {
                "filter": "pintle",
                "path": [{"key": "user"}],
                "value": {"string_match": {"exact": "alice"}},
            }}}),
            index(index(select("metadata", "filter_metadata"), "pintle"), "user"),
            json!({"string_value": "alice"}),
        ),
        // filter_state["wasm.pintle.user"] == b"alice"
        Artefact::Wasm => (
            json!({"filter_state": {"key": "wasm.pintle.user", "string_match": {"exact": "alice"}}}),
            index(json!({"ident_expr": {"name": "filter_state"}}), "wasm.pintle.user"),
            json!({"bytes_value": "YWxpY2U="}),
        ),
    };
    let condition = call("_==_", [note, json!({"const_expr": alice})]);
    let any = json!({"any": true});
    [
        ("RBAC's principal", policy(&principal, None)),
        ("CEL in an RBAC condition", policy(&any, Some(condition))),
    ]
}

fn policy(principal: &Value, condition: Option<Value>) -> Value {
    let mut policy = json!({"permissions": [{"any": true}], "principals": [principal]});
    if let Some(condition) = condition {
        policy["condition"] = condition;
    }
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": {"alice": policy}},
        },
    })
}

fn call(function: &str, arguments: [Value; 2]) -> Value {
    json!({"call_expr": {"function": function, "args": arguments}})
}

fn index(map: Value, key: &str) -> Value {
    call("_[_]", [map, json!({"const_expr": {"string_value": key}})])
}

fn select(name: &str, field: &str) -> Value {
    json!({"select_expr": {"operand": {"ident_expr": {"name": name}}, "field": field}})
}
