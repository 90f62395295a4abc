//! The proxy, as a trait.

use alloc::vec::Vec;
use core::fmt;

use crate::callout::{Callout, CalloutId, DispatchError, Errand};
use crate::fields::{FieldName, FieldValue};
use crate::store::{Shard, Slot, StoreId};

/// The proxy that runs a policy, for the length of one event of one stream.
///
/// The law:
///
/// > Bytes that a `&self` method lends stay valid until the next `&mut self` call or the end of the
/// > event. Nothing here resumes, answers or resets the stream: a filter returns a
/// > [`Flow`](crate::Flow).
///
/// Both halves come from the proxies. The native one lends from Envoy's own header map until a
/// setter is called. Acting from inside a hook re-enters other hooks. So a filter decides, then
/// edits, then returns, and the target acts last, when nothing of the stream is borrowed.
///
/// What only bodies need joins the trait with the first filter that uses it.
pub trait Host {
    /// What wakes a stream that waits, kept by another stream, perhaps on another worker.
    type Waker: Send + 'static;

    /// Field lines of `section` in order of arrival, names in lower case, repeats kept.
    ///
    /// After the request phase a host may have no request fields left (proxy-wasm): then there are
    /// none. What a response needs of its request is [kept](crate::Kept).
    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])>;

    /// Values of `name` in order of arrival; a host overrides this where a look-up is cheaper than
    /// a walk.
    fn values<'a>(
        &'a self,
        section: Section,
        name: &'a FieldName,
    ) -> impl Iterator<Item = &'a [u8]> {
        self.fields(section).filter(move |(n, _)| *n == name.as_bytes()).map(|(_, value)| value)
    }

    /// The value of a field that must not repeat: a filter that checks one of several values while
    /// the upstream uses another is a way around the filter.
    fn sole<'a>(
        &'a self,
        section: Section,
        name: &'a FieldName,
    ) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.values(section, name);
        let first = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(first) }
    }

    /// Whether there is a line of `name`. A host overrides this where it can tell without reading all
    /// lines.
    fn has(&self, section: Section, name: &FieldName) -> bool {
        self.values(section, name).next().is_some()
    }

    /// What the proxy knows of the connection; `None` where it knows nothing.
    fn attribute(&self, attribute: Attribute) -> Option<&[u8]>;

    /// Whether a message of this level would be written. Ask before formatting.
    fn logs(&self, level: Level) -> bool;

    /// Writes one log message. Bytes of a request go through
    /// [`Escaped`](crate::syntax::escape::Escaped) first.
    fn log(&self, level: Level, message: fmt::Arguments<'_>);

    /// The time of day.
    fn now(&self) -> UnixTime;

    /// Adds `n` to a counter of the policy.
    fn add(&self, counter: Metric, n: u64);

    /// Moves a gauge of the policy up or down.
    fn shift(&self, gauge: Metric, by: i64);

    /// Records a value in a histogram of the policy.
    fn record(&self, histogram: Metric, value: u64);

    /// Starts a callout for this stream. How it ends comes to [`Policy::on_event`], never before this
    /// returns; nowhere, where the stream has gone before that and the host gives the callout up
    /// with it.
    ///
    /// [`Policy::on_event`]: crate::Policy::on_event
    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, DispatchError>;

    /// Starts a callout that outlives this stream. How it ends comes to [`Policy::on_errand`], once,
    /// never before this returns.
    ///
    /// [`Policy::on_errand`]: crate::Policy::on_errand
    fn send_out(&self, callout: &Callout<'_>, errand: Errand) -> Result<(), DispatchError>;

    /// What wakes this stream.
    fn waker(&self) -> Self::Waker;

    /// Brings [`Event::Woken`](crate::Event::Woken) to the stream whose waker this is, never before
    /// this returns; nothing happens where that stream has gone.
    fn wake(&self, waker: Self::Waker);

    /// Lends the part of a store that holds what `hash` leads to, to nobody else meanwhile: `work`
    /// calls nothing of the host but [`Host::waker`].
    fn shared<R>(
        &self,
        store: StoreId,
        hash: u64,
        work: impl FnOnce(&mut Shard<Self::Waker>) -> R,
    ) -> R;

    /// Where hosts that run several instances of a policy side by side, with a store each, let them
    /// leave values for each other: the slot that these parts, and nobody without them, lead to.
    /// `None` on a host whose stores are for all of its workers.
    fn slot(&self, parts: &[&[u8]]) -> Option<Slot> {
        let _ = parts;
        None
    }

    /// Reads a value that another instance, or this one, left in a slot.
    fn recall(&self, slot: &Slot) -> Option<Vec<u8>> {
        let _ = slot;
        None
    }

    /// Leaves a value in a slot, sealed: it can be read, and made, with the parts of the slot alone.
    fn leave(&self, slot: &Slot, value: &[u8]) {
        let _ = (slot, value);
    }

    /// Changes the fields of `section`.
    fn edit(&mut self, section: Section, edit: Edit<'_>);

    /// Leaves a value for later filters and the access log: dynamic metadata `pintle:<key>` on the
    /// module, filter state `wasm.pintle.<key>` on proxy-wasm.
    fn note(&mut self, key: &str, value: &[u8]);

    /// Has the route chosen anew, after request fields were edited. proxy-wasm does so by itself.
    fn reroute(&mut self);

    /// Is told what the chain does, by whoever explains it; every other host lets it be.
    #[cfg(feature = "explain")]
    fn explain(&self, say: impl FnOnce() -> crate::explain::Act) {
        let _ = say;
    }
}

/// A header section of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The request's fields and pseudo-headers.
    Request,
    /// The response's fields and pseudo-headers.
    Response,
}

/// A change to one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// One value in place of all there are.
    Set(&'a FieldName, FieldValue<'a>),
    /// One more value, behind those there are.
    Append(&'a FieldName, FieldValue<'a>),
    /// No value at all; nothing happens where there is none.
    Remove(&'a FieldName),
}

/// More than one value where only one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

/// What a proxy knows of a connection, under Envoy's own attribute names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `source.address`: `ip:port` of the downstream peer.
    SourceAddress,
    /// `connection.requested_server_name`: the SNI of the TLS handshake.
    RequestedServerName,
    /// `connection.subject_peer_certificate`: the subject of the client's certificate.
    SubjectPeerCertificate,
    /// `connection.uri_san_peer_certificate`: the first URI SAN of the client's certificate.
    UriSanPeerCertificate,
    /// `connection.dns_san_peer_certificate`: the first DNS SAN of the client's certificate.
    DnsSanPeerCertificate,
}

impl Attribute {
    /// Envoy's name of the attribute, dotted.
    pub const fn envoy_name(self) -> &'static str {
        match self {
            Self::SourceAddress => "source.address",
            Self::RequestedServerName => "connection.requested_server_name",
            Self::SubjectPeerCertificate => "connection.subject_peer_certificate",
            Self::UriSanPeerCertificate => "connection.uri_san_peer_certificate",
            Self::DnsSanPeerCertificate => "connection.dns_san_peer_certificate",
        }
    }
}

/// How much a log message matters, in Envoy's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// Worth a line on an ordinary day.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The level in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A point in time: milliseconds since the start of 1970, UTC, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// So many milliseconds later; the end of time where there are not as many.
    #[must_use]
    pub const fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to this; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One of the metrics that [`Policy::metrics`](crate::Policy::metrics) lists, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metric(pub(crate) u32);

impl Metric {
    /// The place in the list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
