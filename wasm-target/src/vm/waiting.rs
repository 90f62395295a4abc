//! What comes to requests that are held: the ends of callouts, wakes, and their own end.
//!
//! A callout is the root context's, so that whoever waits for what another stream has asked is told
//! even where that stream has gone: its [`Stream`] is kept until then. What a stream is told may wake
//! others; their turn comes when nothing of it is borrowed any more.

use pintle_core::filter::FilterSet;
use pintle_core::{Answer, CalloutId, Event as Told, Outcome, Section, UnixTime};
use proxy_wasm::types::{Action, StreamType};

use super::{Vm, answer};
use crate::abi::{self, Status};
use crate::arena::Event;
use crate::held::{HeldStream, Sender, Sent};
use crate::host::NO_STREAM;
use crate::root::Root;
use crate::streams::{Memory, is_alive};

impl<X: FilterSet> Vm<X> {
    /// A callout has ended, with an answer that has so many fields and bytes of content.
    pub fn on_http_call_response(&self, root: u32, token: u32, fields: u32, body_bytes: usize) {
        // What is not known was given up, or is of a configuration that is no more.
        let Some(sent) = self.held.ended(token) else { return };
        let roots = self.roots.borrow();
        let event = Event::begin();
        let mut lines = Vec::new();
        let outcome = answer::read(&event, fields, body_bytes, &mut lines);
        self.end(&event, &roots, token, sent, outcome);
        drop(event);
        self.deliver_wakes(&roots);
        let _ = abi::set_effective_context(root);
    }

    /// Gives up callouts that the host should have ended, and has not.
    pub(super) fn give_up_overdue(&self, roots: &[Root<X>]) {
        if self.held.sent_none() {
            return;
        }
        let Ok(now) = abi::current_time_nanoseconds() else { return };
        for token in self.held.overdue(UnixTime(now / 1_000_000)) {
            if let Some(sent) = self.held.ended(token) {
                let event = Event::begin();
                self.end(&event, roots, token, sent, Outcome::Failed);
            }
        }
        self.deliver_wakes(roots);
    }

    /// Lets go of held requests that have ended, but for those whose callout is under way: others may
    /// wait for its end too.
    pub(super) fn let_go_of_the_dead(&self, roots: &[Root<X>]) {
        for id in self.held.followers() {
            if let Some(held) = self.held.take(id) {
                if held.over || !is_alive(id) {
                    self.let_go(roots, held);
                } else {
                    self.held.put_back(id, held);
                }
            }
        }
        self.deliver_wakes(roots);
    }

    /// A configuration is to be forgotten, and with it all that it has under way.
    pub(super) fn abandon(&self, root: &Root<X>) {
        for sent in self.held.abandon(root.id()) {
            if let Sender::Errand(errand) = sent.sender {
                let event = Event::begin();
                let host = self.host(&event, root, NO_STREAM, None);
                root.policy.on_errand(errand, Outcome::Failed, &host);
            }
        }
        for id in self.held.of_root(root.id()) {
            if let Some(held) = self.held.take(id) {
                let reach = Reach::of(id, &held);
                self.let_go(std::slice::from_ref(root), held);
                match reach {
                    Reach::There => {
                        self.refuse(id);
                    }
                    Reach::Refused => self.hold_for_good(id),
                    Reach::Gone => {}
                }
            }
        }
    }

    /// Tells the streams that were woken, in the order of that; whether there were any. Afterwards
    /// another context is in effect.
    pub(super) fn deliver_wakes(&self, roots: &[Root<X>]) -> bool {
        let most = self.held.most_wakes();
        let mut any = false;
        for id in std::iter::from_fn(|| self.held.next_woken()).take(most) {
            any = true;
            // One for each: their fields together would be more than is worth keeping memory for.
            let event = Event::begin();
            self.tell(&event, roots, id, Told::Woken);
        }
        any
    }

    fn end(&self, event: &Event, roots: &[Root<X>], token: u32, sent: Sent, outcome: Outcome<'_>) {
        match sent.sender {
            Sender::Stream(id) => {
                let callout = CalloutId(u64::from(token));
                self.tell(event, roots, id, Told::Ended(callout, outcome));
            }
            Sender::Errand(errand) => {
                let root = roots.iter().find(|root| root.id() == sent.root);
                if let Some(root) = root {
                    let host = self.host(event, root, NO_STREAM, None);
                    root.policy.on_errand(errand, outcome, &host);
                }
            }
        }
    }

    /// Brings something to a stream that is held, and does with its request what comes of that.
    fn tell(&self, event: &Event, roots: &[Root<X>], id: u32, told: Told<'_>) {
        let Some(mut held) = self.held.take(id) else { return };
        let Some(root) = roots.iter().find(|root| root.id() == held.root) else {
            return self.held.put_back(id, held);
        };
        let reach = Reach::of(id, &held);
        if reach != Reach::There {
            self.tell_the_dead(event, root, id, held, told);
            if reach == Reach::Refused && !self.held.holds(id) {
                self.hold_for_good(id);
            }
            return;
        }
        let mut host = self.host(event, root, id, Some(Section::Request));
        let stream = &mut held.stream;
        let answer = root.policy.on_event(stream, told, &mut host, &mut self.scratch.borrow_mut());
        let _ = match self.keep(root, id, held.stream, answer, &host) {
            Some(Answer::Wait) => Action::Pause,
            Some(Answer::Continue) => self.go_on(root, id),
            Some(Answer::Reply(reply)) => self.send(id, &reply),
            None => self.refuse(id),
        };
    }

    /// The end of a callout is brought to a stream that has gone for the sake of those that wait for
    /// the same; what it would do with its own request does not matter.
    fn tell_the_dead(
        &self,
        event: &Event,
        root: &Root<X>,
        id: u32,
        mut held: HeldStream,
        told: Told<'_>,
    ) {
        let mut host = self.host(event, root, id, None);
        if matches!(told, Told::Ended(..)) {
            let stream = &mut held.stream;
            root.policy.on_late_event(stream, told, &mut host, &mut self.scratch.borrow_mut());
        }
        if held.stream.is_waiting() && self.held.leads(id) {
            return self.held.put_back(id, held);
        }
        root.policy.on_gone(&mut held.stream, &host);
        self.streams.borrow_mut().retire(held.stream);
    }

    fn let_go(&self, roots: &[Root<X>], mut held: HeldStream) {
        if let Some(root) = roots.iter().find(|root| root.id() == held.root) {
            let event = Event::begin();
            let host = self.host(&event, root, NO_STREAM, None);
            root.policy.on_gone(&mut held.stream, &host);
        }
        self.streams.borrow_mut().retire(held.stream);
    }

    fn go_on(&self, root: &Root<X>, id: u32) -> Action {
        if abi::continue_stream(StreamType::HttpRequest).is_ok() {
            return Action::Continue;
        }
        if root.policy.answers() {
            self.streams.borrow_mut().remember(id, Memory::Replied);
        }
        self.refuse(id)
    }
}

/// Whether there is anything to be done with a request that is held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Calls are about it now.
    There,
    /// It has ended.
    Gone,
    /// The host does not let calls be about it.
    Refused,
}

impl Reach {
    fn of(id: u32, held: &HeldStream) -> Self {
        if held.over {
            return Self::Gone;
        }
        match abi::set_effective_context(id) {
            Ok(()) => Self::There,
            Err(Status::BadArgument) => Self::Gone,
            Err(_) => Self::Refused,
        }
    }
}
