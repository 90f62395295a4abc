//! One filter in its chain: `when`, `mode`, `name` and counters are the same for every kind.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;

use super::steps::Shipped;
use crate::arrival::{Arrival, Looks};
use crate::callout::{Callout, CalloutId, DispatchError, Errand, Event, Outcome};
use crate::content::{Content, Replacement};
use crate::denial::Denial;
#[cfg(feature = "explain")]
use crate::explain::Act;
use crate::fields::FieldName;
use crate::filter::log_headers::RequestId;
use crate::filter::{FilterSet, Home, Phases, Request, Response};
use crate::flow::Flow;
use crate::host::{Attribute, Edit, Host, Level, Metric, Repeated, Section, UnixTime};
use crate::metrics::{Measure, MetricName};
use crate::problem::DenyFormat;
use crate::store::{Shard, Slot, StoreId, StoreSpec};
use crate::stream::Waiting;
use crate::syntax::path::PathError;
use crate::when::When;

/// What a filter does with its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "mode"))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Acts on it.
    #[default]
    Enforce,
    /// Computes, counts, notes and logs it; the request goes on unchanged.
    Observe,
}

/// A shipped filter, or one of another crate.
#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::large_enum_variant, reason = "nearly every filter is a shipped one")
)]
pub(super) enum Kind<X> {
    Shipped(Shipped),
    Further(X),
}

macro_rules! each {
    ($kind:expr, $filter:ident => $body:expr) => {
        match $kind {
            Kind::Shipped($filter) => $body,
            Kind::Further($filter) => $body,
        }
    };
}

pub(super) struct Step<X> {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) when: Option<When>,
    pub(super) kind: Kind<X>,
    pub(super) phases: Phases,
    /// Metrics of this step: `allowed`, `observed`, one for each denial, then the filter's own.
    metrics: u32,
    pub(super) home: Home,
    pub(super) index: usize,
    pub(super) denials: Vec<Denial>,
    /// Request fields that its response phase needs.
    kept: Vec<FieldName>,
    /// Whether its response phase needs something of the request.
    pub(super) remembers: bool,
    /// The note of a verdict under `mode: observe`.
    pub(super) observed_note: String,
}

/// Reasons that the chain itself has, for every filter that judges paths.
const PATH_DENIALS: [Denial; 2] = [Denial::PathInvalid, Denial::PathEncodedSlash];

impl<X: FilterSet> Step<X> {
    pub(super) fn new(name: String, mode: Mode, when: Option<When>, kind: Kind<X>) -> Self {
        let phases = each!(&kind, f => f.phases());
        let mut denials = each!(&kind, f => f.denials()).to_vec();
        let judges_path = phases.request()
            && (when.as_ref().is_some_and(|w| w.looks().path) || each!(&kind, f => f.looks()).path);
        if judges_path {
            denials.extend(PATH_DENIALS);
        }
        let observed_note = alloc::format!("observed.{name}");
        let mut kept = each!(&kind, f => f.kept_fields()).to_vec();
        let observes = mode == Mode::Observe && phases.response();
        if observes && !kept.iter().any(|name| name == FieldName::X_REQUEST_ID) {
            // What is observed of the response is logged with it.
            kept.push(FieldName::X_REQUEST_ID.clone());
        }
        let home = Home { meters: 0, store: StoreId(u32::MAX) };
        let mut step = Self {
            name,
            mode,
            when,
            kind,
            phases,
            metrics: 0,
            home,
            index: 0,
            denials,
            kept,
            remembers: false,
            observed_note,
        };
        step.remembers = step.phases.response()
            && (step.when.is_some() || !step.kept_fields().is_empty() || step.counts_once());
        step
    }

    /// Gives the step its place and its metrics, the next ones of the policy's list.
    pub(super) fn place(&mut self, index: usize, list: &mut Vec<MetricName>) {
        self.index = index;
        self.metrics = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let mut add = |measure| list.push(MetricName { filter: self.name.clone(), measure });
        add(Measure::Allowed);
        add(Measure::Observed);
        self.denials.iter().for_each(|denial| add(Measure::Denied(*denial)));
        let meters = each!(&self.kind, f => f.meters());
        meters.iter().for_each(|meter| add(Measure::Own(meter)));
        let meters = list.len().saturating_sub(meters.len());
        self.home.meters = u32::try_from(meters).unwrap_or(u32::MAX);
    }

