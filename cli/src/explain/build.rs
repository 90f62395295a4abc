//! From what happened to what is told.

use pintle_core::explain::{Act, Change, Edited, Found, Judgement, Outline, Part, RuleTurn, Turn};
use pintle_core::metrics::{Measure, MetricName};
use pintle_core::testing::corpus::{CalloutEnd, FieldLines};
use pintle_core::testing::{Record, SentCallout};
use pintle_core::{Denial, DispatchError, Level, Mode, Phases, Policy, Section};
use serde_json::Value;

use super::course::{Course, Exchange};
use super::places::Places;
use super::report::{
    Callout, Client, Condition, Edit, Explanation, Filter, Form, LogLine, Note, OfRequest,
    OfResponse, Request, Rule, Upstream, VERSION, Verdict, When,
};
use super::show::Show;
use super::words;

/// Tells what came of a request under a policy: `document` is what it was loaded from, `within` what that
/// was found in.
pub fn explanation(
    policy: &Policy,
    document: &str,
    within: &str,
    exchange: &Exchange,
    course: Course,
) -> Explanation {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let show = Show::new(policy.secrets(), exchange, &course, &document);
    let teller = Teller { show: &show, places: Places(&document), metrics: policy.metrics() };
    let Course { records, callouts, upstream, client } = course;
    let outlines: Vec<Outline<'_>> = policy.outline().collect();
    let mut acts: Vec<Acts> = outlines.iter().map(|_| Acts::default()).collect();
    let mut stripped = Vec::new();
    sort(records, callouts, &mut acts, &mut stripped);
    let status = client.as_ref().map(|client| client.http_status);
    let filters: Vec<Filter> = outlines
        .iter()
        .zip(acts)
        .enumerate()
        .map(|(place, (outline, acts))| teller.filter(place, outline, acts, status))
        .collect();
    let denied_by = filters.iter().find(|filter| {
        filter.request.as_ref().is_some_and(|request| request.verdict == Verdict::Denied)
    });
    let client = client.map(|client| Client {
        status: client.status,
        answered_by: match &client.details {
            Some(_) => denied_by.map(|filter| filter.name.clone()),
            None => None,
        },
        details: client.details.unwrap_or_else(|| "via_upstream".into()),
        fields: show.fields(&client.fields),
        content: show.content(&client.content),
    });
    Explanation {
        version: VERSION,
        within: within.to_owned(),
        request: Request {
            fields: show.fields(&exchange.request),
            stripped: stripped.iter().map(|name: &Vec<u8>| show.text(name)).collect(),
        },
        filters,
        upstream: upstream.map(|upstream| Upstream { fields: show.fields(&upstream.fields) }),
        client,
    }
}

/// A callout and how it ends, or why there is none.
type Sent = Result<(SentCallout, Option<CalloutEnd>), DispatchError>;

/// All that one filter did.
#[derive(Default)]
struct Acts {
    turn: Option<Turn>,
    request: Did,
    callouts: Vec<Sent>,
    /// Whether the chain came to it with a response, and whether it was for it.
    applies: Option<bool>,
    response: Did,
}

/// What it did with one message.
#[derive(Default)]
struct Did {
    edits: Vec<Edited>,
    /// Whether it gives other content.
    content: bool,
    left_alone: Option<&'static str>,
    counted: Vec<usize>,
    notes: Vec<(String, Vec<u8>)>,
    log: Vec<(Level, String)>,
}

