//! What a filter is, and the set of those that a policy knows.

pub mod basic_auth;
pub mod headers;
pub mod log_headers;
pub mod problem_json;
pub mod require_header;
pub mod token_exchange;

use alloc::vec::Vec;

use serde::de::DeserializeOwned;

use crate::arrival::{Arrival, Looks};
use crate::callout::{Errand, Event, Outcome};
use crate::config::{Json, Load, Pointer};
use crate::content::{Content, Replacement};
use crate::denial::Denial;
use crate::fields::FieldName;
use crate::flow::Flow;
use crate::host::{Host, Metric};
use crate::metrics::Meter;
use crate::policy::Mode;
use crate::problem::DenyFormat;
use crate::store::{StoreId, StoreSpec};
use crate::stream::{Kept, Waiting};

/// One policy: values to a verdict.
///
/// `when`, `mode`, `name` and the counters are the chain's business; a filter sees the requests that
/// are for it, and decides. Filters are compiled once, when the configuration is loaded, and shared
/// by all streams.
pub trait Filter: Sized + Send + Sync + 'static {
    /// The key that names the filter in the configuration's `filters`.
    const KIND: &'static str;

    /// Every reason for which it may reply; each is a counter, and one that is not here is not counted.
    const DENIALS: &'static [Denial] = &[];

    /// What it measures beside what the chain counts; [`Home::metric`] finds them.
    const METERS: &'static [Meter] = &[];

    /// Its fields in the configuration; derive `Deserialize` with `deny_unknown_fields`. None is
    /// called `when`, `mode` or `name`: those are the chain's.
    type Fields: DeserializeOwned;

    /// Checks and prepares all that can be; refusals go to `load`, and then the result is `None`.
    fn compile(fields: Self::Fields, at: &Pointer<'_>, load: &mut Load) -> Option<Self>;

    /// Which messages it has work with.
    fn phases(&self) -> Phases;

    /// Fields that it asserts to the upstream: stripped from every request before the first filter.
    fn identity_fields(&self) -> &[FieldName] {
        &[]
    }

    /// Fields whose values are secrets: no filter logs them.
    fn secret_fields(&self) -> &[FieldName] {
        &[]
    }

    /// Request fields whose values [`Filter::on_response`] needs: they are [kept](Kept) as they
    /// are when the filter is done with the request.
    fn kept_fields(&self) -> &[FieldName] {
        &[]
    }

    /// Whether [`Filter::kept_fields`] are worth keeping now; asked once for each request.
    fn keeps<H: Host>(&self, host: &H) -> bool {
        let _ = host;
        true
    }

    /// Tells a filter what all filters of the policy hold for secret; said again where there is
    /// more of it.
    fn redact(&mut self, secrets: &[FieldName]) {
        let _ = secrets;
    }

    /// Which parts of the [`Arrival`] its own rules look at.
    #[doc(hidden)]
    fn looks(&self) -> Looks {
        Looks::default()
    }

    /// The store that it wants to have, under [`Home::store`].
    fn store(&self) -> Option<&StoreSpec> {
        None
    }

    /// Decides on a request; edits go through `host`.
    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        let _ = (host, request);
        Flow::Continue
    }

    /// Something has come to a request that it [paused](Flow::Pause). What is not for it, such as the
    /// end of a callout that it has not started, it answers by pausing on.
    fn on_event<'s, H: Host>(
        &'s self,
        event: Event<'_>,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let _ = (event, host, request);
        Flow::Pause
    }

    /// A request that it paused has gone, and so has what it waited for, where the host gives a
    /// callout up with its stream. Of the request there is nothing to read any more.
    fn on_gone<H: Host>(&self, waiting: Waiting, host: &H, home: Home) {
        let _ = (waiting, host, home);
    }

    /// A callout that it [sent out](Host::send_out) has ended. There is no request here.
    fn on_errand<H: Host>(&self, errand: Errand, outcome: Outcome<'_>, host: &H, home: Home) {
        let _ = (errand, outcome, host, home);
    }

    /// Sees a response, one of this library's own replies included; cannot refuse it. Gives it other
    /// content by way of [`Response::replacement`].
    fn on_response<H: Host>(&self, host: &mut H, response: &mut Response<'_>) {
        let _ = (host, response);
    }

    /// Whether it may ever give a response other content. Not every artefact sees content.
    fn replaces_content(&self) -> bool {
        false
    }

    /// The content of a response that it replaces is there; gives what comes in its place. The
    /// fields of the response have gone on before.
    fn on_content(&self, replacement: Replacement, content: Content<'_>) -> Vec<u8> {
        let _ = replacement;
        content.bytes.to_vec()
    }

    /// The form of its own replies; `None`: that of the document.
    fn deny_format(&self) -> Option<DenyFormat> {
        None
    }
}

/// Which messages a filter has work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phases {
    /// Requests alone.
    Request,
    /// Responses alone.
    Response,
    /// Both.
    Both,
}

