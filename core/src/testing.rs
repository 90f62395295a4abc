//! The in-memory host, and the corpus that every host runs.

pub mod corpus;
mod memory;

pub use memory::{LogLine, MemoryHost, run};
