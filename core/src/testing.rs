//! The in-memory host, and what every host runs: the corpus, and the contract of the trait.

pub mod contract;
pub mod corpus;
mod memory;

pub use memory::{LogLine, MemoryHost, run};
