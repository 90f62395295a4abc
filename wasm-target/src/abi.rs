//! The calls that the module makes to its host, as safe functions.
//!
//! **Own imports for every call.** The `proxy-wasm` crate gives the types; its wrappers are left
//! alone, the rare ones too, for three reasons. They panic on every status that they do not expect,
//! and a host answers *any* call with `InternalFailure` when the operator's list of allowed
//! capabilities lacks it: a log line would cost the worker its VM. They take the status as an enum
//! that lacks five of the ABI's values, which is undefined behaviour as soon as a host sends one. And
//! those that return bytes adopt them as a `Vec`, while the allocator that we export hands out parts
//! of the [`crate::arena`], which must not be freed. Our imports return a plain `u32`.
//!
//! **Lent bytes** live as long as the [`Event`] they were asked for in. A call that returns nothing
//! (an empty value, a map that is not there) lends an empty slice.
//!
//! Off wasm the same functions talk to a host made of data, [`fakes`], one per thread, through the
//! same pointers: tests link, and Miri sees all of the unsafe code here.

use std::cell::Cell;
use std::fmt;
use std::ptr::null_mut;

use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, StreamType};

use crate::arena::Event;
use crate::pairs::{self, Oversized};

cfg_if::cfg_if! {
    if #[cfg(target_family = "wasm")] {
        mod imports;
        use imports as raw;
    } else {
        pub mod fakes;
        use fakes::raw;
    }
}

/// Why a host call did nothing: the statuses of the ABI other than Ok.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No such thing.
    NotFound,
    /// An argument that the host does not accept, or a map that is not there (any more).
    BadArgument,
    /// The value cannot be given as bytes.
    SerializationFailure,
    /// The bytes cannot be read as what they should be.
    ParseFailure,
    /// An expression that the host does not accept.
    BadExpression,
    /// An address outside of the module's memory, or memory ran out.
    InvalidMemoryAccess,
    /// Nothing there.
    Empty,
    /// Somebody else has changed the value.
    CasMismatch,
    /// A result of another kind than asked for.
    ResultMismatch,
    /// Failed within the host, or not among the capabilities that the operator allows.
    InternalFailure,
    /// The peer is gone.
    BrokenConnection,
    /// The host does not offer this call.
    Unimplemented,
    /// A number that the ABI does not name.
    Other(u32),
}

impl Status {
    /// What a host's answer means; zero is Ok.
    pub const fn check(code: u32) -> Result<(), Self> {
        Err(match code {
            0 => return Ok(()),
            1 => Self::NotFound,
            2 => Self::BadArgument,
            3 => Self::SerializationFailure,
            4 => Self::ParseFailure,
            5 => Self::BadExpression,
            6 => Self::InvalidMemoryAccess,
            7 => Self::Empty,
            8 => Self::CasMismatch,
            9 => Self::ResultMismatch,
            10 => Self::InternalFailure,
            11 => Self::BrokenConnection,
            12 => Self::Unimplemented,
            other => Self::Other(other),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::BadArgument => "bad argument",
            Self::SerializationFailure => "serialization failure",
            Self::ParseFailure => "parse failure",
            Self::BadExpression => "bad expression",
            Self::InvalidMemoryAccess => "invalid memory access",
            Self::Empty => "empty",
            Self::CasMismatch => "changed by somebody else",
            Self::ResultMismatch => "result mismatch",
            Self::InternalFailure => "internal failure, or not an allowed capability",
            Self::BrokenConnection => "broken connection",
            Self::Unimplemented => "not implemented by this host",
            Self::Other(code) => return write!(f, "status {code}"),
        })
    }
}

impl std::error::Error for Status {}

/// Why no callout was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalloutError {
    /// The host would have taken its fields for none at all.
    Fields(Oversized),
    /// The host refused.
    Host(Status),
}

/// A value in the data that the plug-ins of one proxy share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SharedValue<'e> {
    /// What somebody left there. Every plug-in of the proxy may have.
    pub bytes: &'e [u8],
    /// What [`set_shared_data`] takes to replace this very value.
    pub version: u32,
}

