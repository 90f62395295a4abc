//! Listeners with the filter and without, on one Envoy.

use anyhow::{Context, Result, bail, ensure};
use pintle_core::testing::corpus::{Http, NOWHERE, Request};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::expected::{Problem, TRACEPARENT, alike, rest_is_kept, same};
use super::service::Service;
use super::{PATIENCE, PAUSE, WORKERS, limits, upgrades};
use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::client;
use crate::clusters::{AUTH, AUTH_EMPTY, UPSTREAM, UPSTREAM_HTTP2};
use crate::envoy::Envoy;
use crate::mesh::{Exchange, Mesh, Setup};
use crate::suite::Ground;
use crate::upstream::Answer;

/// The cluster of a service that accepts every upgrade.
const ECHO: &str = "echo";
/// The cluster of one whose trailers nothing announces.
const UNANNOUNCED: &str = "unannounced";
/// The listeners without a filter of ours.
const PLAIN: &str = "plain";

/// What stands in a listener of each artefact, and the name of these.
struct Layout {
    name: &'static str,
    config: fn() -> Value,
    /// What else the listener is to have.
    more: fn(&mut Listener),
}

/// Every error becomes a problem.
pub(super) const ERRORS: &str = "errors";
/// Those of paths with [`WANTED`] alone.
pub(super) const WANTED_ERRORS: &str = "wanted";
/// Every error, and no request may have more than [`MAX_REQUEST_BYTES`] of content.
pub(super) const BUFFERED: &str = "buffered";
/// Every error, and filters that deny.
pub(super) const GUARDED: &str = "guarded";
/// Filters that deny, and no filter that makes problems.
pub(super) const GUARDED_IN_TEXT: &str = "guarded-text";
/// Filters that deny by problems.
pub(super) const GUARDED_BY_PROBLEMS: &str = "guarded-problems";
/// Filters that deny by problems if they are asked for.
pub(super) const GUARDED_AS_ACCEPTED: &str = "guarded-accept";
/// Every error, behind a filter that adds [`BY_FILTER`] to responses; local replies get
/// [`BY_LOCAL_REPLY`].
pub(super) const EDITED: &str = "edited";
/// Every error, and connections that buffer [`NARROW_BYTES`].
pub(super) const NARROW: &str = "narrow";
/// Every error, behind a filter that answers all requests itself, 503.
pub(super) const FRONTED: &str = "fronted";
/// The document of the custom-errors plug-in.
pub(super) const PLUGIN: &str = "plugin";

/// What such paths begin with.
pub(super) const WANTED: &str = "/up/wanted";
/// More than that is 413.
pub(super) const MAX_REQUEST_BYTES: u32 = 100;
/// Less than a piece of content over HTTP/2.
pub(super) const NARROW_BYTES: u32 = 4 << 10;

/// The response field of a filter of [`EDITED`].
pub(super) const BY_FILTER: &str = "x-by-filter";
/// That of the route of `/up-edited`.
pub(super) const BY_ROUTE: &str = "x-by-route";
/// That of the `local_reply_config` of [`EDITED`].
pub(super) const BY_LOCAL_REPLY: &str = "x-by-local-reply";

const LAYOUTS: &[Layout] = &[
    Layout { name: ERRORS, config: || json!({"filters": [{"problem_json": {}}]}), more: nothing },
    Layout {
        name: WANTED_ERRORS,
        config: || json!({"filters": [{"problem_json": {"when": {"path": {"prefix": WANTED}}}}]}),
        more: nothing,
    },
    Layout {
        name: BUFFERED,
        config: || json!({"filters": [{"problem_json": {}}]}),
        more: |listener| {
            let buffer = json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
                "max_request_bytes": MAX_REQUEST_BYTES,
            });
            listener.filters.push(json!({"name": "buffer", "typed_config": buffer}));
        },
    },
    Layout {
        name: EDITED,
        config: || json!({"filters": [{"problem_json": {}}]}),
        more: |listener| {
            let edit = |name: &str| json!({"header": {"key": name, "value": "1"}});
            let mutation = json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": {"response_mutations": [{"append": edit(BY_FILTER)}]},
            });
            let mutation = json!({"name": "header_mutation", "typed_config": mutation});
            listener.filters.insert(0, mutation);
            let errors = json!({"status_code_filter": {"comparison": {
                "op": "GE",
                "value": {"default_value": 400, "runtime_key": "pintle.none"},
            }}});
            let mapper = json!({"filter": errors, "headers_to_add": [edit(BY_LOCAL_REPLY)]});
            listener.manager.insert("local_reply_config".into(), json!({"mappers": [mapper]}));
        },
    },
    Layout {
        name: NARROW,
        config: || json!({"filters": [{"problem_json": {}}]}),
        more: |listener| listener.buffer_bytes = Some(NARROW_BYTES),
    },
    Layout {
        name: FRONTED,
        config: || json!({"filters": [{"problem_json": {}}]}),
        more: |listener| {
            let fault = json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                "abort": {"http_status": 503, "percentage": {"numerator": 100}},
            });
            listener.filters.insert(0, json!({"name": "fault", "typed_config": fault}));
        },
    },
    Layout {
        name: GUARDED,
        config: || {
            let mut filters = guards(&json!({}));
            filters.insert(0, json!({"problem_json": {}}));
            json!({"filters": filters})
        },
        more: nothing,
    },
    Layout {
        name: GUARDED_IN_TEXT,
        config: || json!({"filters": guards(&json!({}))}),
        more: nothing,
    },
    Layout {
        name: GUARDED_BY_PROBLEMS,
        config: || json!({"filters": guards(&json!({"format": "problem_json"}))}),
        more: nothing,
    },
    Layout {
        name: GUARDED_AS_ACCEPTED,
        config: || json!({"filters": guards(&json!({"format": "accept"}))}),
        more: nothing,
    },
    Layout {
        name: PLUGIN,
        config: || {
            json!({
                "targetURLPrefixes": ["http://example.com/up/plugin"],
                "startStatusCode": 404,
                "endStatusCode": 503,
                "problemTypeURIMap": [{"404": "https://example.com/not-found"}],
                "problemTitle": "as it was",
            })
        },
        more: nothing,
    },
];