/// Gives each filter what it did: the chain says to whom it turns, and what comes after that is theirs.
fn sort(
    records: Vec<Record>,
    callouts: Vec<(SentCallout, Option<CalloutEnd>)>,
    acts: &mut [Acts],
    stripped: &mut Vec<Vec<u8>>,
) {
    let mut callouts = callouts.into_iter();
    let mut current: Option<(usize, bool)> = None;
    for record in records {
        match record {
            Record::Said(Act::Request(turn)) => {
                current = Some((turn.step, true));
                if let Some(acts) = acts.get_mut(turn.step) {
                    acts.turn = Some(turn);
                }
                continue;
            }
            Record::Said(Act::Response { step, applies }) => {
                current = Some((step, false));
                if let Some(acts) = acts.get_mut(step) {
                    acts.applies = Some(applies);
                }
                continue;
            }
            Record::Edited(Section::Request, name) if current.is_none() => {
                stripped.push(name.as_bytes().to_vec());
                continue;
            }
            _ => {}
        }
        let Some((step, is_request)) = current else { continue };
        let Some(acts) = acts.get_mut(step) else { continue };
        let did = if is_request { &mut acts.request } else { &mut acts.response };
        match record {
            Record::Said(Act::Edit(edited)) => did.edits.push(edited),
            Record::Said(Act::Content { .. }) => did.content = true,
            Record::Said(Act::LeftAlone(reason)) => did.left_alone = Some(reason),
            Record::Counted(metric, n) if n > 0 => did.counted.push(metric),
            Record::Noted(key, value) => did.notes.push((key, value)),
            Record::Logged(level, message) => did.log.push((level, message)),
            Record::Asked(Ok(_)) => acts.callouts.extend(callouts.next().map(Ok)),
            Record::Asked(Err(error)) => acts.callouts.push(Err(error)),
            // The chain says the same in its own words.
            _ => {}
        }
    }
}

struct Teller<'t> {
    show: &'t Show,
    places: Places<'t>,
    metrics: &'t [MetricName],
}