/// Why no local reply was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// The host would have sent it without any of its fields.
    Fields(Oversized),
    /// The host refused.
    Host(Status),
}

/// Only a length, since a value may be a secret.
impl fmt::Debug for SharedValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedValue({} bytes, version {})", self.bytes.len(), self.version)
    }
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields(oversized) => write!(f, "local reply with {oversized}"),
            Self::Host(status) => write!(f, "local reply refused: {status}"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// All fields of `map`, to be read with [`crate::pairs::Pairs::parse`]; empty if the map is not there.
pub fn header_map_pairs(event: &Event, map: MapType) -> Result<&[u8], Status> {
    // SAFETY: the closure passes on the two places of `lend`, and the host keeps to `lend`'s terms.
    unsafe { lend(event, |data, size| raw::proxy_get_header_map_pairs(map as u32, data, size)) }
}

/// Whether `map` has a line of this name. It costs a tenth of reading all of them where there is none.
pub fn has_header_map_value(event: &Event, map: MapType, name: &[u8]) -> Result<bool, Status> {
    // SAFETY: as in `header_map_pairs`; the host also reads `name` during the call.
    let first = unsafe {
        lend(event, |data, size| {
            raw::proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
        })
    };
    match first {
        Ok(_) => Ok(true),
        Err(Status::NotFound) => Ok(false),
        Err(status) => Err(status),
    }
}

/// Adds a field line after those that there are. The host checks neither name nor value.
pub fn add_header_map_value(map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: the host reads both slices during the call, and nothing else.
    Status::check(unsafe {
        raw::proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Sets a field to one line; repeats go. The host checks neither name nor value.
pub fn replace_header_map_value(map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: the host reads both slices during the call, and nothing else.
    Status::check(unsafe {
        raw::proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes all lines of a field; Ok if there are none.
pub fn remove_header_map_value(map: MapType, name: &[u8]) -> Result<(), Status> {
    // SAFETY: the host reads the slice during the call, and nothing else.
    Status::check(unsafe {
        raw::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len())
    })
}

/// Answers the request here, once the callback has returned; of two replies the first wins.
///
/// `details` goes to the access log (`%RESPONSE_CODE_DETAILS%`), the gRPC status is left to the host,
/// which maps it from the HTTP status.
pub fn send_local_response<'f>(
    status: u16,
    details: &[u8],
    body: &[u8],
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
) -> Result<(), ReplyError> {
    /// Left to the host.
    const GRPC_STATUS: i32 = -1;

    let sent = with_list(fields, |list| {
        // SAFETY: the host reads the three slices during the call, and nothing else.
        Status::check(unsafe {
            raw::proxy_send_local_response(
                u32::from(status),
                details.as_ptr(),
                details.len(),
                body.as_ptr(),
                body.len(),
                list.as_ptr(),
                list.len(),
                GRPC_STATUS,
            )
        })
    });
    sent.map_err(ReplyError::Fields)?.map_err(ReplyError::Host)
}

/// Lets a message go on that a callback has held, once the callback that runs has returned; its
/// fields are gone at once.
pub fn continue_stream(stream: StreamType) -> Result<(), Status> {
    // SAFETY: a number only.
    Status::check(unsafe { raw::proxy_continue_stream(stream as u32) })
}

/// Ends a stream at once, with whatever has gone out of it: a reset, or the connection closed, once the
/// callback that runs has returned.
pub fn close_stream(stream: StreamType) -> Result<(), Status> {
    // SAFETY: a number only.
    Status::check(unsafe { raw::proxy_close_stream(stream as u32) })
}

/// Sends a request to a cluster, with `:method`, `:path` and `:authority` among its fields; what it
/// is called by when it ends. It belongs to the root context, whatever context is in effect.
///
/// `BadArgument` where there is no such cluster, `InternalFailure` where sending failed at once. The
/// host gives up after `timeout_ms` milliseconds; zero is never.
pub fn http_call<'f>(
    cluster: &str,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    body: &[u8],
    timeout_ms: u32,
) -> Result<u32, CalloutError> {
    /// No trailers, as a list of pairs.
    const NO_TRAILERS: [u8; 4] = [0; 4];

    let mut token = 0;
    let called = with_list(fields, |list| {
        // SAFETY: the host reads the four slices and writes one number to the place it is given.
        Status::check(unsafe {
            raw::proxy_http_call(
                cluster.as_ptr(),
                cluster.len(),
                list.as_ptr(),
                list.len(),
                body.as_ptr(),
                body.len(),
                NO_TRAILERS.as_ptr(),
                NO_TRAILERS.len(),
                timeout_ms,
                &raw mut token,
            )
        })
    });
    called.map_err(CalloutError::Fields)?.map_err(CalloutError::Host)?;
    Ok(token)
}

/// A property of the stream or of the plug-in, `path` with NUL between its segments
/// (`b"source\0address"`); nothing if it is not set.
pub fn property<'e>(event: &'e Event, path: &[u8]) -> Result<Option<&'e [u8]>, Status> {
    // SAFETY: as in `header_map_pairs`; the host also reads `path` during the call.
    let value = unsafe {
        lend(event, |data, size| raw::proxy_get_property(path.as_ptr(), path.len(), data, size))
    };
    match value {
        Ok(value) => Ok(Some(value)),
        Err(Status::NotFound) => Ok(None),
        Err(status) => Err(status),
    }
}

/// Sets the filter state `wasm.<path>` of the stream.
pub fn set_property(path: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: the host reads both slices during the call, and nothing else.
    Status::check(unsafe {
        raw::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len())
    })
}

/// At most `max` bytes of a buffer, from `start` on. The configurations are there in the callbacks
/// that are about them only; later the host answers `NotFound`. Of content there is nothing outside of
/// its callbacks, which the host does not call an error.
pub fn buffer_bytes(
    event: &Event,
    buffer: BufferType,
    start: usize,
    max: usize,
) -> Result<&[u8], Status> {
    // SAFETY: as in `header_map_pairs`.
    unsafe {
        lend(event, |data, size| raw::proxy_get_buffer_bytes(buffer as u32, start, max, data, size))
    }
}

/// Puts `data` in the place of all that a buffer has, in a callback about it; `BadArgument` where there
/// is no buffer. In the callback about trailers there is one if the content before them is held.
pub fn replace_buffer(buffer: BufferType, data: &[u8]) -> Result<(), Status> {
    // SAFETY: the host reads the slice during the call, and nothing else.
    Status::check(unsafe {
        raw::proxy_set_buffer_bytes(buffer as u32, 0, usize::MAX, data.as_ptr(), data.len())
    })
}

/// Writes a line to the host's log. There is nobody to tell if that fails.
pub fn log(level: LogLevel, message: &[u8]) {
    // SAFETY: the host reads the slice during the call, and nothing else.
    let _ = unsafe { raw::proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// The lowest level that the host's log takes; `Info`, Envoy's own default, where it does not say.
#[must_use]
pub fn log_level() -> LogLevel {
    let mut level = LogLevel::Info as u32;
    // SAFETY: the host writes one number to the place it is given.
    let _ = unsafe { raw::proxy_get_log_level(&raw mut level) };
    match level {
        0 => LogLevel::Trace,
        1 => LogLevel::Debug,
        3 => LogLevel::Warn,
        4 => LogLevel::Error,
        // Above critical, should a host say "off" that way: the least there is.
        5.. => LogLevel::Critical,
        _ => LogLevel::Info,
    }
}

/// A metric's number. Each new name is a series for the life of the process.
pub fn define_metric(kind: MetricType, name: &[u8]) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: the host reads the slice and writes one number to the place it is given.
    Status::check(unsafe {
        raw::proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id)
    })?;
    Ok(id)
}

/// Adds to a metric; a counter takes what is above zero only.
pub fn increment_metric(id: u32, n: i64) -> Result<(), Status> {
    // SAFETY: numbers only.
    Status::check(unsafe { raw::proxy_increment_metric(id, n) })
}

/// Milliseconds between two ticks of this root context; zero stops them.
pub fn set_tick_period(milliseconds: u32) -> Result<(), Status> {
    // SAFETY: a number only.
    Status::check(unsafe { raw::proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Nanoseconds since 1970.
pub fn current_time_nanoseconds() -> Result<u64, Status> {
    let mut now = 0;
    // SAFETY: the host writes one number to the place it is given.
    Status::check(unsafe { raw::proxy_get_current_time_nanoseconds(&raw mut now) })?;
    Ok(now)
}

/// Records a value in a histogram.
pub fn record_metric(id: u32, value: u64) -> Result<(), Status> {
    // SAFETY: numbers only.
    Status::check(unsafe { raw::proxy_record_metric(id, value) })
}

/// Reads a value that plug-ins of this proxy share; nothing if nobody has ever set it.
pub fn shared_data<'e>(event: &'e Event, key: &[u8]) -> Result<Option<SharedValue<'e>>, Status> {
    let mut version = 0;
    // SAFETY: as in `header_map_pairs`; the host also reads `key` during the call, and writes one
    // number to the place it is given.
    let bytes = unsafe {
        lend(event, |data, size| {
            raw::proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version)
        })
    };
    match bytes {
        Ok(bytes) => Ok(Some(SharedValue { bytes, version })),
        Err(Status::NotFound) => Ok(None),
        Err(status) => Err(status),
    }
}

/// Sets a value that plug-ins of this proxy share. The key stays for the life of the process. With a
/// `version` other than zero it does so only where that is still the value's; else `CasMismatch`.
pub fn set_shared_data(key: &[u8], value: &[u8], version: u32) -> Result<(), Status> {
    // SAFETY: the host reads both slices during the call, and nothing else.
    Status::check(unsafe {
        raw::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version)
    })
}