fn nothing(_: &mut Listener) {}

/// Under `/up/private`, `/up/allowed` and `/up/orders`.
fn guards(deny: &Value) -> Vec<Value> {
    vec![
        json!({"basic_auth": {
            "rules": [{"when": {"path": {"prefix": "/up/private"}}, "credentials": ["alice:wonderland"]}],
            "deny": deny,
        }}),
        json!({"require_header": {
            "header": "allow",
            "exact": "true",
            "when": {"path": {"prefix": "/up/allowed"}},
            "deny": deny,
        }}),
        json!({"token_exchange": {
            "cluster": NOWHERE,
            "authority": "auth.example",
            "path": "/token",
            "when": {"path": {"prefix": "/up/orders"}},
            "deny": deny,
        }}),
    ]
}

/// Where requests go, by their paths; those that none of these is for have no route.
fn routes() -> Value {
    let to = |prefix: &str, route: Value| json!({"match": {"prefix": prefix}, "route": route});
    // No test is about how long an upstream may take.
    let cluster = |name: &str| json!({"cluster": name, "timeout": "0s"});
    let direct =
        |path: &str, response: Value| json!({"match": {"path": path}, "direct_response": response});
    let late = limits::TIMEOUTS
        .map(|(path, timeout)| to(path, json!({"cluster": UPSTREAM, "timeout": timeout})));
    let routes = [
        to("/up-http2", cluster(UPSTREAM_HTTP2)),
        json!({
            "match": {"prefix": "/up-edited"},
            "route": cluster(UPSTREAM),
            "response_headers_to_add": [{"header": {"key": BY_ROUTE, "value": "1"}}],
        }),
        to("/up", cluster(UPSTREAM)),
        to("/no-host", cluster(AUTH_EMPTY)),
        to("/refused", cluster(NOWHERE)),
        to("/late", json!({"cluster": AUTH, "timeout": "0.1s"})),
        to("/echo", cluster(ECHO)),
        to("/unannounced", cluster(UNANNOUNCED)),
        direct(
            "/direct",
            json!({"status": 500, "body": {"inline_string": "from the \"route\"\n"}}),
        ),
        direct("/direct-empty", json!({"status": 404})),
    ];
    let routes: Vec<Value> = late.into_iter().chain(routes).collect();
    json!({"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]})
}

/// A running Envoy with all listeners.
pub(super) struct Site {
    pub(super) mesh: Mesh,
    pub(super) artefacts: Vec<Artefact>,
    _services: [Service; 2],
}

/// What came of a request, without a filter and with.
pub(super) struct Answers {
    pub(super) plain: Exchange,
    pub(super) ours: Vec<(Artefact, Exchange)>,
}

impl Site {
    pub(super) async fn start(ground: &Ground, envoy: &Envoy) -> Result<Self> {
        let artefacts = envoy.artefacts();
        let listeners = LAYOUTS.iter().flat_map(|layout| {
            let ours = artefacts.iter().map(|artefact| {
                let name = format!("{}-{}", layout.name, artefact.name());
                let config = (layout.config)().to_string();
                Listener::with(name, &ground.workspace, *artefact, &config)
            });
            let plain = Listener::plain(format!("{}-{PLAIN}", layout.name));
            let mut listeners: Vec<Listener> = ours.chain([plain]).collect();
            for listener in &mut listeners {
                (layout.more)(listener);
                listener.manager.insert("route_config".into(), routes());
                let upgrades = json!([{"upgrade_type": "websocket"}]);
                listener.manager.insert("upgrade_configs".into(), upgrades);
            }
            listeners
        });
        let listeners: Vec<Listener> = listeners.collect();
        let echo = Service::start(upgrades::echo).await?;
        let unannounced = Service::start(limits::unannounced).await?;
        let services = vec![(ECHO.into(), echo.address), (UNANNOUNCED.into(), unannounced.address)];
        let setup = Setup { workers: WORKERS, services, ..Setup::default() };
        let mesh = Mesh::start_as(&ground.workspace, envoy, "problems", &listeners, setup).await?;
        for listener in &listeners {
            if !mesh.has(&listener.name) {
                bail!("{} was refused: {}", listener.name, mesh.refusal(&listener.name).await?);
            }
        }
        Ok(Self { mesh, artefacts, _services: [echo, unannounced] })
    }

    /// The names of the listeners of a layout, the one without a filter first.
    pub(super) fn listeners(&self, layout: &str) -> Vec<(Option<Artefact>, String)> {
        let ours = self.artefacts.iter().copied().map(Some);
        let name = |artefact: Option<Artefact>| {
            (artefact, format!("{layout}-{}", artefact.map_or(PLAIN, Artefact::name)))
        };
        [None].into_iter().chain(ours).map(name).collect()
    }

    /// Sends a request through all listeners of a layout; an error if the artefacts disagree.
    pub(super) async fn ask(
        &self,
        layout: &str,
        request: &Request,
        answer: &Answer,
    ) -> Result<Answers> {
        let answers = self.ask_both(layout, request, answer).await?;
        if let [(_, one), (_, other)] = answers.ours.as_slice() {
            agree(one, other).context("the artefacts disagree")?;
        }
        Ok(answers)
    }

    /// Likewise where they may.
    pub(super) async fn ask_both(
        &self,
        layout: &str,
        request: &Request,
        answer: &Answer,
    ) -> Result<Answers> {
        let ask = |name: &str| {
            let listener = format!("{layout}-{name}");
            async move {
                let done = self.mesh.exchange(&listener, request, answer.clone()).await;
                done.with_context(|| format!("through {listener}"))
            }
        };
        let plain = ask(PLAIN).await?;
        let mut ours = Vec::new();
        for artefact in &self.artefacts {
            ours.push((*artefact, ask(artefact.name()).await?));
        }
        Ok(Answers { plain, ours })
    }

    /// An error unless a response becomes what the filter makes of it by default.
    pub(super) async fn problem(
        &self,
        layout: &str,
        request: &Request,
        answer: &Answer,
    ) -> Result<()> {
        self.problem_with(layout, request, answer, |problem| problem).await
    }

    /// Likewise, but for what `change` says.
    pub(super) async fn problem_with(
        &self,
        layout: &str,
        request: &Request,
        answer: &Answer,
        change: impl FnOnce(Problem) -> Problem,
    ) -> Result<()> {
        let Answers { plain, ours } = self.ask(layout, request, answer).await?;
        let problem = change(Problem::of(request, plain.reply.status, &plain.reply.body)?);
        for (artefact, done) in ours {
            let check = || {
                problem.check(&done.reply)?;
                rest_is_kept(&done.reply, &plain.reply)?;
                same_course(&done, &plain)
            };
            check().with_context(|| artefact.name())?;
        }
        Ok(())
    }

    /// An error unless a response comes as it does without a filter.
    pub(super) async fn unchanged(
        &self,
        layout: &str,
        request: &Request,
        answer: &Answer,
    ) -> Result<()> {
        let Answers { plain, ours } = self.ask(layout, request, answer).await?;
        for (artefact, done) in ours {
            let check = || {
                same(&done.reply, &plain.reply)?;
                same_course(&done, &plain)
            };
            check().with_context(|| artefact.name())?;
        }
        Ok(())
    }

    /// An error if requests are left.
    pub(super) async fn settle(&self) -> Result<()> {
        self.mesh.authority.reset();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let active = self.mesh.admin.stat("http.ingress.downstream_rq_active").await?;
            if active == 0 {
                break;
            }
            ensure!(Instant::now() < deadline, "{active} requests are still active");
            tokio::time::sleep(PAUSE).await;
        }
        let unseen = self.mesh.upstream.total();
        ensure!(unseen == 0, "{unseen} requests at the upstream that nobody was to send there");
        Ok(())
    }
}

/// A request for a problem to say something of.
pub(super) fn get(path: &str, http: Http) -> Request {
    let mut request = Request { http, ..client::get(path) };
    for (name, value) in [("traceparent", TRACEPARENT), ("te", "trailers")] {
        request.message.fields.push((name.into(), value.into()));
    }
    request
}

/// An error of the upstream.
pub(super) fn error(status: u16, body: impl Into<bytes::Bytes>) -> Answer {
    Answer { status, body: body.into(), ..Answer::default() }
}

/// An error unless the same happened beside what the client saw.
fn same_course(done: &Exchange, other: &Exchange) -> Result<()> {
    let (details, expected) = (&done.entry.details, &other.entry.details);
    ensure!(details == expected, "details {details}, not {expected}");
    let (arrivals, expected) = (done.arrivals.len(), other.arrivals.len());
    ensure!(arrivals == expected, "{arrivals} requests at the upstream, not {expected}");
    Ok(())
}

fn agree(one: &Exchange, other: &Exchange) -> Result<()> {
    alike(&one.reply, &other.reply)?;
    same_course(one, other)
}