    pub(super) fn store(&self) -> Option<&StoreSpec> {
        each!(&self.kind, f => f.store())
    }

    /// Counts what became of a request; a denial that the filter did not declare has no counter.
    fn count<H: Host>(&self, host: &H, measure: Measure) {
        let place = match measure {
            Measure::Allowed => Some(0),
            Measure::Observed => Some(1),
            Measure::Own(_) => None,
            Measure::Denied(denial) => {
                self.denials.iter().position(|d| *d == denial).map(|i| i.saturating_add(2))
            }
        };
        if let Some(place) = place.and_then(|place| u32::try_from(place).ok()) {
            host.add(Metric(self.metrics.saturating_add(place)), 1);
        }
    }

    pub(super) fn looks(&self) -> Looks {
        let own = each!(&self.kind, f => f.looks());
        self.when.as_ref().map_or(own, |when| own.or(when.looks()))
    }

    pub(super) fn identity_fields(&self) -> &[FieldName] {
        each!(&self.kind, f => f.identity_fields())
    }

    pub(super) fn secret_fields(&self) -> &[FieldName] {
        each!(&self.kind, f => f.secret_fields())
    }

    pub(super) fn kept_fields(&self) -> &[FieldName] {
        &self.kept
    }

    pub(super) fn keeps<H: Host>(&self, host: &H) -> bool {
        each!(&self.kind, f => f.keeps(host))
    }

    pub(super) fn redact(&mut self, secrets: &[FieldName]) {
        each!(&mut self.kind, f => f.redact(secrets));
    }

    /// Whether the filter is for this request. An invalid path is judged as it came by filters of
    /// the response alone, and refused by those that look at the request.
    pub(super) fn applies<H: Host>(&self, host: &H, arrival: &Arrival) -> Result<bool, PathError> {
        match &self.when {
            None => Ok(true),
            Some(when) if self.phases.request() => when.judge(host, arrival),
            Some(_) => Ok(self.applies_as_it_came(host, arrival)),
        }
    }

    /// Like [`Step::applies`]; an invalid path is judged as it came.
    pub(super) fn applies_as_it_came<H: Host>(&self, host: &H, arrival: &Arrival) -> bool {
        self.when.as_ref().is_none_or(|when| when.judge_as_it_came(host, arrival))
    }

