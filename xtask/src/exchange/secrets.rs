//! With our loggers at their loudest, nothing that Envoy puts out holds a secret.
//!
//! Left out: `/config_dump`, which is Envoy's own echo of the configuration and has the client secret
//! in it, and Envoy's `http` logger, which at `debug` writes whole header sections by itself.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD as STANDARD, BASE64_URL_SAFE as URL_SAFE};
use bytes::Bytes;
use form_urlencoded::byte_serialize;
use pintle_core::testing::corpus::Request;
use serde_json::{Value, json};

use super::site::{Site, document, over_http2, with};
use super::{OwnTest, Place};
use crate::authority::{Act, Call, Plan, text};
use crate::bootstrap::Listener;
use crate::clusters::AUTH;
use crate::mesh::Setup;
use crate::upstream::Answer;

pub(super) const TESTS: &[OwnTest] =
    &[OwnTest { name: "no secret in any output", run: |place| Box::pin(run(place)) }];

const LEVELS: &str = "wasm:trace,dynamic_modules:trace";

/// Credentials, by what becomes of them; each is a Bearer value.
const CREDENTIALS: [(&str, &str); 6] = [
    ("granted", "crEdentialOfTheGranted0001"),
    ("refused", "crEdentialOfTheRefused0002"),
    ("unavailable", "crEdentialOfTheUnlucky0003"),
    ("garbage", "crEdentialOfTheGarbled0004"),
    ("unusable", "crEdentialOfTheUnusable005"),
    ("reset", "crEdentialOfTheCutOff00006"),
];
const PASSWORD: &str = "pAsswordOfAlice00007";
const TOKEN: &str = "tOkenFromTheService0008";
const BAD_TOKEN: &str = "tOkenOverTheLimit00009";
const CLIENT_ID: &str = "pintle-client";
const CLIENT_SECRET: &str = "cLientSecret+/=&0010";
const QUERY: &str = "cOdeInTheQuery00011";
const REASON: &str = "rEasonInABody000012";
const FIXED: &str = "fIxedFieldOfOurs00013";
const OTHER: &str = "aPiKeyThatIsSent00014";
const FORGED: &str = "made-up-tOken-00015";

/// Listeners with requests that wait for the callout of another, with a callout in the background, and
/// with a configuration that is refused in place of its own.
const WAITERS: &str = "waiters";
const AHEAD: &str = "ahead";
const UPDATED: &str = "grant-body";
/// How many ask at once with one credential.
const CROWD: usize = 4;