/// Calls a function that this host has beyond the ABI; `NotFound` on a host without it.
pub fn call_foreign_function<'e>(
    event: &'e Event,
    name: &[u8],
    arguments: &[u8],
) -> Result<&'e [u8], Status> {
    // SAFETY: as in `header_map_pairs`; the host also reads both slices during the call.
    unsafe {
        lend(event, |data, size| {
            raw::proxy_call_foreign_function(
                name.as_ptr(),
                name.len(),
                arguments.as_ptr(),
                arguments.len(),
                data,
                size,
            )
        })
    }
}

/// Makes the calls that follow speak of another context; `BadArgument` if it has gone.
pub fn set_effective_context(id: u32) -> Result<(), Status> {
    // SAFETY: a number only.
    Status::check(unsafe { raw::proxy_set_effective_context(id) })
}

/// Serialises `fields` for a call. The memory is kept for the next one, without what was in it.
fn with_list<'f, R>(
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    call: impl FnOnce(&[u8]) -> R,
) -> Result<R, Oversized> {
    thread_local! {
        static LIST: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    /// The most that is kept, in bytes: many times the fields of a denial.
    const KEEP_BYTES: usize = 16 * 1024;

    let mut list = LIST.try_with(Cell::take).unwrap_or_default();
    let called = pairs::write(fields, &mut list).map(|()| call(&list));
    // Fields of a callout are secrets.
    list.fill(0);
    if list.capacity() <= KEEP_BYTES {
        let _ = LIST.try_with(|kept| kept.set(list));
    }
    called
}

/// Makes a call that returns bytes, and lends them for as long as the event lasts.
///
/// # Safety
///
/// If `call` answers Ok it has written nothing to the two places, or the size, and the address of so
/// many initialised bytes that our allocator has handed out during `event` and that nobody writes to
/// again before the end of it.
unsafe fn lend(
    event: &Event,
    call: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<&[u8], Status> {
    let _ = event;
    let mut data = null_mut();
    let mut size = 0;
    Status::check(call(&raw mut data, &raw mut size))?;
    if data.is_null() || size == 0 {
        return Ok(&[]);
    }
    // SAFETY: the caller vouches for address and size; the arena keeps the bytes until `event` ends.
    Ok(unsafe { std::slice::from_raw_parts(data, size) })
}

#[cfg(test)]
mod tests;