    /// Runs the request phase and counts what became of it.
    pub(super) fn on_request<'s, H: Host>(
        &'s self,
        host: &mut H,
        request: &mut Request<'_>,
        effect: &mut Effect,
    ) -> Flow<'s> {
        let mut view = self.view(host);
        let flow = each!(&self.kind, f => f.on_request(&mut view, request));
        let (edited, held_back) = (view.edited, view.held_back);
        effect.edited = edited;
        self.decided(flow, held_back, host, effect)
    }

    /// Brings an event to a filter that has paused the request, and counts what became of that.
    pub(super) fn on_event<'s, H: Host>(
        &'s self,
        event: Event<'_>,
        host: &mut H,
        request: &mut Request<'_>,
        effect: &mut Effect,
    ) -> Flow<'s> {
        let mut view = self.view(host);
        let flow = each!(&self.kind, f => f.on_event(event, &mut view, request));
        let (edited, held_back) = (view.edited, view.held_back);
        effect.edited = edited;
        self.decided(flow, held_back, host, effect)
    }

    /// Brings an event to a filter whose request has gone; whether it waits for nothing more.
    pub(super) fn on_late_event<H: Host>(
        &self,
        event: Event<'_>,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> bool {
        let mut view = self.view(host);
        each!(&self.kind, f => f.on_event(event, &mut view, request)) != Flow::Pause
    }

    /// The filter's request has gone.
    pub(super) fn on_gone<H: Host>(&self, waiting: Waiting, host: &H) {
        each!(&self.kind, f => f.on_gone(waiting, host, self.home));
    }

    /// A callout that the filter sent out has ended.
    pub(super) fn on_errand<H: Host>(&self, errand: Errand, outcome: Outcome<'_>, host: &H) {
        each!(&self.kind, f => f.on_errand(errand, outcome, host, self.home));
    }

    fn view<'h, H: Host>(&self, host: &'h mut H) -> StepHost<'h, H> {
        StepHost { host, mode: self.mode, step: self.index, edited: false, held_back: false }
    }

    /// Counts what became of a request, and says what the chain does with it.
    fn decided<'s, H: Host>(
        &self,
        flow: Flow<'s>,
        held_back: bool,
        host: &mut H,
        effect: &mut Effect,
    ) -> Flow<'s> {
        match (flow, self.mode) {
            (Flow::Continue, _) if held_back && self.only_edits() => {
                effect.observed = true;
                self.observed(host, "edited");
            }
            (Flow::Continue, _) if self.counts_once() => {}
            (Flow::Continue, _) => self.count(host, Measure::Allowed),
            (Flow::Pause, Mode::Enforce) => return Flow::Pause,
            (Flow::Pause, Mode::Observe) => self.observed(host, "paused"),
            (Flow::Reply(reply), Mode::Enforce) => {
                self.denied(host, reply.denial);
                return Flow::Reply(reply);
            }
            (Flow::Reply(reply), Mode::Observe) => self.observed(host, reply.denial.slug()),
        }
        Flow::Continue
    }

    /// Counts, notes and logs a verdict on a request that is not carried out.
    pub(super) fn observed<H: Host>(&self, host: &mut H, verdict: &'static str) {
        self.count_observed(host, verdict);
        if host.logs(Level::Info) {
            let id = host.values(Section::Request, FieldName::X_REQUEST_ID).next();
            self.log_observed(host, id, verdict);
        }
    }

    fn count_observed<H: Host>(&self, host: &mut H, verdict: &'static str) {
        self.count(host, Measure::Observed);
        host.note(&self.observed_note, verdict.as_bytes());
    }

    fn log_observed<H: Host>(&self, host: &H, id: Option<&[u8]>, verdict: &'static str) {
        let id = RequestId(id);
        host.log(Level::Info, format_args!("{id} observed {}: {verdict}", self.name));
    }

    /// Whether the filter can do nothing but edit: under `mode: observe` its edits are the verdict.
    fn only_edits(&self) -> bool {
        each!(&self.kind, f => f.denials()).is_empty()
    }

    /// Whether the verdict is known with the response only: a filter that may edit both messages,
    /// under `mode: observe`, counts a request once.
    pub(super) fn counts_once(&self) -> bool {
        self.mode == Mode::Observe && self.phases == Phases::Both && self.only_edits()
    }

    /// Counts and logs a verdict that is carried out.
    pub(super) fn denied<H: Host>(&self, host: &H, denial: Denial) {
        self.count(host, Measure::Denied(denial));
        if host.logs(Level::Debug) {
            let id = RequestId(host.values(Section::Request, FieldName::X_REQUEST_ID).next());
            host.log(Level::Debug, format_args!("{id} denied {}: {}", self.name, denial.slug()));
        }
    }

    pub(super) fn replaces_content(&self) -> bool {
        each!(&self.kind, f => f.replaces_content())
    }

    pub(super) fn on_content(&self, replacement: Replacement, content: Content<'_>) -> Vec<u8> {
        each!(&self.kind, f => f.on_content(replacement, content))
    }

    pub(super) fn deny_format(&self) -> Option<DenyFormat> {
        each!(&self.kind, f => f.deny_format())
    }

    /// Runs the response phase, and counts it where the request phase did not. `observed`: the
    /// request phase has said that the filter would have changed something.
    pub(super) fn on_response<H: Host>(
        &self,
        host: &mut H,
        response: &mut Response<'_>,
        observed: bool,
    ) {
        let mut view = self.view(host);
        each!(&self.kind, f => f.on_response(&mut view, response));
        #[cfg(feature = "explain")]
        if response.replacement.is_some() {
            view.explain(|| Act::Content { held_back: self.mode == Mode::Observe });
        }
        let held_back = match self.mode {
            Mode::Observe => response.replacement.take().is_some() || view.held_back,
            Mode::Enforce => {
                // It was that of the content that was.
                let length = FieldName::CONTENT_LENGTH;
                if response.replacement.is_some() && host.has(Section::Response, length) {
                    host.edit(Section::Response, Edit::Remove(length));
                }
                false
            }
        };
        if observed || (self.phases.request() && !self.counts_once()) {
            return;
        }
        if held_back {
            self.count_observed(host, "edited");
            if host.logs(Level::Info) {
                let id = response.kept.values(FieldName::X_REQUEST_ID).next();
                self.log_observed(host, id, "edited");
            }
        } else {
            self.count(host, Measure::Allowed);
        }
    }
}

