//! The in-memory host, and what every host runs: the corpus, and the contract of the trait.

pub mod contract;
pub mod corpus;
mod memory;
#[cfg(feature = "explain")]
mod record;
mod run;
mod world;

pub use memory::{LogLine, MemoryHost};
#[cfg(feature = "explain")]
pub use record::Record;
pub use run::{run, run_in, with_outcome};
pub use world::{Sender, SentCallout, Slots, StreamNumber, World};
