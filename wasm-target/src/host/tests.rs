//! The law of [`Host`] on this host.
