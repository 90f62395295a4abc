//! Pintle's core: authentication and header filters for Envoy, abstract over the host that runs
//! them.
//!
//! Four layers, each of which sees only those above it in this list:
//!
//! | layer | turns | modules |
//! |---|---|---|
//! | syntax | bytes into values | [`syntax`], [`FieldName`] and [`FieldValue`] |
//! | filter | values into a verdict | [`Filter`], [`filter`] |
//! | policy | filters into one answer | [`Policy`] |
//! | host | the proxy into a trait | [`Host`] |
//!
//! There is no clock, no IO, no unsafe code and no panic here. The crates `pintle-wasm` and
//! `pintle-dynamic-module` run a [`Policy`] inside Envoy.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

mod arrival;
mod callout;
pub mod config;
mod content;
mod credentials;
mod denial;
#[cfg(feature = "explain")]
pub mod explain;
mod fields;
pub mod filter;
mod flow;
mod host;
pub mod metrics;
mod path_index;
mod pattern;
mod policy;
mod problem;
mod redaction;
mod scratch;
pub mod store;
mod stream;
pub mod syntax;
#[cfg(feature = "testing")]
pub mod testing;
mod when;

pub use callout::{Callout, CalloutAnswer, CalloutId, DispatchError, Errand, Event, Outcome};
pub use content::{Content, Passage, Replacement};
pub use denial::Denial;
pub use fields::{Field, FieldName, FieldValue};
pub use filter::{Filter, Home, Phases, Request, Response};
pub use flow::{Flow, Reply};
pub use host::{Attribute, Edit, Host, Level, Metric, Repeated, Section, UnixTime};
pub use policy::steps::{NoFurther, Shipped};
pub use policy::{Answer, LocalReply, Mode, Policy};
pub use problem::DenyFormat;
pub use scratch::Scratch;
pub use stream::{Kept, Stream, Waiting};

/// What a filter of one's own is written with.
pub mod prelude {
    pub use crate::config::{Load, Pointer};
    pub use crate::{
        Attribute, Content, Denial, Edit, Field, FieldName, FieldValue, Filter, Flow, Host, Level,
        Phases, Replacement, Reply, Request, Response, Section,
    };
}

/// What [`filters!`] expands to needs these names.
#[doc(hidden)]
pub mod __private {
    pub use crate::arrival::Looks;
    pub use crate::config::{Load, Pointer};
    pub use crate::filter::{Fields, Filter, FilterSet, Home, Phases, Request, Response};
    pub use crate::metrics::Meter;
    pub use crate::problem::DenyFormat;
    pub use crate::store::StoreSpec;
    pub use crate::{
        Content, Denial, Errand, Event, FieldName, Flow, Host, Outcome, Replacement, Waiting,
    };
    pub use alloc::vec::Vec;
}
