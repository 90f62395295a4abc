//! Filters to one answer: the chain, and the one door that requests go through.

#[cfg(feature = "explain")]
mod explain;
mod load;
mod own_reply;
mod step;
pub(crate) mod steps;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub(crate) use load::COMMON;
#[cfg(feature = "schema")]
pub(crate) use load::{CommonFields, MAX_FILTERS, PathsFields};
pub use own_reply::LocalReply;
pub use step::Mode;

use crate::arrival::Looks;
use crate::callout::{Errand, Event, Outcome};
use crate::config::{ConfigErrors, HashKey};
use crate::content::{Passage, Replacing};
use crate::denial::Denial;
use crate::fields::FieldName;
use crate::filter::{FilterSet, Request, Response};
use crate::flow::{Flow, Reply};
use crate::host::{Edit, Host, Section};
use crate::metrics::MetricName;
use crate::problem::DenyFormat;
use crate::scratch::Scratch;
use crate::store::{StoreId, StoreSpec};
use crate::stream::{Paused, Stream};
use crate::syntax::path::{EncodedSlash, PathError};
use step::{Effect, Step};
use steps::NoFurther;

/// A configuration, compiled: filters in their order. `X` is a further set of filters, made by
/// [`filters!`](crate::filters), that may stand in the same list as the shipped ones.
///
/// It never changes once it is loaded, so all streams of all workers may share it.
pub struct Policy<X: FilterSet = NoFurther> {
    steps: Box<[Step<X>]>,
    metrics: Vec<MetricName>,
    stores: Vec<StoreSpec>,
    identity_fields: Vec<FieldName>,
    looks: Looks,
    encoded_slash: EncodedSlash,
    deny_format: DenyFormat,
    remembers: bool,
    answers: bool,
    replaces_content: bool,
}

/// What the target does with a request, once nothing of the stream is borrowed any more.
#[must_use]
#[derive(Debug)]
pub enum Answer<'s> {
    /// Let it go on.
    Continue,
    /// Hold it, and what follows of it, until an event or its end.
    Wait,
    /// Send this reply; nothing goes upstream.
    Reply(LocalReply<'s>),
}

impl<X: FilterSet> Policy<X> {
    /// Compiles a configuration: a JSON document in Pintle's own form or in that of a plug-in whose
    /// users Pintle serves.
    ///
    /// # Errors
    ///
    /// The first structural error of each filter and every other one, together.
    pub fn load(document: &[u8], key: HashKey) -> Result<Self, ConfigErrors> {
        load::load(document, key)
    }

    fn new(steps: Vec<Step<X>>, encoded_slash: EncodedSlash, deny_format: DenyFormat) -> Self {
        let mut steps = steps;
        let mut metrics = Vec::new();
        let mut stores = Vec::new();
        let mut identity_fields: Vec<FieldName> = Vec::new();
        for (index, step) in steps.iter_mut().enumerate() {
            step.place(index, &mut metrics);
            if let Some(store) = step.store().cloned() {
                step.home.store = StoreId(u32::try_from(stores.len()).unwrap_or(u32::MAX));
                stores.push(StoreSpec { filter: step.name.clone(), ..store });
            }
            if step.mode == Mode::Enforce {
                identity_fields.extend_from_slice(step.identity_fields());
            }
        }
        identity_fields.sort();
        identity_fields.dedup();
        tell_secrets(&mut steps);
        let looks = steps.iter().fold(Looks::default(), |looks, step| looks.or(step.looks()));
        let answers = steps.iter().any(|step| step.phases.response());
        let remembers = steps.iter().any(|step| step.remembers);
        let replaces_content = steps.iter().any(Step::replaces_content);
        Self {
            steps: steps.into(),
            metrics,
            stores,
            identity_fields,
            looks,
            encoded_slash,
            deny_format,
            remembers,
            answers,
            replaces_content,
        }
    }

    /// Whether there is no filter at all, so that every request passes untouched.
    pub fn is_inert(&self) -> bool {
        self.steps.is_empty()
    }