/// Documents, each of which gets all credentials.
fn documents() -> Vec<(&'static str, String)> {
    let document = |(name, config): (&'static str, Value)| (name, document(name, &config));
    let plugin = json!({
        "auth_authority": "auth.example",
        "auth_cluster_name": AUTH,
        "auth_timeout_ms": 15_000,
        "cache": {"ttl": "10m"},
    });
    let mut documents: Vec<_> = configs().into_iter().map(document).collect();
    documents.push(("plug-in", plugin.to_string()));
    documents
}

/// What the filters of most of them have.
fn configs() -> Vec<(&'static str, Value)> {
    let grant = |authentication: &str| {
        json!({"token_exchange": {
            "client": {"id": CLIENT_ID, "secret": CLIENT_SECRET, "authentication": authentication},
            "audience": "orders",
        }})
    };
    vec![
        (
            "cached",
            json!({
                "cache": {"ttl": "10m", "negative_ttl": "10m"},
                "request_headers": ["authorization", "x-api-key"],
                "headers": [{"name": "x-fixed", "value": FIXED}],
            }),
        ),
        ("uncached", json!({"relay_body": true, "max_token_bytes": 40})),
        ("allowing", json!({"on_unavailable": "allow", "on_bad_answer": "allow"})),
        ("bearer", json!({"header": "authorization", "token": {"header": "x-token"}})),
        ("pointer", json!({"token": {"json": "/a/token"}, "cache": {"ttl": "10m"}})),
        ("observed", json!({"mode": "observe"})),
        ("grant-basic", json!({"method": "POST", "grant": grant("basic")})),
        (UPDATED, json!({"grant": grant("body"), "cache": {"ttl": "10m"}})),
        ("missing", json!({"cluster": "missing"})),
        ("down", json!({"cluster": "nowhere", "cache": {"ttl": "10m", "stale_if_error": "10m"}})),
        ("slow", json!({"timeout": "50ms", "path": "/slow"})),
        (WAITERS, json!({"cache": {"ttl": "10m", "negative_ttl": "10m"}})),
        (AHEAD, json!({"cache": {"ttl": "5s", "refresh_ahead": true}})),
    ]
}

async fn run(place: &Place<'_>) -> Result<()> {
    let documents = documents();
    let listener = |(name, document): &(&str, String)| place.listener(name, document);
    let listeners: Vec<Listener> = documents.iter().map(listener).collect();
    let setup = Setup { log_levels: LEVELS, ..Setup::default() };
    let mut site = place.start("exchange-secrets", &listeners, setup).await?;
    site.mesh.authority.plan(answer);
    waiters(&site).await?;
    renewals(&site).await?;
    for (listener, _) in &documents {
        ensure!(site.mesh.has(listener), "{}", site.mesh.refusal(listener).await?);
        for request in requests() {
            // Twice, for what is remembered.
            for _ in 0..2 {
                site.ask(listener, &request).await.with_context(|| (*listener).to_owned())?;
            }
        }
    }
    updates(place, &site, listeners).await?;
    used(&site)?;
    let outputs = outputs(&site).await?;
    let log = &outputs[0].1;
    ensure!(log.contains("[trace]") || log.contains("[debug]"), "the loggers were not that loud");
    for (name, output) in &outputs {
        for (secret, form) in forms() {
            if let Some(line) = output.lines().find(|line| line.contains(&form)) {
                bail!("{secret} is in the {name}, as {form}: {line}");
            }
        }
    }
    site.mesh.alive()
}

/// Has requests wait for the callout of another, whatever comes of it.
async fn waiters(site: &Site) -> Result<()> {
    let connection = site.connect(WAITERS).await?;
    for request in requests().into_iter().take(CREDENTIALS.len()) {
        let requests = vec![over_http2(request); CROWD];
        site.mesh.authority.hold();
        let release = async {
            let waiting = site.active(CROWD as u64).await;
            site.mesh.authority.release();
            waiting
        };
        let (all, released) = tokio::join!(site.crowd_on(&connection, &requests), release);
        released?;
        all?;
    }
    let coalesced = CREDENTIALS.len() * (CROWD - 1);
    site.counts(WAITERS, "coalesced", coalesced as u64).await
}

/// Has callouts made in the background: first well, then in vain.
async fn renewals(site: &Site) -> Result<()> {
    let mut connection = site.connect(AHEAD).await?;
    let request = over_http2(requests().swap_remove(0));
    let counted = async |name: &str| -> Result<u64> {
        Ok(site.counted(AHEAD).await?.get(name).copied().unwrap_or_default())
    };
    // Whoever asks in vain for themselves counts as a miss; whoever is renewed for does not.
    let mut renewed = async |result: &str| {
        let ahead =
            async || Ok::<_, anyhow::Error>((counted(result).await?, counted("misses").await?));
        let (calls, misses) = ahead().await?;
        site.until("a token is renewed", async || {
            site.ask_on(&mut connection, &request).await?;
            let (now, missed) = ahead().await?;
            let (asked, missed) = (now - calls, missed - misses);
            Ok((asked > missed, format!("{asked} callouts for {missed} requests")))
        })
        .await
    };
    renewed("callouts.granted").await?;
    site.mesh.authority.plan(|_| text(500, format!("{TOKEN} {REASON}")));
    let result = renewed("callouts.unavailable").await;
    site.mesh.authority.plan(answer);
    result
}

/// Has configurations refused that hold secrets, in place of one that stays.
async fn updates(place: &Place<'_>, site: &Site, mut listeners: Vec<Listener>) -> Result<()> {
    let at =
        listeners.iter().position(|listener| listener.name == UPDATED).context("it is there")?;
    for refused in refused() {
        listeners[at] = place.listener(UPDATED, &refused);
        let update = site.mesh.push(&listeners).await?;
        ensure!(!update.accepted, "Envoy took it: {refused}");
    }
    for request in requests() {
        site.ask(UPDATED, &request).await.context("after updates that were refused")?;
    }
    Ok(())
}

/// Documents with mistakes, at secrets and near them.
fn refused() -> Vec<String> {
    let client = |client: Value| json!({"grant": {"token_exchange": {"client": client}}});
    let configs = [
        client(json!({"id": CLIENT_ID, "secret": CLIENT_SECRET, "authentication": "shout"})),
        client(json!({"id": CLIENT_ID, "secret": CLIENT_SECRET, "more": 1})),
        client(json!({"secret": CLIENT_SECRET})),
        client(json!({"id": CLIENT_ID, "secret": [CLIENT_SECRET]})),
        client(json!({"id": CLIENT_ID, "secret": {"of": CLIENT_SECRET}})),
        client(json!({"id": CLIENT_ID, "secret": format!("{CLIENT_SECRET}\u{7f}\n")})),
        client(json!(CLIENT_SECRET)),
        client(json!([CLIENT_ID, CLIENT_SECRET])),
        json!({"grant": {"token_exchange": CLIENT_SECRET}}),
        json!({"headers": [{"name": "x-fixed", "value": format!("{FIXED}\n")}]}),
        json!({"headers": [{"name": "x-fixed", "value": [FIXED]}]}),
        json!({"headers": [FIXED]}),
        json!({"headers": FIXED}),
    ];
    let mut documents: Vec<String> = configs.iter().map(|c| document(UPDATED, c)).collect();
    // One that breaks off after the secret, and one with another filter that does not exist.
    let whole = document(UPDATED, &client(json!({"id": CLIENT_ID, "secret": CLIENT_SECRET})));
    let end = whole.find(CLIENT_SECRET).unwrap_or_default() + CLIENT_SECRET.len();
    documents.push(whole[..end].to_owned());
    documents.push(whole.replacen("[{", "[{\"nobodys\": {}}, {", 1));
    documents
}

fn requests() -> Vec<Request> {
    let bearer = CREDENTIALS.map(|(_, credential)| format!("Bearer {credential}"));
    let basic = format!("Basic {}", STANDARD.encode(format!("alice:{PASSWORD}")));
    let twice = format!("Bearer {0}, Bearer {0}", CREDENTIALS[0].1);
    let odd = format!("Bearer {} {}", CREDENTIALS[0].1, CREDENTIALS[1].1);
    let mut requests = Vec::new();
    for credential in bearer.into_iter().chain([basic, twice, odd]) {
        let mut request = with(&credential);
        request.path = format!("/orders?code={QUERY}");
        request.message.fields.retain(|(name, _)| name != b"x-auth-jwt");
        let fields = [("x-api-key", OTHER), ("x-auth-jwt", FORGED)];
        let fields = fields.map(|(name, value)| (name.into(), value.into()));
        request.message.fields.extend(fields);
        requests.push(request);
    }
    requests
}

/// What the service does, by the credential, wherever in the call that is.
fn answer(call: &Call) -> Plan {
    let field = call.field("authorization").unwrap_or_default();
    let has = |needle: &str| {
        let within = |bytes: &[u8]| bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
        within(field) || within(&call.body)
    };
    let outcome = CREDENTIALS.iter().find(|(_, credential)| has(credential));
    if call.path == "/slow" {
        return Act::Silence.into();
    }
    match outcome.map_or("granted", |(outcome, _)| outcome) {
        "refused" => {
            let error = json!({"error": "invalid_grant", "error_description": REASON});
            let challenge = format!("Bearer error_description=\"{REASON}\"");
            let fields = vec![("www-authenticate".into(), challenge.into())];
            let status = if call.method == "POST" { 400 } else { 401 };
            Answer { fields, ..text(status, error.to_string()) }.into()
        }
        "unavailable" => text(500, format!("{TOKEN} {REASON}")).into(),
        "garbage" => Act::Bytes(Bytes::from(format!("{TOKEN}\0 {REASON}\r\n"))).into(),
        "unusable" => text(200, format!("{BAD_TOKEN}\r\n{}", BAD_TOKEN.repeat(1000))).into(),
        "reset" => {
            let half = format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{TOKEN}");
            Act::Reset(Bytes::from(half)).into()
        }
        _ => {
            let json = json!({
                "a": {"token": TOKEN},
                "access_token": TOKEN,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "token_type": "Bearer",
                "expires_in": 600,
            });
            let fields = vec![
                ("x-token".into(), TOKEN.into()),
                ("content-type".into(), "application/json".into()),
            ];
            let plain = call.field("x-fixed").is_some();
            let body = if plain { TOKEN.to_owned() } else { json.to_string() };
            Answer { fields, ..text(200, body) }.into()
        }
    }
}

/// An error unless the secrets were where they belong: else it says nothing that they are not in the
/// outputs.
fn used(site: &Site) -> Result<()> {
    let calls = site.mesh.authority.take();
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{}", percent_encoded(CLIENT_SECRET)));
    let needles = CREDENTIALS.iter().map(|(_, credential)| *credential);
    for needle in needles.chain([FIXED, OTHER, &basic, &percent_encoded(CLIENT_SECRET)]) {
        let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
        let sent = calls.iter().any(|c| has(&c.body) || c.fields.iter().any(|(_, v)| has(v)));
        ensure!(sent, "{needle} was never sent to the service");
    }
    Ok(())
}

async fn outputs(site: &Site) -> Result<Vec<(&'static str, String)>> {
    let read = |file: &Path| -> Result<String> {
        let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut outputs =
        vec![("log", read(&site.mesh.log.0)?), ("access log", read(&site.mesh.access_log())?)];
    for page in ["/stats", "/stats/prometheus", "/clusters", "/listeners", "/server_info"] {
        outputs.push((page, site.mesh.admin.page(page).await?));
    }
    Ok(outputs)
}

/// Every secret in every form in which it could be somewhere: as it is, in base64 of either alphabet
/// at any place in what is encoded, percent-encoded, in hexadecimal digits.
fn forms() -> Vec<(&'static str, String)> {
    let credentials = CREDENTIALS.iter().map(|(_, credential)| ("a credential", *credential));
    let others = [
        ("a password", PASSWORD),
        ("a token", TOKEN),
        ("a token that is none", BAD_TOKEN),
        ("the client secret", CLIENT_SECRET),
        ("a query", QUERY),
        ("a body of the service", REASON),
        ("a fixed field", FIXED),
        ("another request field", OTHER),
        ("a token that a client made up", FORGED),
    ];
    let mut forms = Vec::new();
    for (what, secret) in credentials.chain(others) {
        forms.push((what, secret.to_owned()));
        forms.push((what, percent_encoded(secret)));
        forms.push((what, secret.bytes().map(|byte| format!("{byte:02x}")).collect()));
        for alphabet in [&STANDARD, &URL_SAFE] {
            for before in 0..3 {
                // The digits that its neighbours do not reach.
                let text = format!("{}{secret}", "x".repeat(before));
                let whole = text.len() / 3 * 3;
                let digits = alphabet.encode(&text[..whole]);
                forms.push((what, digits[(before * 4).div_ceil(3)..].to_owned()));
            }
        }
    }
    forms
}

fn percent_encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD as STANDARD, BASE64_URL_SAFE as URL_SAFE};

    use super::{CREDENTIALS, TOKEN, forms};

    #[test]
    fn secrets_are_found_wherever_they_are_encoded() {
        let found = |text: &str| forms().iter().any(|(_, form)| text.contains(form.as_str()));
        for secret in [TOKEN, CREDENTIALS[0].1] {
            for before in ["", "u", "us", "use", "user:"] {
                for after in ["", "x", "yz"] {
                    let text = format!("{before}{secret}{after}");
                    for alphabet in [&STANDARD, &URL_SAFE] {
                        assert!(found(&alphabet.encode(&text)), "{text}");
                    }
                    assert!(found(&text));
                }
            }
        }
        assert!(!found(&STANDARD.encode("nothing of the kind in here")));
        assert!(forms().iter().all(|(_, form)| form.len() >= 16), "a form too short to mean it");
    }
}
