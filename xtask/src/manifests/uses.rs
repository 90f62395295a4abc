//! What a manifest is for, shown by requests.

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::FieldLines;
use serde_json::Value;

use crate::authority::{self, token};
use crate::client;
use crate::mesh::{Exchange, Mesh};
use crate::upstream::{Answer, digest};

/// `alice:wonderland`, as all examples have it.
const ALICE: &str = "Basic YWxpY2U6d29uZGVybGFuZA==";
const PROBLEM: &[u8] = b"application/problem+json";

/// What the examples are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Requests are logged.
    Log,
    /// `allow: true`, or 403.
    Allow,
    /// Credentials below `/productpage`, and `hello: world`.
    Credentials,
    /// Credentials below `/productpage`, by the document of the plug-in that came before.
    OldCredentials,
    /// A token for a credential.
    Token,
    /// Errors as problem details.
    Problems,
    /// Several filters: credentials below `/admin`, problems, `hello: world`.
    Several,
    /// A filter that only observes.
    Rehearsal,
}

impl Use {
    /// What a file below `deploy/` is for.
    pub(super) fn of(file: &str) -> Option<Self> {
        let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
        Some(match (file, name) {
            ("istio/envoy-filter/ecds.yaml", _) => Self::OldCredentials,
            (file, _) if file.starts_with("istio/module/") => Self::Credentials,
            (_, "log-headers.yaml") => Self::Log,
            (_, "require-header.yaml") => Self::Allow,
            (_, "basic-auth.yaml") => Self::Credentials,
            (_, "token-exchange.yaml") => Self::Token,
            (_, "problem-json.yaml") => Self::Problems,
            (_, "gateway.yaml" | "wasm.yaml" | "dynamic-module.yaml") => Self::Several,
            (_, "sidecar.yaml") => Self::Rehearsal,
            _ => return None,
        })
    }

    /// Sends requests through a listener, and looks at what becomes of them.
    pub(super) async fn show(self, mesh: &Mesh, listener: &str) -> Result<()> {
        let door = Door { mesh, listener };
        match self {
            Self::Log => door.log().await,
            Self::Allow => door.allow(None).await,
            Self::Credentials => door.credentials().await,
            Self::OldCredentials => door.old_credentials().await,
            Self::Token => door.token().await,
            Self::Problems => door.problems().await,
            Self::Several => door.several().await,
            Self::Rehearsal => door.rehearsal().await,
        }
    }
}

/// Of the manifests for one gateway those that do not stand at the same place, in the order of their
/// priorities: what one refuses, the others have seen, or make a problem of.
pub(super) async fn together(mesh: &Mesh, listener: &str) -> Result<()> {
    let door = Door { mesh, listener };
    door.log().await?;
    door.allow(Some(PROBLEM)).await?;
    door.problems().await
}

struct Door<'m> {
    mesh: &'m Mesh,
    listener: &'m str,
}