    /// Every metric, in the order of [`Metric::index`](crate::Metric::index).
    pub fn metrics(&self) -> &[MetricName] {
        &self.metrics
    }

    /// Every store, in the order of [`StoreId::index`].
    pub fn stores(&self) -> &[StoreSpec] {
        &self.stores
    }

    /// Whether any filter has work with responses.
    pub fn answers(&self) -> bool {
        self.answers
    }

    /// Whether any filter may give a response other content.
    pub fn replaces_content(&self) -> bool {
        self.replaces_content
    }

    /// The name of the first filter that may.
    pub fn first_to_replace_content(&self) -> Option<&str> {
        self.steps.iter().find(|step| step.replaces_content()).map(|step| &*step.name)
    }

    /// Whether a response needs what its [`Stream`] remembers of the request. Where it does not, a
    /// target may forget a stream once the request has gone on.
    pub fn remembers(&self) -> bool {
        self.remembers
    }

    /// Judges a request. Call it once for each stream, when its fields have arrived.
    pub fn on_request<'s, H: Host>(
        &'s self,
        stream: &mut Stream,
        host: &mut H,
        scratch: &mut Scratch,
    ) -> Answer<'s> {
        let edited = self.strip_identity(host);
        scratch.arrival.read(host, self.looks, self.encoded_slash);
        self.proceed(None, edited, stream, host, scratch)
    }

    /// Something has come to a stream that waits. [`Answer::Wait`] where that changes nothing, and
    /// where the stream does not wait at all.
    pub fn on_event<'s, H: Host>(
        &'s self,
        stream: &mut Stream,
        event: Event<'_>,
        host: &mut H,
        scratch: &mut Scratch,
    ) -> Answer<'s> {
        let Some(mut paused) = stream.paused.take() else { return Answer::Wait };
        let Some(step) = self.steps.get(paused.step) else { return Answer::Wait };
        core::mem::swap(&mut scratch.arrival, &mut paused.arrival);
        let Scratch { arrival, buffer } = scratch;
        let (mode, home, waiting) = (step.mode, step.home, &mut paused.waiting);
        let mut request = Request { arrival, buffer, mode, home, waiting };
        let mut effect = Effect::default();
        let flow = step.on_event(event, host, &mut request, &mut effect);
        paused.edited |= effect.edited;
        if flow == Flow::Pause {
            core::mem::swap(&mut scratch.arrival, &mut paused.arrival);
            stream.paused = Some(paused);
            scratch.clear();
            return Answer::Wait;
        }
        self.proceed(Some((paused.step, flow)), paused.edited, stream, host, scratch)
    }

    /// A callout has ended that a stream, which has ended too, had started: the filter hears of it for
    /// the sake of others, and that is all.
    pub fn on_late_event<H: Host>(
        &self,
        stream: &mut Stream,
        event: Event<'_>,
        host: &mut H,
        scratch: &mut Scratch,
    ) {
        let Some(paused) = &mut stream.paused else { return };
        let Some(step) = self.steps.get(paused.step) else { return };
        let Paused { arrival, waiting, .. } = &mut **paused;
        let (buffer, mode, home) = (&mut scratch.buffer, step.mode, step.home);
        let mut request = Request { arrival, buffer, mode, home, waiting };
        if step.on_late_event(event, host, &mut request) {
            stream.paused = None;
        }
        scratch.clear();
    }

    /// A stream has ended; where it waited, it does so no longer.
    pub fn on_gone<H: Host>(&self, stream: &mut Stream, host: &H) {
        let Some(paused) = stream.paused.take() else { return };
        if let (Some(step), Some(waiting)) = (self.steps.get(paused.step), paused.waiting) {
            step.on_gone(waiting, host);
        }
    }

    /// A callout that was [sent out](Host::send_out) has ended. `host` is that of no stream.
    pub fn on_errand<H: Host>(&self, errand: Errand, outcome: Outcome<'_>, host: &H) {
        if let Some(step) = self.steps.get(errand.step) {
            step.on_errand(errand, outcome, host);
        }
    }

    /// Asks the steps, from the one that has been waiting and what it makes of that, or from the
    /// first.
    fn proceed<'s, H: Host>(
        &'s self,
        resumed: Option<(usize, Flow<'s>)>,
        mut edited: bool,
        stream: &mut Stream,
        host: &mut H,
        scratch: &mut Scratch,
    ) -> Answer<'s> {
        let first = resumed.as_ref().map_or(0, |(index, _)| *index);
        let (mut resumed, mut refused, mut waiting) = (resumed, None, None);
        for (index, step) in self.steps.iter().enumerate().skip(first) {
            let (applies, flow) = match resumed.take() {
                Some((_, flow)) => (Ok(true), flow),
                None => {
                    let applies = step.applies(host, &scratch.arrival);
                    #[cfg(feature = "explain")]
                    step.explain(host, &scratch.arrival, applies, refused.is_none());
                    let flow = match applies {
                        _ if refused.is_some() || !step.phases.request() => Flow::Continue,
                        Ok(false) => continue,
                        Ok(true) => {
                            let Scratch { arrival, buffer } = scratch;
                            let (mode, home, waiting) = (step.mode, step.home, &mut waiting);
                            let mut request = Request { arrival, buffer, mode, home, waiting };
                            let mut effect = Effect::default();
                            let flow = step.on_request(host, &mut request, &mut effect);
                            edited |= effect.edited;
                            if effect.observed {
                                stream.observed |= bit(index);
                            }
                            flow
                        }
                        Err(error) => {
                            stream.observed |= bit(index);
                            invalid_path(step, host, error)
                        }
                    };
                    (applies, flow)
                }
            };
            match flow {
                Flow::Continue => {}
                Flow::Pause => {
                    let arrival = core::mem::take(&mut scratch.arrival);
                    stream.paused =
                        Some(Box::new(Paused { step: index, edited, arrival, waiting }));
                    scratch.clear();
                    return Answer::Wait;
                }
                Flow::Reply(reply) => {
                    refused = Some((reply, step.deny_format().unwrap_or(self.deny_format)));
                    if !self.answers {
                        break;
                    }
                }
            }
            if step.remembers {
                remember(index, step, applies, stream, host, scratch);
            }
        }
        let answer = match refused {
            None => {
                stream.forwarded = true;
                if edited {
                    host.reroute();
                }
                Answer::Continue
            }
            Some((reply, format)) => {
                Answer::Reply(own_reply::render(self, reply, format, stream, host, scratch))
            }
        };
        scratch.clear();
        answer
    }

    /// Sees a response to a request that went on. Own replies have been through here already, inside
    /// [`Policy::on_request`]. Replies of the proxy or of an earlier filter to a request that never
    /// came by stay as they are: proxy-wasm modules do not see them, so nothing happens to them
    /// anywhere.
    ///
    /// `end_of_stream`: neither content nor trailers follow.
    pub fn on_response<H: Host>(
        &self,
        stream: &mut Stream,
        host: &mut H,
        scratch: &mut Scratch,
        end_of_stream: bool,
    ) -> Passage {
        if !stream.forwarded {
            return Passage::Keep;
        }
        let replacing = self.respond(stream, host, scratch, false);
        scratch.clear();
        match replacing {
            None => Passage::Keep,
            Some(replacing) if end_of_stream => Passage::Give(self.replace(*replacing)),
            Some(replacing) => {
                stream.replacing = Some(replacing);
                Passage::Replace
            }
        }
    }

    /// What comes in the place of the content that a stream has [taken](Stream::take). Call it once,
    /// at the end of that content.
    pub fn content(&self, stream: &mut Stream) -> Vec<u8> {
        stream.replacing.take().map_or_else(Vec::new, |replacing| self.replace(*replacing))
    }

    fn replace(&self, replacing: Replacing) -> Vec<u8> {
        replacing.into_content(|step, replacement, content| match self.steps.get(step) {
            Some(step) => step.on_content(replacement, content),
            None => content.bytes.to_vec(),
        })
    }

    /// The response phases, in reverse order, as Envoy runs its own filters. Says which of them
    /// replace the content.
    fn respond<H: Host>(
        &self,
        stream: &Stream,
        host: &mut H,
        scratch: &mut Scratch,
        is_own_reply: bool,
    ) -> Option<Box<Replacing>> {
        let mut replacing: Option<Box<Replacing>> = None;
        for (index, step) in self.steps.iter().enumerate().rev() {
            let applies = step.when.is_none() || stream.applies & bit(index) != 0;
            #[cfg(feature = "explain")]
            step.explain_response(host, applies);
            if applies && step.phases.response() {
                let kept = stream.kept(index, step.kept_fields());
                let observed = stream.observed & bit(index) != 0;
                let (buffer, mode, home) = (&mut scratch.buffer, step.mode, step.home);
                let replacement = None;
                let mut response = Response { kept, buffer, mode, home, is_own_reply, replacement };
                step.on_response(host, &mut response, observed);
                if let Some(replacement) = response.replacement {
                    replacing.get_or_insert_default().by.push((index, replacement));
                }
            }
        }
        replacing
    }

    /// Removes what an authenticating step asserts, on every request, matched or not.
    fn strip_identity<H: Host>(&self, host: &mut H) -> bool {
        let mut stripped = false;
        for name in &self.identity_fields {
            if host.values(Section::Request, name).next().is_some() {
                host.edit(Section::Request, Edit::Remove(name));
                stripped = true;
            }
        }
        stripped
    }
}

