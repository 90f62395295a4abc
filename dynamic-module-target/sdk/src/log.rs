//! Envoy's log.

use core::fmt;

use crate::abi::{LogLevel, ModuleBuffer};
use crate::callbacks;

/// Whether lines of this level are logged. The operator can change it while the proxy runs.
#[inline]
#[must_use]
pub fn log_enabled(level: LogLevel) -> bool {
    // SAFETY: takes a number only, from any thread.
    unsafe { callbacks::log_enabled(level.number()) }
}

/// Logs a line, if its level is enabled; from any thread. Escape what comes from a request.
#[track_caller]
pub fn log(level: LogLevel, message: impl AsRef<[u8]>) {
    if !log_enabled(level) {
        return;
    }
    let location = core::panic::Location::caller();
    write(level, message.as_ref(), location.file(), location.line());
}

/// Logs a line, if its level is enabled; nothing is formatted otherwise.
#[track_caller]
pub fn log_args(level: LogLevel, message: fmt::Arguments<'_>) {
    if !log_enabled(level) {
        return;
    }
    let location = core::panic::Location::caller();
    let (file, line) = (location.file(), location.line());
    match message.as_str() {
        Some(message) => write(level, message.as_bytes(), file, line),
        None => write(level, std::fmt::format(message).as_bytes(), file, line),
    }
}

fn write(level: LogLevel, message: &[u8], file: &str, line: u32) {
    let (level, message) = (level.number(), ModuleBuffer::new(message));
    match callbacks::log_v2() {
        // SAFETY: the buffers live until the call returns.
        Some(log_v2) => unsafe {
            log_v2(level, message, ModuleBuffer::new(file.as_bytes()), line);
        },
        // SAFETY: as above.
        None => unsafe { callbacks::log(level, message) },
    }
}

/// Declares the logging macros.
macro_rules! log_macros {
    ($dollar:tt $($name:ident $level:ident;)*) => {$(
        #[doc = concat!("Logs a line at level `", stringify!($level), "`; its arguments are not evaluated when that is off.")]
        #[macro_export]
        macro_rules! $name {
            ($dollar($dollar args:tt)*) => {
                if $crate::log_enabled($crate::LogLevel::$level) {
                    $crate::log_args($crate::LogLevel::$level, ::core::format_args!($dollar($dollar args)*));
                }
            };
        }
    )*};
}

log_macros! { $
    envoy_log_trace Trace;
    envoy_log_debug Debug;
    envoy_log_info Info;
    envoy_log_warn Warn;
    envoy_log_error Error;
    envoy_log_critical Critical;
}
