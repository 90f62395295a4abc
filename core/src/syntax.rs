//! Bytes to values: the grammars that filters and configuration rest on, as pure functions.
//!
//! Nothing here knows a host, a filter or a configuration. Functions that work on request data write
//! into a buffer of the caller, which keeps its capacity; functions that work on configuration
//! return owned values. No error carries or prints its input: it may be a secret.

pub mod authorization;
pub mod base64;
pub mod cache_control;
pub mod duration;
pub mod escape;
pub mod field;
pub mod form;
pub mod host;
pub mod json;
pub mod json_pointer;
pub mod jwt;
pub mod media_type;
pub mod password_hash;
pub mod path;
pub mod template;
