//! Filters to one answer: the chain, and the one door that requests go through.

mod load;
mod own_reply;
mod step;
pub(crate) mod steps;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use own_reply::LocalReply;
pub use step::Mode;

use crate::arrival::Looks;
use crate::config::{ConfigErrors, HashKey};
use crate::denial::Denial;
use crate::fields::FieldName;
use crate::filter::{FilterSet, Request, Response};
use crate::flow::{Flow, Reply};
use crate::host::{Edit, Host, Section};
use crate::metrics::CounterName;
use crate::scratch::Scratch;
use crate::stream::{Phase, Stream};
use crate::syntax::path::{EncodedSlash, PathError};
use step::Step;
use steps::NoFurther;

/// A configuration, compiled: filters in their order. `X` is a further set of filters, made by
/// [`filters!`](crate::filters), that may stand in the same list as the shipped ones.
///
/// It never changes once it is loaded, so all streams of all workers may share it.
pub struct Policy<X: FilterSet = NoFurther> {
    steps: Box<[Step<X>]>,
    counters: Vec<CounterName>,
    identity_fields: Vec<FieldName>,
    looks: Looks,
    encoded_slash: EncodedSlash,
    remembers: bool,
    answers: bool,
}

/// What the target does with a request, once nothing of the stream is borrowed any more.
#[must_use]
#[derive(Debug)]
pub enum Answer<'s> {
    /// Let it go on.
    Continue,
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

    fn new(steps: Vec<Step<X>>, encoded_slash: EncodedSlash) -> Self {
        let mut steps = steps;
        let mut counters = Vec::new();
        let mut identity_fields: Vec<FieldName> = Vec::new();
        let mut secrets: Vec<FieldName> = Vec::new();
        for step in &mut steps {
            step.number_counters(&mut counters);
            secrets.extend_from_slice(step.secret_fields());
            if step.mode == Mode::Enforce {
                identity_fields.extend_from_slice(step.identity_fields());
            }
        }
        identity_fields.sort();
        identity_fields.dedup();
        for step in &mut steps {
            step.redact(&secrets);
        }
        let looks = steps.iter().fold(Looks::default(), |looks, step| looks.or(step.looks()));
        let answers = steps.iter().any(|step| step.phases.response());
        let remembers = steps.iter().any(|step| {
            step.phases.response() && (step.when.is_some() || !step.kept_fields().is_empty())
        });
        Self {
            steps: steps.into(),
            counters,
            identity_fields,
            looks,
            encoded_slash,
            remembers,
            answers,
        }
    }

    /// Whether there is no filter at all, so that every request passes untouched.
    pub fn is_inert(&self) -> bool {
        self.steps.is_empty()
    }

    /// Every counter, in the order of [`Counter::index`](crate::Counter::index).
    pub fn counters(&self) -> &[CounterName] {
        &self.counters
    }

    /// Whether any filter has work with responses.
    pub fn answers(&self) -> bool {
        self.answers
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
        let mut edited = self.strip_identity(host);
        scratch.arrival.read(host, self.looks, self.encoded_slash);
        let mut refused = None;
        for (index, step) in self.steps.iter().enumerate() {
            let applies = self.meet(index, step, stream, host, scratch);
            if refused.is_some() || !step.phases.request() {
                continue;
            }
            let flow = match applies {
                Ok(false) => continue,
                Ok(true) => {
                    let Scratch { arrival, buffer } = scratch;
                    step.on_request(host, &mut Request { arrival, buffer }, &mut edited)
                }
                Err(error) => self.invalid_path(step, host, error),
            };
            if let Flow::Reply(reply) = flow {
                refused = Some(reply);
                if !self.answers {
                    break;
                }
            }
        }
        let answer = match refused {
            None => {
                stream.phase = Phase::Forwarded;
                if edited {
                    host.reroute();
                }
                Answer::Continue
            }
            Some(reply) => {
                stream.phase = Phase::Replied;
                Answer::Reply(own_reply::render(self, reply, stream, host, scratch))
            }
        };
        scratch.clear();
        answer
    }

    /// Sees a response. Own replies have been through here already, inside
    /// [`Policy::on_request`], so nothing happens for them.
    pub fn on_response<H: Host>(&self, stream: &mut Stream, host: &mut H, scratch: &mut Scratch) {
        match stream.phase {
            Phase::Replied => return,
            Phase::Forwarded => {}
            Phase::Fresh => {
                // A reply of the proxy or of an earlier filter: the request never came by.
                scratch.arrival.read(host, self.looks, self.encoded_slash);
                for (index, step) in self.steps.iter().enumerate() {
                    let _ = self.meet(index, step, stream, host, scratch);
                }
            }
        }
        self.respond(stream, host, scratch);
        scratch.clear();
    }

    /// The response phases, in reverse order, as Envoy runs its own filters.
    fn respond<H: Host>(&self, stream: &Stream, host: &mut H, scratch: &mut Scratch) {
        for (index, step) in self.steps.iter().enumerate().rev() {
            if step.phases.response() && stream.applies & bit(index) != 0 {
                let kept = stream.kept(index, step.kept_fields());
                step.on_response(host, &mut Response { kept, buffer: &mut scratch.buffer });
            }
        }
    }

    /// Judges whether a step is for this request, and remembers what its response phase needs.
    fn meet<H: Host>(
        &self,
        index: usize,
        step: &Step<X>,
        stream: &mut Stream,
        host: &H,
        scratch: &Scratch,
    ) -> Result<bool, PathError> {
        let applies = step.applies(host, &scratch.arrival);
        if step.phases.response() && applies != Ok(false) {
            stream.applies |= bit(index);
            for (field, name) in step.kept_fields().iter().enumerate() {
                for value in host.values(Section::Request, name) {
                    stream.keep(index, field, value);
                }
            }
        }
        applies
    }

    fn invalid_path<'s, H: Host>(&self, step: &'s Step<X>, host: &mut H, error: PathError) -> Flow<'s> {
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
    let denial = path_denial(error);
    Reply {
        denial,
        status: denial.status(),
        fields: &[],
        body: b"The path of the request is not valid.",
    }
}