impl Door<'_> {
    async fn log(&self) -> Result<()> {
        let fields = [("allow", "true"), ("x-colour", "red"), ("authorization", "Bearer s3cret")];
        let done = self.get("/a?b=c", &fields).await?;
        passes(&done)?;
        let line = done.logs.iter().find(|line| line.message.contains(" request "));
        let line = line.with_context(|| format!("no line in {:?}", done.logs))?;
        ensure!(line.level == "info", "its level is {}", line.level);
        ensure!(line.message.contains("x-colour=\"red\""), "it is {:?}", line.message);
        ensure!(!line.message.contains("s3cret"), "it has a secret: {:?}", line.message);
        Ok(())
    }

    async fn allow(&self, content_type: Option<&[u8]>) -> Result<()> {
        passes(&self.get("/", &[("allow", "true")]).await?)?;
        for fields in [&[][..], &[("allow", "false")], &[("allow", "true"), ("allow", "no")]] {
            let done = self.get("/", fields).await?;
            refused(&done, 403)?;
            let body = String::from_utf8_lossy(&done.reply.body);
            ensure!(body.contains("Forbidden by ASM Wasm Plugin"), "{fields:?}: {body}");
            if let Some(expected) = content_type {
                ensure!(done.reply.field("content-type") == Some(expected), "it is no problem");
            }
        }
        Ok(())
    }

    async fn credentials(&self) -> Result<()> {
        for fields in [&[][..], &[("authorization", "Basic YWxpY2U6d3Jvbmc=")]] {
            for path in ["/productpage", "/productpage?a=b", "//x/../productpage"] {
                let done = self.get(path, fields).await?;
                refused(&done, 401).with_context(|| format!("{path} with {fields:?}"))?;
                let challenge = done.reply.field("www-authenticate").unwrap_or_default();
                ensure!(
                    challenge.starts_with(b"Basic realm=\"istio\""),
                    "the challenge is missing"
                );
                greets(&done)?;
            }
        }
        let done = self.get("/productpage", &[("authorization", ALICE)]).await?;
        passes(&done)?;
        greets(&done)?;
        ensure!(upstream(&done, "x-user") == [b"alice"], "the upstream got another user");
        let done = self.get("/", &[("x-user", "root")]).await?;
        passes(&done)?;
        ensure!(
            upstream(&done, "x-user").is_empty(),
            "the upstream got a user of the client's making"
        );
        greets(&done)
    }

    async fn old_credentials(&self) -> Result<()> {
        let done = self.get("/productpage", &[]).await?;
        refused(&done, 401)?;
        let text = "Request denied by Basic Auth check. No Basic Authentication information found.";
        ensure!(done.reply.body == text, "the text is {:?}", done.reply.body);
        passes(&self.get("/productpage", &[("authorization", ALICE)]).await?)?;
        passes(&self.get("/", &[]).await?)
    }

    async fn token(&self) -> Result<()> {
        // Of its own for each listener: the module has one cache for all of them.
        let credential = format!("Bearer {:016x}", digest(self.listener.as_bytes()));
        self.mesh.authority.reset();
        for _ in 0..2 {
            let done =
                self.get("/", &[("authorization", &credential), ("x-auth-jwt", "x")]).await?;
            passes(&done)?;
            let expected = token(credential.as_bytes());
            ensure!(
                upstream(&done, "x-auth-jwt") == [expected.as_bytes()],
                "another token arrived"
            );
        }
        let calls = self.mesh.authority.take();
        ensure!(calls.len() == 1, "the service was asked {} times", calls.len());
        for call in calls {
            ensure!(
                (call.path.as_str(), call.authority.as_str())
                    == ("/token", "auth.default.svc.cluster.local"),
                "it was asked {call:?}"
            );
        }
        let done = self.get("/", &[("x-auth-jwt", "x")]).await?;
        passes(&done)?;
        ensure!(upstream(&done, "x-auth-jwt").is_empty(), "a token of the client's making arrived");
        self.mesh.authority.plan(|_| authority::text(401, "no"));
        let done = self.get("/", &[("authorization", &format!("{credential}0"))]).await;
        self.mesh.authority.reset();
        refused(&done?, 401)
    }

    async fn problems(&self) -> Result<()> {
        let answer = Answer { status: 404, body: "no such order".into(), ..Answer::default() };
        let done = self.exchange("/orders/7?full=1", &[("allow", "true")], answer).await?;
        ensure!(done.reply.status == 404, "the status is {}", done.reply.status);
        let problem = problem(&done)?;
        for (member, expected) in
            [("title", "Not Found"), ("instance", "/orders/7"), ("detail", "no such order")]
        {
            ensure!(problem[member] == expected, "{member} is {}", problem[member]);
        }
        let done = self.get("/orders", &[("allow", "true")]).await?;
        passes(&done)?;
        ensure!(done.reply.body == Answer::default().body, "a response that is no error changed");
        Ok(())
    }

    async fn several(&self) -> Result<()> {
        let done = self.get("/admin?a=b", &[]).await?;
        refused(&done, 401)?;
        greets(&done)?;
        ensure!(done.reply.field("www-authenticate").is_some(), "the challenge is missing");
        let problem = problem(&done)?;
        ensure!(problem["status"] == 401 && problem["instance"] == "/admin", "it is {problem}");
        let done = self.get("/admin", &[("authorization", ALICE)]).await?;
        passes(&done)?;
        greets(&done)?;
        ensure!(upstream(&done, "x-user") == [b"alice"], "the upstream got another user");
        passes(&self.get("/", &[]).await?)
    }

    async fn rehearsal(&self) -> Result<()> {
        let done = self.get("/", &[]).await?;
        passes(&done)?;
        let observed = "observed partners: field_missing";
        let found = done.logs.iter().any(|line| line.message.contains(observed));
        ensure!(found, "the log does not say so: {:?}", done.logs);
        let done = self.get("/", &[("x-partner-id", "7")]).await?;
        passes(&done)?;
        let found = done.logs.iter().any(|line| line.message.contains("observed"));
        ensure!(!found, "it observed something: {:?}", done.logs);
        Ok(())
    }

    async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Result<Exchange> {
        self.exchange(path, fields, Answer::default()).await
    }

    async fn exchange(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        answer: Answer,
    ) -> Result<Exchange> {
        let mut request = client::get(path);
        request.authority = "shop.example.com".into();
        let line = |(name, value): &(&str, &str)| (name.as_bytes().into(), value.as_bytes().into());
        request.message.fields = fields.iter().map(line).collect::<FieldLines>();
        self.mesh.exchange(self.listener, &request, answer).await
    }
}

fn passes(done: &Exchange) -> Result<()> {
    ensure!(done.reply.status == 200, "the status is {}", done.reply.status);
    ensure!(done.arrivals.len() == 1, "{} requests reached the upstream", done.arrivals.len());
    Ok(())
}

fn refused(done: &Exchange, status: u16) -> Result<()> {
    ensure!(done.reply.status == status, "the status is {}, not {status}", done.reply.status);
    ensure!(done.arrivals.is_empty(), "it reached the upstream");
    Ok(())
}

fn greets(done: &Exchange) -> Result<()> {
    let hello = done.reply.field("hello");
    ensure!(hello == Some(b"world"), "hello is {:?}", hello.map(String::from_utf8_lossy));
    Ok(())
}

fn problem(done: &Exchange) -> Result<Value> {
    let content_type = done.reply.field("content-type");
    ensure!(content_type == Some(PROBLEM), "it is no problem, but {:?}", done.reply.fields);
    serde_json::from_slice(&done.reply.body).context("reading the problem")
}

/// The values of a field that the upstream got.
fn upstream<'d>(done: &'d Exchange, name: &str) -> Vec<&'d [u8]> {
    let fields = done.arrivals.iter().flat_map(|arrival| &arrival.seen.fields);
    fields.filter(|(n, _)| n == name.as_bytes()).map(|(_, value)| value.as_slice()).collect()
}
