//! What the filters cost: to come.
