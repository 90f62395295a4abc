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

    /// How long it has taken so far.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// A new measure.
    pub(crate) fn heading(&self, what: impl fmt::Display) {
        println!("\n== {what}");
    }

    /// One step is done, or says what it is about to do.
    pub(crate) fn say(&self, what: impl fmt::Display) {
        let seconds = self.seconds() as u64;
        println!("{:3}:{:02}  {what}", seconds / 60, seconds % 60);
    }
}