impl Teller<'_> {
    fn filter(
        &self,
        place: usize,
        outline: &Outline<'_>,
        acts: Acts,
        status: Option<u16>,
    ) -> Filter {
        let kind = outline.kind.unwrap_or_default();
        let pointer = self.places.filter(place, kind);
        let response =
            acts.applies.map(|applies| self.of_response(applies, acts.response, outline));
        let when = acts.turn.as_ref().and_then(|turn| turn.when.as_ref());
        let when = when.map(|when| self.when(&self.places.when(&pointer), when));
        let has_requests = matches!(outline.phases, Phases::Request | Phases::Both);
        let request = has_requests.then(|| {
            let (turn, callouts) = (acts.turn, acts.callouts);
            self.of_request(&pointer, outline, turn, acts.request, callouts, status)
        });
        Filter {
            name: self.show.text(outline.name.as_bytes()),
            kind,
            pointer,
            mode: match outline.mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            },
            when,
            request,
            response,
        }
    }

    fn of_request(
        &self,
        pointer: &str,
        outline: &Outline<'_>,
        turn: Option<Turn>,
        did: Did,
        callouts: Vec<Sent>,
        status: Option<u16>,
    ) -> OfRequest {
        let kind = outline.kind.unwrap_or_default();
        let observed_note = format!("observed.{}", outline.name);
        let observed = did.notes.iter().find(|(key, _)| *key == observed_note);
        let observed = observed.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let denied = self.denied(&did);
        let waits = callouts.iter().any(|callout| matches!(callout, Ok((_, None))));
        let verdict = match &turn {
            None => Verdict::NotReached,
            Some(turn) if turn.applies == Ok(false) => Verdict::Skipped,
            _ if denied.is_some() => Verdict::Denied,
            _ if observed.is_some() => Verdict::Observed,
            Some(turn) if !turn.asked => Verdict::NotReached,
            _ if waits => Verdict::Waits,
            _ if kind == "token_exchange" && !did.edits.is_empty() && self.granted(&did) => {
                Verdict::Exchanged
            }
            _ if did.edits.iter().any(|edited| edited.held_back) => Verdict::Observed,
            _ if !did.edits.is_empty() => Verdict::Edited,
            _ => Verdict::Allowed,
        };
        let slug = denied.map(|denial| denial.slug().to_owned()).or_else(|| observed.clone());
        let field = self.places.text(&format!("{pointer}/header"));
        let field = field.map(|name| format!("`{}`", self.show.text(name.as_bytes())));
        let would = observed
            .as_deref()
            .and_then(|slug| Denial::ALL.into_iter().find(|denial| denial.slug() == slug));
        let rules = turn.map_or_else(Vec::new, |turn| turn.rules);
        let reason = match (denied.or(would), observed.as_deref()) {
            (Some(denial), _) => Some(words::denial(denial, kind, field.as_deref())),
            (None, Some("paused")) => Some("it would have asked the auth service".into()),
            _ if matches!(verdict, Verdict::Allowed | Verdict::Edited) => match kind {
                "basic_auth" if rules.iter().all(|rule| rule.applies == Ok(false)) => {
                    Some("no rule is for the request".into())
                }
                "token_exchange" if callouts.is_empty() => {
                    Some("there is no credential to trade, and `on_missing` is `allow`".into())
                }
                "token_exchange" => Some(
                    "there is no token, and `on_unavailable` or `on_bad_answer` is `allow`".into(),
                ),
                _ => None,
            },
            _ if verdict == Verdict::Observed => Some("it would have changed the request".into()),
            _ => None,
        };
        let own_line = |message: &str| {
            slug.as_ref().is_some_and(|slug| {
                [" denied ", " observed "]
                    .iter()
                    .any(|verb| message.ends_with(&format!("{verb}{}: {slug}", outline.name)))
            })
        };
        let log = self.log(did.log.iter().filter(|(_, message)| !own_line(message)));
        OfRequest {
            verdict,
            slug,
            status: status.filter(|_| verdict == Verdict::Denied),
            reason,
            rules: rules.iter().enumerate().map(|(n, rule)| self.rule(pointer, n, rule)).collect(),
            callouts: callouts.into_iter().map(|callout| self.callout(callout)).collect(),
            edits: self.edits(&did.edits),
            notes: did
                .notes
                .iter()
                .filter(|(key, _)| *key != observed_note)
                .map(|(key, value)| Note {
                    key: self.show.text(key.as_bytes()),
                    value: self.show.value(value),
                })
                .collect(),
            log,
        }
    }

    fn of_response(&self, applies: bool, did: Did, outline: &Outline<'_>) -> OfResponse {
        let own_line = format!(" observed {}: edited", outline.name);
        OfResponse {
            applies,
            edits: self.edits(&did.edits),
            replaces_content: did.content,
            carried_out: outline.mode == Mode::Enforce,
            reason: did.left_alone.map(str::to_owned),
            log: self.log(did.log.iter().filter(|(_, message)| !message.ends_with(&own_line))),
        }
    }

    /// The denial that was counted, so that is carried out.
    fn denied(&self, did: &Did) -> Option<Denial> {
        did.counted.iter().find_map(|metric| match self.metrics.get(*metric)?.measure {
            Measure::Denied(denial) => Some(denial),
            _ => None,
        })
    }

    /// Whether the auth service gave a token.
    fn granted(&self, did: &Did) -> bool {
        did.counted.iter().any(|metric| {
            self.metrics.get(*metric).is_some_and(|metric| {
                matches!(metric.measure, Measure::Own(meter)
                    if meter.label == Some(("result", "granted")))
            })
        })
    }

    fn rule(&self, filter: &str, place: usize, turn: &RuleTurn) -> Rule {
        let pointer = self.places.rule(filter, place);
        Rule {
            applies: turn.applies.ok(),
            passes: (turn.applies == Ok(true)).then_some(turn.denial.is_none()),
            slug: turn.denial.map(|denial| denial.slug().to_owned()),
            when: turn.when.as_ref().map(|when| self.when(&self.places.when(&pointer), when)),
            pointer,
        }
    }

    fn when(&self, pointer: &str, judgement: &Judgement) -> When {
        let form = |form: &pintle_core::explain::Form| Form {
            path: form.path.as_ref().map(|path| self.show.text(path)),
            holds: form.verdict.ok(),
            conditions: self.conditions(pointer, &form.parts, form.path.as_deref()),
        };
        When {
            pointer: pointer.to_owned(),
            holds: judgement.verdict.ok(),
            invalid: judgement.verdict.err().map(words::invalid),
            judged: judgement.judged,
            forms: judgement.forms.iter().map(form).collect(),
        }
    }

    fn conditions(&self, when: &str, parts: &[Part], path: Option<&[u8]>) -> Vec<Condition> {
        let condition = |part: &Part| {
            let (pointer, wanted) = self.places.condition(when, &part.pointer);
            let one = |name: &[u8], value: &[u8]| vec![self.show.field(name, value)];
            let (found, wanted) = match &part.found {
                Found::Host(host) => (one(b":authority", host), wanted.map(|w| self.show.json(&w))),
                Found::Method(method) => {
                    (one(b":method", method), wanted.map(|w| self.show.json(&w)))
                }
                Found::Path => {
                    let path = path.unwrap_or_default();
                    (one(b":path", path), wanted.map(|w| self.show.json(&w)))
                }
                Found::Values(name, values) => {
                    let name = name.as_bytes();
                    let found = values.iter().map(|value| self.show.field(name, value)).collect();
                    (found, wanted.map(|w| self.show.condition(name, &w)))
                }
                Found::Not(_) => (Vec::new(), None),
            };
            let conditions = match &part.found {
                Found::Not(parts) => self.conditions(when, parts, path),
                _ => Vec::new(),
            };
            Condition { pointer, holds: part.holds.ok(), wanted, found, conditions }
        };
        parts.iter().map(condition).collect()
    }

    fn callout(&self, callout: Sent) -> Callout {
        let (sent, end) = match callout {
            Ok(callout) => callout,
            Err(error) => {
                return Callout {
                    cluster: String::new(),
                    fields: Vec::new(),
                    content_bytes: 0,
                    timeout_ms: 0,
                    end: Some(error.to_string()),
                };
            }
        };
        let end = end.map(|end| match end {
            CalloutEnd::Answer(answer) => match answer.message.body.len() {
                0 => answer.status.to_string(),
                bytes => format!("{} with <{bytes} bytes>", answer.status),
            },
            _ => "reset".into(),
        });
        Callout {
            cluster: self.show.text(sent.cluster.as_bytes()),
            fields: self.lengths(&sent.fields),
            content_bytes: sent.body.len(),
            timeout_ms: sent.timeout_ms,
            end,
        }
    }

    /// Fields of a callout: all but pseudo-headers may be secrets of the configuration.
    fn lengths(&self, lines: &FieldLines) -> Vec<super::report::Field> {
        let field = |(name, value): &(Vec<u8>, Vec<u8>)| {
            let mut field = self.show.field(name, value);
            if !name.starts_with(b":") {
                (field.value, field.query_bytes) = (None, None);
            }
            field
        };
        lines.iter().map(field).collect()
    }

    fn edits(&self, edits: &[Edited]) -> Vec<Edit> {
        let edit = |edited: &Edited| {
            let name = edited.name.as_bytes();
            let change = match edited.change {
                Change::Set => "set",
                Change::Append => "append",
                Change::Remove => "remove",
            };
            let field =
                (edited.change != Change::Remove).then(|| self.show.field(name, &edited.value));
            let (name, carried_out) = (self.show.text(name), !edited.held_back);
            Edit { change, name, field, carried_out }
        };
        edits.iter().map(edit).collect()
    }

    fn log<'l>(&self, lines: impl Iterator<Item = &'l (Level, String)>) -> Vec<LogLine> {
        let line = |(level, message): &(Level, String)| LogLine {
            level: level.name(),
            // What there is of a request in it is escaped already.
            message: self.show.text(message.as_bytes()).replace("\\\\", "\\"),
        };
        lines.map(line).collect()
    }
}