/// What a step did to a request beside its [`Flow`].
#[derive(Default)]
pub(super) struct Effect {
    /// Request fields were changed.
    pub(super) edited: bool,
    /// They would have been, but for `mode: observe`.
    pub(super) observed: bool,
}

/// The host as one step sees it: under `mode: observe` nothing changes.
struct StepHost<'h, H> {
    host: &'h mut H,
    mode: Mode,
    step: usize,
    edited: bool,
    held_back: bool,
}

impl<H: Host> Host for StepHost<'_, H> {
    type Waker = H::Waker;

    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.host.fields(section)
    }
    fn values<'a>(
        &'a self,
        section: Section,
        name: &'a FieldName,
    ) -> impl Iterator<Item = &'a [u8]> {
        self.host.values(section, name)
    }
    fn sole<'a>(
        &'a self,
        section: Section,
        name: &'a FieldName,
    ) -> Result<Option<&'a [u8]>, Repeated> {
        self.host.sole(section, name)
    }
    fn has(&self, section: Section, name: &FieldName) -> bool {
        self.host.has(section, name)
    }
    fn attribute(&self, attribute: Attribute) -> Option<&[u8]> {
        self.host.attribute(attribute)
    }
    fn logs(&self, level: Level) -> bool {
        self.host.logs(level)
    }
    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        self.host.log(level, message);
    }
    fn now(&self) -> UnixTime {
        self.host.now()
    }
    fn add(&self, counter: Metric, n: u64) {
        self.host.add(counter, n);
    }
    fn shift(&self, gauge: Metric, by: i64) {
        self.host.shift(gauge, by);
    }
    fn record(&self, histogram: Metric, value: u64) {
        self.host.record(histogram, value);
    }
    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, DispatchError> {
        self.host.dispatch(callout)
    }
    fn send_out(&self, callout: &Callout<'_>, errand: Errand) -> Result<(), DispatchError> {
        self.host.send_out(callout, Errand { step: self.step, ..errand })
    }
    fn waker(&self) -> H::Waker {
        self.host.waker()
    }
    fn wake(&self, waker: H::Waker) {
        self.host.wake(waker);
    }
    fn shared<R>(
        &self,
        store: StoreId,
        hash: u64,
        work: impl FnOnce(&mut Shard<H::Waker>) -> R,
    ) -> R {
        self.host.shared(store, hash, work)
    }
    fn slot(&self, parts: &[&[u8]]) -> Option<Slot> {
        self.host.slot(parts)
    }
    fn recall(&self, slot: &Slot) -> Option<Vec<u8>> {
        self.host.recall(slot)
    }
    fn leave(&self, slot: &Slot, value: &[u8]) {
        self.host.leave(slot, value);
    }
    fn edit(&mut self, section: Section, edit: Edit<'_>) {
        #[cfg(feature = "explain")]
        self.host.explain(|| Act::edit(section, edit, self.mode == Mode::Observe));
        match self.mode {
            Mode::Observe => self.held_back = true,
            Mode::Enforce => {
                self.edited |= section == Section::Request;
                self.host.edit(section, edit);
            }
        }
    }
    fn note(&mut self, key: &str, value: &[u8]) {
        if self.mode == Mode::Enforce {
            self.host.note(key, value);
        }
    }
    fn reroute(&mut self) {
        self.edited |= self.mode == Mode::Enforce;
    }
    #[cfg(feature = "explain")]
    fn explain(&self, say: impl FnOnce() -> Act) {
        self.host.explain(say);
    }
}