/// Tells the steps what all of them hold for secret, until no step makes more fields secret of it.
fn tell_secrets<X: FilterSet>(steps: &mut [Step<X>]) {
    let mut known: Vec<FieldName> = Vec::new();
    loop {
        let mut secrets = known.clone();
        steps.iter().for_each(|step| secrets.extend_from_slice(step.secret_fields()));
        secrets.sort();
        secrets.dedup();
        if secrets.len() == known.len() {
            return;
        }
        known = secrets;
        steps.iter_mut().for_each(|step| step.redact(&known));
    }
}

/// What becomes of a request whose path a step would have to judge, and cannot.
fn invalid_path<'s, X: FilterSet, H: Host>(
    step: &Step<X>,
    host: &mut H,
    error: PathError,
) -> Flow<'s> {
    let denial = path_denial(error);
    match step.mode {
        Mode::Observe => {
            step.observed(host, denial.slug());
            Flow::Continue
        }
        Mode::Enforce => {
            step.denied(host, denial);
            Flow::Reply(invalid_path_reply(error))
        }
    }
}

/// Remembers what the response phase of a step needs of the request that the step is done with. An
/// invalid path is judged as it came: a response is no reason to refuse it.
fn remember<X: FilterSet, H: Host>(
    index: usize,
    step: &Step<X>,
    applies: Result<bool, PathError>,
    stream: &mut Stream,
    host: &H,
    scratch: &Scratch,
) {
    let applies = || applies.unwrap_or_else(|_| step.applies_as_it_came(host, &scratch.arrival));
    if !applies() {
        return;
    }
    stream.applies |= bit(index);
    if step.kept_fields().is_empty() || !step.keeps(host) {
        return;
    }
    for (field, name) in step.kept_fields().iter().enumerate() {
        for value in host.values(Section::Request, name) {
            stream.keep(index, field, value);
        }
    }
}

impl<X: FilterSet> core::fmt::Debug for Policy<X> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| &step.name)).finish()
    }
}

const fn bit(index: usize) -> u128 {
    // At most MAX_FILTERS steps are loaded.
    1_u128.wrapping_shl(index as u32)
}

const fn path_denial(error: PathError) -> Denial {
    match error {
        PathError::EncodedSlash => Denial::PathEncodedSlash,
        _ => Denial::PathInvalid,
    }
}

/// The 400 for a path that a filter has to judge and that has no single meaning.
pub(crate) const fn invalid_path_reply<'s>(error: PathError) -> Reply<'s> {
    Reply::new(path_denial(error), b"The path of the request is not valid.")
}
