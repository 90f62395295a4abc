//! One thing that is measured.

use std::hint::black_box;

use pintle_core::config::HashKey;
use pintle_core::{
    Answer, CalloutAnswer, Event, Outcome, Passage, Policy, Scratch, Section, Stream,
};

use crate::host::{LendingHost, Line};

/// A policy and one phase of an exchange.
#[derive(Debug)]
pub struct Job {
    filter: &'static str,
    case: &'static str,
    phase: Section,
    policy: Policy,
    request: Vec<Line>,
    response: Vec<Line>,
    effects: Effects,
}

/// What a phase did, by which it is known that a filter ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The status of the reply, if there was one.
    pub reply: Option<u16>,
    /// How many edits there were.
    pub edits: u64,
    /// How many log lines there were.
    pub log_lines: u64,
}

impl Job {
    /// A request phase.
    ///
    /// # Panics
    ///
    /// If `config` is refused.
    pub fn request(
        filter: &'static str,
        case: &'static str,
        config: &str,
        request: Vec<Line>,
        effects: Effects,
    ) -> Self {
        let policy = Policy::load(config.as_bytes(), HashKey::new([7; 16]))
            .unwrap_or_else(|errors| panic!("{filter}/{case}: {errors}"));
        let response = Vec::new();
        Self { filter, case, phase: Section::Request, policy, request, response, effects }
    }

    /// The response phase of a request that goes on.
    ///
    /// # Panics
    ///
    /// If `config` is refused.
    pub fn response(
        filter: &'static str,
        case: &'static str,
        config: &str,
        (request, response): (Vec<Line>, Vec<Line>),
        effects: Effects,
    ) -> Self {
        let job = Self::request(filter, case, config, request, effects);
        Self { phase: Section::Response, response, ..job }
    }

    /// The filter.
    pub const fn filter(&self) -> &'static str {
        self.filter
    }

    /// What it is given to do.
    pub const fn case(&self) -> &'static str {
        self.case
    }

    /// Gets ready to do it again and again.
    ///
    /// # Panics
    ///
    /// If it does not do what it should: its figures would mean nothing.
    pub fn run(&self) -> Run<'_> {
        let mut run = self.start();
        // What can be remembered is.
        run.once();
        let effects = run.effects();
        assert_eq!(effects, self.effects, "{}/{}", self.filter, self.case);
        run
    }

    fn start(&self) -> Run<'_> {
        let host = LendingHost::new(&self.request, &self.response, self.policy.stores());
        let mut run =
            Run { job: self, host, stream: Stream::default(), scratch: Scratch::default() };
        if self.phase == Section::Response {
            let reply = run.on_request();
            assert_eq!(reply, None, "{}/{}: the request is denied", self.filter, self.case);
        }
        run
    }
}

/// What every callout is answered with.
const TOKEN: CalloutAnswer<'_> = CalloutAnswer { status: 200, fields: &[], body: &[b't'; 512] };

/// The content of every response.
const CONTENT: &[u8] = b"There is no order \"1042\".\n";

/// A job under way, with the memory that a worker keeps between requests.
#[derive(Debug)]
pub struct Run<'j> {
    job: &'j Job,
    host: LendingHost<'j>,
    stream: Stream,
    scratch: Scratch,
}

impl Run<'_> {
    /// Does the job once; the status of the reply, if there is one.
    pub fn once(&mut self) -> Option<u16> {
        match self.job.phase {
            Section::Request => self.on_request(),
            Section::Response => {
                let Self { job, host, stream, scratch } = self;
                match job.policy.on_response(stream, host, scratch, false) {
                    Passage::Replace => {
                        stream.take(CONTENT);
                        black_box(job.policy.content(stream));
                    }
                    passage => drop(black_box(passage)),
                }
                None
            }
        }
    }

    fn on_request(&mut self) -> Option<u16> {
        let Self { job, host, stream, scratch } = self;
        stream.clear();
        match job.policy.on_request(stream, host, scratch) {
            Answer::Continue => None,
            Answer::Wait => {
                let answer = Event::Ended(host.callout(), Outcome::Answer(TOKEN));
                let answer = job.policy.on_event(stream, answer, host, scratch);
                assert!(matches!(answer, Answer::Continue), "a token lets a request go on");
                None
            }
            Answer::Reply(reply) => {
                reply.fields().for_each(|field| {
                    black_box(field);
                });
                Some(reply.status)
            }
        }
    }

    fn effects(&mut self) -> Effects {
        let before = (self.host.edits(), self.host.log_lines());
        let reply = self.once();
        let (edits, log_lines) = (self.host.edits() - before.0, self.host.log_lines() - before.1);
        Effects { reply, edits, log_lines }
    }
}