impl Phases {
    pub(crate) const fn request(self) -> bool {
        matches!(self, Self::Request | Self::Both)
    }

    pub(crate) const fn response(self) -> bool {
        matches!(self, Self::Response | Self::Both)
    }
}

/// What a filter sees of a request beside its fields, and memory to work in.
pub struct Request<'a> {
    pub(crate) arrival: &'a Arrival,
    /// A buffer that keeps its capacity from request to request.
    pub buffer: &'a mut Vec<u8>,
    /// What becomes of the verdict.
    pub mode: Mode,
    /// Where the filter stands in its policy.
    pub home: Home,
    /// What a filter that pauses the request keeps for as long as it does.
    pub waiting: &'a mut Option<Waiting>,
}

/// Where the metrics and the store of one filter are.
#[derive(Clone, Copy, Debug)]
pub struct Home {
    pub(crate) meters: u32,
    /// The store of [`Filter::store`]; of a filter without one, nobody's.
    pub store: StoreId,
}

impl Home {
    /// The metric at this place of [`Filter::METERS`].
    pub const fn metric(self, place: u32) -> Metric {
        Metric(self.meters.saturating_add(place))
    }
}

/// What a filter sees of a response beside its fields, and memory to work in.
pub struct Response<'a> {
    /// The values of [`Filter::kept_fields`].
    pub kept: Kept<'a>,
    /// A buffer that keeps its capacity from response to response.
    pub buffer: &'a mut Vec<u8>,
    /// What becomes of what the filter does.
    pub mode: Mode,
    /// Where the filter stands in its policy.
    pub home: Home,
    /// Whether it is one of this library's own replies: it has content even where the request was a
    /// `HEAD`, and the proxy leaves that out.
    pub is_own_reply: bool,
    /// Says that the filter gives the response other content.
    pub replacement: Option<Replacement>,
}

