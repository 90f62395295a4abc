//! Pintle as a proxy-wasm module: runs a [`Policy`](pintle_core::Policy) inside Envoy's sandbox.
//!
//! With the feature `export`, which is on by default, this crate is the module: `pintle.wasm`, once
//! `pintle module` has written its export table, and `pintle-headers.wasm` with another one. A crate
//! with filters of its own depends on it without that feature and says [`export!`](crate::export) for
//! its own set.
//!
//! | module | holds |
//! |---|---|
//! | [`exports`] | the functions that the host calls |
//! | [`vm`] | what one VM remembers: configurations, requests that wait, and streams between request and response |
//! | [`abi`], [`arena`], [`pairs`] | the functions that the module calls, and the memory they lend |

#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod abi;
pub mod arena;
pub mod exports;
mod held;
mod host;
mod metrics;
pub mod pairs;
mod root;
mod slots;
mod stores;
mod streams;
pub mod vm;

#[cfg(feature = "export")]
export!(pintle_core::NoFurther);
