//! What the `pintle` command does, for other tools to call.

mod chain;
pub mod check;
pub mod convert;
pub mod explain;
pub mod find;
pub mod input;
pub mod module;
pub mod output;
pub mod place;
pub mod schema;
mod tree;
