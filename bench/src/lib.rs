//! The jobs that the micro benches do, and the host that they do them on.
//!
//! `cargo bench --package pintle-bench` has two benches of the same jobs, so that what counts
//! allocations does not slow down what is timed:
//!
//! - `filters`: how long each takes, by Criterion;
//! - `allocations`: how often each takes heap memory.
//!
//! A new filter adds its jobs to [`jobs::all`].

mod host;
mod job;
pub mod jobs;

pub use host::{LendingHost, Line};
pub use job::{Effects, Job, Run};
