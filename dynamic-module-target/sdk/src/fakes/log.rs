//! What was logged, by thread.

use core::cell::{Cell, RefCell};

use crate::abi::LogLevel;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: LogLevel,
    /// Its text; bytes that are not UTF-8 are replaced.
    pub message: String,
}

thread_local! {
    static LEVEL: Cell<LogLevel> = const { Cell::new(LogLevel::Info) };
    static LINES: RefCell<Vec<LogLine>> = const { RefCell::new(Vec::new()) };
}

/// Sets the level from which lines of this thread are logged; `Info` at first.
pub fn set_log_level(level: LogLevel) {
    LEVEL.set(level);
}

/// The lines of this thread since the last call.
#[must_use]
pub fn take_logs() -> Vec<LogLine> {
    LINES.take()
}

pub(super) fn enabled(level: u32) -> bool {
    level >= LEVEL.get().number() && level < LogLevel::Off.number()
}

pub(super) fn push(level: u32, message: &[u8]) {
    if let Some(level) = LogLevel::from_number(level).filter(|level| enabled(level.number())) {
        let message = String::from_utf8_lossy(message).into_owned();
        LINES.with_borrow_mut(|lines| lines.push(LogLine { level, message }));
    }
}
