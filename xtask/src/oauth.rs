//! Token exchange (RFC 8693) against an authorization server that is not ours, through both artefacts.

mod server;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use self::server::Server;
use crate::bootstrap::Listener;
use crate::client;
use crate::envoy::Envoy;
use crate::mesh::{Exchange, Mesh, Setup};
use crate::suite::{Ground, Tally};
use crate::tools;
use crate::upstream::Answer;

const CLUSTER: &str = "authorization-server";
/// The field that the upstream gets unless a case says otherwise.
const FIELD: &str = "x-auth-jwt";
/// Neither may stand in a log.
const SECRET: &str = "gateway-secret";
const WRONG_SECRET: &str = "none-of-theirs";

/// A listener, what is in its `grant.token_exchange`, and what is to come of a request.
struct Case {
    name: &'static str,
    grant: fn() -> Value,
    /// Members of the filter beside the usual ones.
    more: fn() -> Value,
    check: Check,
}

#[derive(Clone, Copy)]
enum Check {
    /// The token goes upstream in this field, behind these words.
    Granted(&'static str, &'static str),
    /// The same twice, and both times it is the same token.
    Remembered,
    /// A token that the server has not made, or not so: 401.
    Forged,
    /// 403.
    Forbidden,
    /// 503, and an error in the log.
    Misconfigured,
}

const CASES: &[Case] = &[
    Case {
        name: "a token is exchanged for another",
        grant: || grant("basic", SECRET),
        more: || json!({}),
        check: Check::Granted(FIELD, ""),
    },
    Case {
        name: "with the client's secret in the body, in place of the caller's token",
        grant: || grant("body", SECRET),
        more: || json!({"header": "authorization"}),
        check: Check::Granted("authorization", "Bearer "),
    },
    Case {
        name: "a token is exchanged once and remembered, though the server says no-store",
        grant: || grant("basic", SECRET),
        more: || json!({"cache": {"ttl": "5m"}}),
        check: Check::Remembered,
    },
    Case {
        name: "a forged token is the caller's fault",
        grant: || grant("basic", SECRET),
        more: || json!({}),
        check: Check::Forged,
    },
    Case {
        name: "an audience that the server does not know is forbidden",
        grant: || with(grant("basic", SECRET), "audience", json!("elsewhere")),
        more: || json!({}),
        check: Check::Forbidden,
    },
    Case {
        name: "a resource that the server does not know is forbidden",
        grant: || with(grant("basic", SECRET), "resource", json!("https://elsewhere.example.com/")),
        more: || json!({}),
        check: Check::Forbidden,
    },
    Case {
        name: "a scope that the client may not have is forbidden",
        grant: || with(grant("basic", SECRET), "scope", json!("write")),
        more: || json!({}),
        check: Check::Forbidden,
    },
    Case {
        name: "a wrong client secret is our own fault",
        grant: || grant("basic", WRONG_SECRET),
        more: || json!({}),
        check: Check::Misconfigured,
    },
    Case {
        name: "a wrong client secret in the body is our own fault",
        grant: || grant("body", WRONG_SECRET),
        more: || json!({}),
        check: Check::Misconfigured,
    },
];

/// All cases, through each artefact.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    let python = match server::python(&ground.workspace).await {
        Ok(python) => python,
        Err(error) => {
            let missing = format!("idpyoidc ({})", tools::absent(error)?);
            tally.skip("RFC 8693 with an authorization server", &missing)?;
            return Ok(tally);
        }
    };
    let server = Server::start(&ground.workspace, &python)
        .await
        .context("starting the authorization server")?;
    let cases: Vec<&Case> = CASES.iter().filter(|case| ground.wants(case.name)).collect();
    for artefact in envoy.artefacts() {
        let listener = |case: &&Case| {
            Listener::with(case.name, &ground.workspace, artefact, &case.document().to_string())
        };
        let listeners: Vec<Listener> = cases.iter().map(listener).collect();
        let setup =
            Setup { services: vec![(CLUSTER.to_owned(), server.address)], ..Setup::default() };
        let label = format!("oauth-{}", artefact.name());
        let mut mesh = Mesh::start_as(&ground.workspace, envoy, &label, &listeners, setup).await?;
        for case in &cases {
            let place = Place { mesh: &mesh, server: &server, case };
            tally.record(artefact.name(), case.name, place.check().await);
        }
        tally.record(artefact.name(), "no secret is in the log", silent(&mesh));
        mesh.alive()?;
    }
    Ok(tally)
}

impl Case {
    fn document(&self) -> Value {
        let mut filter = json!({
            "cluster": CLUSTER,
            "authority": "auth.example.com",
            "path": "/token",
            // Python may take its time, on a machine that is busy.
            "timeout": "10s",
            "grant": {"token_exchange": (self.grant)()},
        });
        if let (Value::Object(filter), Value::Object(more)) = (&mut filter, (self.more)()) {
            filter.extend(more);
        }
        json!({"filters": [{"token_exchange": filter}]})
    }
}

/// Where a case runs.
struct Place<'a> {
    mesh: &'a Mesh,
    server: &'a Server,
    case: &'a Case,
}

