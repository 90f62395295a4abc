//! What a VM has under way: requests that it holds, callouts, and wakes to be delivered.
//!
//! Nothing here is borrowed while the host is called, so nothing here can be borrowed twice.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pintle_core::{Errand, Stream, UnixTime};

/// How long after its time a callout is given up that the host has not ended, in milliseconds. Envoy
/// ends each one itself, and tells; a host that does not let `proxy_on_http_call_response` be called
/// tells nothing.
const GRACE_MILLISECONDS: u64 = 2000;

/// Requests that are held, callouts under way, and streams that were woken.
#[derive(Debug, Default)]
pub(crate) struct Held {
    streams: RefCell<BTreeMap<u32, HeldStream>>,
    callouts: RefCell<BTreeMap<u32, Sent>>,
    woken: RefCell<VecDeque<u32>>,
}

/// A request that is held.
#[derive(Debug)]
pub(crate) struct HeldStream {
    /// Its root context.
    pub(crate) root: u32,
    pub(crate) stream: Box<Stream>,
    /// The response has come from elsewhere: there is nothing to let go on any more.
    pub(crate) over: bool,
}

/// A callout under way.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The root context of its policy.
    pub(crate) root: u32,
    pub(crate) sender: Sender,
    overdue: UnixTime,
}

/// Who is told how a callout ends.
#[derive(Debug)]
pub(crate) enum Sender {
    /// A stream, by its context id.
    Stream(u32),
    /// The filter whose errand it is.
    Errand(Errand),
}

impl Sent {
    pub(crate) fn new(root: u32, sender: Sender, now: UnixTime, timeout_ms: u32) -> Self {
        let overdue = now.after(u64::from(timeout_ms)).after(GRACE_MILLISECONDS);
        Self { root, sender, overdue }
    }
}

impl Held {
    /// Holds a request.
    pub(crate) fn hold(&self, id: u32, root: u32, stream: Box<Stream>) {
        let held = HeldStream { root, stream, over: false };
        self.streams.borrow_mut().insert(id, held);
    }

    /// Holds it further, as it was.
    pub(crate) fn put_back(&self, id: u32, held: HeldStream) {
        self.streams.borrow_mut().insert(id, held);
    }

    /// Whether a request is held.
    pub(crate) fn holds(&self, id: u32) -> bool {
        self.streams.borrow().contains_key(&id)
    }

    /// A request that is held no longer.
    pub(crate) fn take(&self, id: u32) -> Option<HeldStream> {
        self.streams.borrow_mut().remove(&id)
    }

    /// The response to a request has come; whether that request is held.
    pub(crate) fn end(&self, id: u32) -> bool {
        self.streams.borrow_mut().get_mut(&id).map(|held| held.over = true).is_some()
    }

    /// A callout was started.
    pub(crate) fn send(&self, token: u32, sent: Sent) {
        self.callouts.borrow_mut().insert(token, sent);
    }

    /// A callout has ended; `None` if it is not known.
    pub(crate) fn ended(&self, token: u32) -> Option<Sent> {
        self.callouts.borrow_mut().remove(&token)
    }

    /// Whether a stream has a callout under way.
    pub(crate) fn leads(&self, id: u32) -> bool {
        self.callouts.borrow().values().any(|sent| sent.is_of(id))
    }

    /// Whether no callout is under way.
    pub(crate) fn sent_none(&self) -> bool {
        self.callouts.borrow().is_empty()
    }

    /// The callouts whose end the host should have told.
    pub(crate) fn overdue(&self, now: UnixTime) -> Vec<u32> {
        let callouts = self.callouts.borrow();
        callouts.iter().filter(|(_, sent)| sent.overdue < now).map(|(token, _)| *token).collect()
    }

    /// The held requests that nothing is under way for: they may be dead.
    pub(crate) fn followers(&self) -> Vec<u32> {
        let callouts = self.callouts.borrow();
        let leaders: BTreeSet<u32> = callouts.values().filter_map(Sent::stream).collect();
        self.streams.borrow().keys().filter(|id| !leaders.contains(id)).copied().collect()
    }

    /// The requests of a root context.
    pub(crate) fn of_root(&self, root: u32) -> Vec<u32> {
        let streams = self.streams.borrow();
        streams.iter().filter(|(_, held)| held.root == root).map(|(id, _)| *id).collect()
    }

    /// Takes the callouts of a root context: nobody will tell how they end.
    pub(crate) fn abandon(&self, root: u32) -> Vec<Sent> {
        let mut callouts = self.callouts.borrow_mut();
        callouts.extract_if(.., |_, sent| sent.root == root).map(|(_, sent)| sent).collect()
    }

    /// Wakes a stream, later.
    pub(crate) fn wake(&self, id: u32) {
        self.woken.borrow_mut().push_back(id);
    }

    /// The stream that was woken first.
    pub(crate) fn next_woken(&self) -> Option<u32> {
        self.woken.borrow_mut().pop_front()
    }

    /// How many wakes one event delivers at most, so that filters that wake each other do not keep
    /// the worker for ever; the others come with the next event.
    pub(crate) fn most_wakes(&self) -> usize {
        let (streams, woken) = (self.streams.borrow().len(), self.woken.borrow().len());
        streams.saturating_mul(2).saturating_add(woken)
    }
}

impl Sent {
    fn is_of(&self, id: u32) -> bool {
        self.stream() == Some(id)
    }

    fn stream(&self) -> Option<u32> {
        match self.sender {
            Sender::Stream(id) => Some(id),
            Sender::Errand(_) => None,
        }
    }
}