/// A closed set of filters, made by [`filters!`](crate::filters).
#[doc(hidden)]
pub trait FilterSet: Sized + Send + Sync + 'static {
    const KINDS: &'static [&'static str];

    /// `None` where the kind is not of this set; else what became of the fields.
    fn read(
        kind: &str,
        fields: Fields<'_>,
        at: &Pointer<'_>,
        load: &mut Load,
    ) -> Option<Option<Self>>;
    fn denials(&self) -> &'static [Denial];
    fn phases(&self) -> Phases;
    fn identity_fields(&self) -> &[FieldName];
    fn secret_fields(&self) -> &[FieldName];
    fn kept_fields(&self) -> &[FieldName];
    fn keeps<H: Host>(&self, host: &H) -> bool;
    fn redact(&mut self, secrets: &[FieldName]);
    fn looks(&self) -> Looks;
    fn meters(&self) -> &'static [Meter];
    fn store(&self) -> Option<&StoreSpec>;
    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s>;
    fn on_event<'s, H: Host>(
        &'s self,
        event: Event<'_>,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s>;
    fn on_gone<H: Host>(&self, waiting: Waiting, host: &H, home: Home);
    fn on_errand<H: Host>(&self, errand: Errand, outcome: Outcome<'_>, host: &H, home: Home);
    fn on_response<H: Host>(&self, host: &mut H, response: &mut Response<'_>);
    fn replaces_content(&self) -> bool;
    fn on_content(&self, replacement: Replacement, content: Content<'_>) -> Vec<u8>;
    fn deny_format(&self) -> Option<DenyFormat>;
}

/// The fields of one filter as they stand in the document, those of the chain taken out.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub(crate) &'a Json);

impl Fields<'_> {
    #[doc(hidden)]
    pub fn compile<F: Filter>(self, at: &Pointer<'_>, load: &mut Load) -> Option<F> {
        let fields = load.read_beside::<F::Fields>(at, self.0, crate::policy::COMMON)?;
        F::compile(fields, at, load)
    }
}

/// Makes an enum of filters that a [`Policy`](crate::Policy) can hold beside the shipped ones.
///
/// ```
/// # use pintle_core::{Filter, Phases, config::{Load, Pointer}};
/// # pub struct Greeting;
/// # #[derive(serde::Deserialize)] pub struct GreetingFields {}
/// # impl Filter for Greeting {
/// #     const KIND: &'static str = "greeting";
/// #     type Fields = GreetingFields;
/// #     fn compile(_: GreetingFields, _: &Pointer<'_>, _: &mut Load) -> Option<Self> { Some(Self) }
/// #     fn phases(&self) -> Phases { Phases::Request }
/// # }
/// pintle_core::filters! {
///     /// The filters of this crate.
///     pub enum Mine { Greeting }
/// }
/// let document = br#"{"filters": [{"greeting": {}}, {"basic_auth": {"rules": [{"credentials": ["a:b"]}]}}]}"#;
/// pintle_core::Policy::<Mine>::load(document, pintle_core::config::HashKey::new([0; 16])).unwrap();
/// ```
#[macro_export]
macro_rules! filters {
    ($(#[$meta:meta])* $visibility:vis enum $set:ident { $($filter:ident),* $(,)? }) => {
        $(#[$meta])*
        $visibility enum $set {
            $(
                #[doc = concat!("`", stringify!($filter), "`.")]
                $filter($filter)
            ),*
        }

        const _: () = {
            use $crate::__private as p;

            impl p::FilterSet for $set {
                const KINDS: &'static [&'static str] = &[$(<$filter as p::Filter>::KIND),*];

                fn read(
                    kind: &str,
                    fields: p::Fields<'_>,
                    at: &p::Pointer<'_>,
                    load: &mut p::Load,
                ) -> Option<Option<Self>> {
                    // The set may be empty.
                    let _ = (kind, &fields, at, &load);
                    $(if kind == <$filter as p::Filter>::KIND {
                        return Some(fields.compile::<$filter>(at, load).map($set::$filter));
                    })*
                    None
                }
                fn denials(&self) -> &'static [p::Denial] {
                    match *self { $($set::$filter(_) => <$filter as p::Filter>::DENIALS),* }
                }
                fn phases(&self) -> p::Phases {
                    match *self { $($set::$filter(ref f) => p::Filter::phases(f)),* }
                }
                fn identity_fields(&self) -> &[p::FieldName] {
                    match *self { $($set::$filter(ref f) => p::Filter::identity_fields(f)),* }
                }
                fn secret_fields(&self) -> &[p::FieldName] {
                    match *self { $($set::$filter(ref f) => p::Filter::secret_fields(f)),* }
                }
                fn kept_fields(&self) -> &[p::FieldName] {
                    match *self { $($set::$filter(ref f) => p::Filter::kept_fields(f)),* }
                }
                fn keeps<H: p::Host>(&self, host: &H) -> bool {
                    let _ = host;
                    match *self { $($set::$filter(ref f) => p::Filter::keeps(f, host)),* }
                }
                fn redact(&mut self, secrets: &[p::FieldName]) {
                    let _ = secrets;
                    match *self { $($set::$filter(ref mut f) => p::Filter::redact(f, secrets)),* }
                }
                fn looks(&self) -> p::Looks {
                    match *self { $($set::$filter(ref f) => p::Filter::looks(f)),* }
                }
                fn meters(&self) -> &'static [p::Meter] {
                    match *self { $($set::$filter(_) => <$filter as p::Filter>::METERS),* }
                }
                fn store(&self) -> Option<&p::StoreSpec> {
                    match *self { $($set::$filter(ref f) => p::Filter::store(f)),* }
                }
                fn on_request<'s, H: p::Host>(
                    &'s self,
                    host: &mut H,
                    request: &mut p::Request<'_>,
                ) -> p::Flow<'s> {
                    let _ = (&host, &request);
                    match *self { $($set::$filter(ref f) => p::Filter::on_request(f, host, request)),* }
                }
                fn on_event<'s, H: p::Host>(
                    &'s self,
                    event: p::Event<'_>,
                    host: &mut H,
                    request: &mut p::Request<'_>,
                ) -> p::Flow<'s> {
                    let _ = (&event, &host, &request);
                    match *self { $($set::$filter(ref f) => p::Filter::on_event(f, event, host, request)),* }
                }
                fn on_gone<H: p::Host>(&self, waiting: p::Waiting, host: &H, home: p::Home) {
                    let _ = (&waiting, &host, &home);
                    match *self { $($set::$filter(ref f) => p::Filter::on_gone(f, waiting, host, home)),* }
                }
                fn on_errand<H: p::Host>(
                    &self,
                    errand: p::Errand,
                    outcome: p::Outcome<'_>,
                    host: &H,
                    home: p::Home,
                ) {
                    let _ = (&errand, &outcome, &host, &home);
                    match *self { $($set::$filter(ref f) => p::Filter::on_errand(f, errand, outcome, host, home)),* }
                }
                fn on_response<H: p::Host>(&self, host: &mut H, response: &mut p::Response<'_>) {
                    let _ = (&host, &response);
                    match *self { $($set::$filter(ref f) => p::Filter::on_response(f, host, response)),* }
                }
                fn replaces_content(&self) -> bool {
                    match *self { $($set::$filter(ref f) => p::Filter::replaces_content(f)),* }
                }
                fn on_content(&self, replacement: p::Replacement, content: p::Content<'_>) -> p::Vec<u8> {
                    let _ = (&replacement, &content);
                    match *self { $($set::$filter(ref f) => p::Filter::on_content(f, replacement, content)),* }
                }
                fn deny_format(&self) -> Option<p::DenyFormat> {
                    match *self { $($set::$filter(ref f) => p::Filter::deny_format(f)),* }
                }
            }
        };
    };
}
