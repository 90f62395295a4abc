//! What the `pintle` command does, for other tools to call.

pub mod module;
