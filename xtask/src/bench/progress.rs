//! What is being measured, as it happens.

use std::fmt;
use std::time::Instant;

/// Prints a line for each step, with the minutes and seconds so far.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
}

impl Progress {
    /// The clock starts.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// A new measure.
    pub(crate) fn heading(&self, what: impl fmt::Display) {
        println!("\n== {what}");
    }

    /// One step is done, or says what it is about to do.
    pub(crate) fn say(&self, what: impl fmt::Display) {
        let seconds = self.started.elapsed().as_secs();
        println!("{:3}:{:02}  {what}", seconds / 60, seconds % 60);
    }
}