impl Place<'_> {
    async fn check(&self) -> Result<()> {
        let subject = self.server.log_in().await.context("logging in")?;
        match self.case.check {
            Check::Granted(field, scheme) => {
                let token = self.granted(&subject, field, scheme).await?;
                self.is_for_orders(&token, &subject).await
            }
            Check::Remembered => {
                let token = self.granted(&subject, FIELD, "").await?;
                let again = self.granted(&subject, FIELD, "").await?;
                ensure!(again == token, "the second request got another token");
                let other = self.server.log_in().await.context("logging in again")?;
                let other = self.granted(&other, FIELD, "").await?;
                ensure!(other != token, "another caller got the same token");
                self.is_for_orders(&token, &subject).await
            }
            Check::Forged => {
                let (signed, signature) = subject.rsplit_once('.').context("it is no JWT")?;
                // Its first digit: of the last one some bits may count for nothing.
                let rest = signature.get(1..).context("it has no signature")?;
                let first = if signature.starts_with('A') { 'B' } else { 'A' };
                let altered = format!("{signed}.{first}{rest}");
                let no_signature = signed.to_owned();
                for token in [altered, no_signature, "none-of-theirs".to_owned()] {
                    let done = self.refused(&token, 401, "pintle_exchange_refused").await?;
                    let challenge = done.reply.field("www-authenticate").unwrap_or_default();
                    let challenge = String::from_utf8_lossy(challenge);
                    let says = r#"Bearer error="invalid_token""#;
                    ensure!(challenge == says, "the challenge is {challenge:?}");
                }
                Ok(())
            }
            Check::Forbidden => {
                self.refused(&subject, 403, "pintle_exchange_refused").await.map(drop)
            }
            Check::Misconfigured => {
                let done = self.refused(&subject, 503, "pintle_exchange_unusable").await?;
                let again = done.reply.field("retry-after");
                ensure!(again == Some(b"1"), "retry-after is {again:?}");
                let error = done.logs.iter().any(|line| line.level == "error");
                ensure!(error, "no error is logged, but {:?}", done.logs);
                Ok(())
            }
        }
    }

    /// The token that went upstream.
    async fn granted(&self, subject: &str, field: &str, scheme: &str) -> Result<String> {
        let done = self.exchange(subject).await?;
        let status = done.reply.status;
        ensure!(status == 200, "the status is {status}: {}", done.entry.details);
        let [arrival] = done.arrivals.as_slice() else {
            anyhow::bail!("{} requests reached the upstream", done.arrivals.len());
        };
        let mut values = arrival.seen.fields.iter().filter(|(name, _)| name == field.as_bytes());
        let (_, value) = values.next().with_context(|| format!("there is no {field}"))?;
        ensure!(values.next().is_none(), "there are several {field}");
        let value = std::str::from_utf8(value)?;
        let token = value.strip_prefix(scheme).context("the token has another scheme")?;
        ensure!(token != subject, "the upstream got the caller's own token");
        Ok(token.to_owned())
    }

    /// The client got this, and the upstream nothing.
    async fn refused(&self, subject: &str, status: u16, details: &str) -> Result<Exchange> {
        let done = self.exchange(subject).await?;
        let (got, why) = (done.reply.status, &done.entry.details);
        ensure!(got == status && why == details, "the status is {got}: {why}");
        ensure!(done.arrivals.is_empty(), "the request reached the upstream");
        Ok(done)
    }

    async fn exchange(&self, subject: &str) -> Result<Exchange> {
        let mut request = client::get("/orders/1042");
        let credential = format!("Bearer {subject}").into_bytes();
        request.message.fields = vec![
            (b"authorization".into(), credential),
            (FIELD.into(), b"made up by the client".into()),
        ];
        self.mesh.exchange(self.case.name, &request, Answer::default()).await
    }

    /// Whether the server stands by the token, as one for whom it was asked, with what was asked.
    async fn is_for_orders(&self, token: &str, subject: &str) -> Result<()> {
        let old = self.server.introspect(subject).await?;
        ensure!(old["active"] == false, "the caller's own token is good for orders: {old}");
        let new = self.server.introspect(token).await?;
        for (member, expected) in [
            ("active", json!(true)),
            ("client_id", json!("gateway")),
            ("aud", json!(["orders"])),
            ("scope", json!("read")),
        ] {
            ensure!(new[member] == expected, "{member} is not {expected}: {new}");
        }
        Ok(())
    }
}

fn grant(authentication: &str, secret: &str) -> Value {
    json!({
        "client": {"id": "gateway", "secret": secret, "authentication": authentication},
        "audience": "orders",
        "scope": "read",
    })
}

fn with(mut grant: Value, member: &str, value: Value) -> Value {
    grant[member] = value;
    grant
}

fn silent(mesh: &Mesh) -> Result<()> {
    let log = mesh.log.text_since(crate::log::Mark::START)?;
    for secret in [SECRET, WRONG_SECRET, "eyJ"] {
        ensure!(!log.contains(secret), "{secret} is in {}", mesh.log.0.display());
    }
    Ok(())
}
