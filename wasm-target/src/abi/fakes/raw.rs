//! The functions of [`super::super::imports`], on the fake host: the pointers end here.
//!
//! They are used as the ABI says and no further: what the module passes is read during the call, and
//! what is returned is written to memory of the module's own allocator.

use proxy_wasm::types::LogLevel;

use super::calls::INTERNAL_FAILURE;
use super::{Callout, FakeHost, Fields, HOST, LocalReply};
use crate::arena;

/// The status when the module has no memory for what is returned.
const INVALID_MEMORY_ACCESS: u32 = 6;

pub(crate) unsafe fn proxy_log(level: u32, message: *const u8, size: usize) -> u32 {
    // SAFETY: the caller passes a slice.
    let message = unsafe { bytes(message, size) };
    status(ask("proxy_log", |host| host.log(level, message)))
}

pub(crate) unsafe fn proxy_get_log_level(level: *mut u32) -> u32 {
    let answer = ask("proxy_get_log_level", |host| Ok(host.log_level));
    // SAFETY: the caller passes a place for a number.
    status(answer.map(|answer: LogLevel| unsafe { level.write(answer as u32) }))
}

pub(crate) unsafe fn proxy_get_current_time_nanoseconds(now: *mut u64) -> u32 {
    let answer = ask("proxy_get_current_time_nanoseconds", |host| Ok(host.now_nanoseconds));
    // SAFETY: the caller passes a place for a number.
    status(answer.map(|answer| unsafe { now.write(answer) }))
}

pub(crate) unsafe fn proxy_set_tick_period_milliseconds(period: u32) -> u32 {
    status(ask("proxy_set_tick_period_milliseconds", |host| host.set_tick_period(period)))
}

pub(crate) unsafe fn proxy_get_header_map_pairs(
    map: u32,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let answer = ask_bytes("proxy_get_header_map_pairs", |host| host.pairs(map));
    // SAFETY: the caller passes two places.
    unsafe { give(answer, data, size) }
}

pub(crate) unsafe fn proxy_get_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: the caller passes a slice.
    let name = unsafe { bytes(name, name_size) };
    let answer = ask_bytes("proxy_get_header_map_value", |host| host.first_value(map, name));
    // SAFETY: the caller passes two places.
    unsafe { give(answer, data, size) }
}

pub(crate) unsafe fn proxy_add_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the caller passes two slices.
    let (name, value) = unsafe { (bytes(name, name_size), bytes(value, value_size)) };
    status(ask("proxy_add_header_map_value", |host| {
        host.edit(map, |fields| {
            fields.add(name, value);
        })
    }))
}

pub(crate) unsafe fn proxy_replace_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the caller passes two slices.
    let (name, value) = unsafe { (bytes(name, name_size), bytes(value, value_size)) };
    status(ask("proxy_replace_header_map_value", |host| {
        host.edit(map, |fields| {
            fields.replace(name, value);
        })
    }))
}

pub(crate) unsafe fn proxy_remove_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
) -> u32 {
    // SAFETY: the caller passes a slice.
    let name = unsafe { bytes(name, name_size) };
    status(ask("proxy_remove_header_map_value", |host| {
        host.edit(map, |fields| {
            fields.remove(name);
        })
    }))
}

pub(crate) unsafe fn proxy_get_buffer_bytes(
    buffer: u32,
    start: usize,
    max: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let answer = ask_bytes("proxy_get_buffer_bytes", |host| host.buffer(buffer, start, max));
    // SAFETY: the caller passes two places.
    unsafe { give(answer, data, size) }
}

pub(crate) unsafe fn proxy_set_buffer_bytes(
    buffer: u32,
    start: usize,
    size: usize,
    data: *const u8,
    data_size: usize,
) -> u32 {
    // SAFETY: the caller passes a slice.
    let data = unsafe { bytes(data, data_size) };
    status(ask("proxy_set_buffer_bytes", |host| host.set_buffer(buffer, start, size, data)))
}

#[expect(clippy::too_many_arguments, reason = "the ABI's")]
pub(crate) unsafe fn proxy_send_local_response(
    code: u32,
    details: *const u8,
    details_size: usize,
    body: *const u8,
    body_size: usize,
    fields: *const u8,
    fields_size: usize,
    grpc_status: i32,
) -> u32 {
    // SAFETY: the caller passes three slices.
    let (details, body, list) = unsafe {
        (bytes(details, details_size), bytes(body, body_size), bytes(fields, fields_size))
    };
    let reply = LocalReply {
        status: code,
        details: details.to_vec(),
        body: body.to_vec(),
        fields: Fields::default(),
        grpc_status,
    };
    status(ask("proxy_send_local_response", |host| host.reply(reply, list)))
}

pub(crate) unsafe fn proxy_continue_stream(stream: u32) -> u32 {
    status(ask("proxy_continue_stream", |host| host.continue_stream(stream)))
}

pub(crate) unsafe fn proxy_close_stream(stream: u32) -> u32 {
    status(ask("proxy_close_stream", |host| host.close_stream(stream)))
}

#[expect(clippy::too_many_arguments, reason = "the ABI's")]
pub(crate) unsafe fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    fields: *const u8,
    fields_size: usize,
    body: *const u8,
    body_size: usize,
    trailers: *const u8,
    trailers_size: usize,
    timeout: u32,
    token: *mut u32,
) -> u32 {
    // SAFETY: the caller passes four slices.
    let (cluster, list, body, _) = unsafe {
        (
            bytes(cluster, cluster_size),
            bytes(fields, fields_size),
            bytes(body, body_size),
            bytes(trailers, trailers_size),
        )
    };
    let callout = Callout {
        root: 0,
        cluster: cluster.to_vec(),
        fields: Fields::default(),
        body: body.to_vec(),
        timeout_ms: timeout,
    };
    let answer = ask("proxy_http_call", |host| host.http_call(callout, list));
    // SAFETY: the caller passes a place for a number.
    status(answer.map(|answer| unsafe { token.write(answer) }))
}

pub(crate) unsafe fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    version: *mut u32,
) -> u32 {
    // SAFETY: the caller passes a slice.
    let key = unsafe { bytes(key, key_size) };
    let mut number = 0;
    let answer = ask_bytes("proxy_get_shared_data", |host| {
        let (value, version) = host.shared_data.value(key)?;
        number = version;
        Ok(value)
    });
    // SAFETY: the caller passes two places, and one for a number.
    unsafe {
        version.write(number);
        give(answer, data, size)
    }
}

pub(crate) unsafe fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    version: u32,
) -> u32 {
    // SAFETY: the caller passes two slices.
    let (key, value) = unsafe { (bytes(key, key_size), bytes(value, value_size)) };
    status(ask("proxy_set_shared_data", |host| host.shared_data.set(key, value, version)))
}

pub(crate) unsafe fn proxy_get_property(
    path: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: the caller passes a slice.
    let path = unsafe { bytes(path, path_size) };
    let answer = ask_bytes("proxy_get_property", |host| host.property(path));
    // SAFETY: the caller passes two places.
    unsafe { give(answer, data, size) }
}

pub(crate) unsafe fn proxy_set_property(
    path: *const u8,
    path_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the caller passes two slices.
    let (path, value) = unsafe { (bytes(path, path_size), bytes(value, value_size)) };
    status(ask("proxy_set_property", |host| host.set_property(path, value)))
}

pub(crate) unsafe fn proxy_define_metric(
    kind: u32,
    name: *const u8,
    name_size: usize,
    id: *mut u32,
) -> u32 {
    // SAFETY: the caller passes a slice.
    let name = unsafe { bytes(name, name_size) };
    let answer = ask("proxy_define_metric", |host| host.metrics.define(kind, name));
    // SAFETY: the caller passes a place for a number.
    status(answer.map(|answer| unsafe { id.write(answer) }))
}

pub(crate) unsafe fn proxy_increment_metric(id: u32, n: i64) -> u32 {
    status(ask("proxy_increment_metric", |host| host.metrics.increment(id, n)))
}

pub(crate) unsafe fn proxy_record_metric(id: u32, value: u64) -> u32 {
    status(ask("proxy_record_metric", |host| host.metrics.record(id, value)))
}

pub(crate) unsafe fn proxy_call_foreign_function(
    name: *const u8,
    name_size: usize,
    arguments: *const u8,
    arguments_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: the caller passes two slices.
    let (name, arguments) = unsafe { (bytes(name, name_size), bytes(arguments, arguments_size)) };
    let answer =
        ask_bytes("proxy_call_foreign_function", |host| host.call_foreign(name, arguments));
    // SAFETY: the caller passes two places.
    unsafe { give(answer, data, size) }
}

pub(crate) unsafe fn proxy_set_effective_context(context: u32) -> u32 {
    status(ask("proxy_set_effective_context", |host| host.set_effective(context)))
}

/// Records the call and makes it, unless the test has it refused or holds the host itself.
fn ask<R>(
    call: &'static str,
    answer: impl FnOnce(&mut FakeHost) -> Result<R, u32>,
) -> Result<R, u32> {
    let asked = HOST.try_with(|host| {
        let mut host = host.try_borrow_mut().map_err(|_| INTERNAL_FAILURE)?;
        host.calls.push(call);
        match host.refused.get(call) {
            Some(code) => Err(*code),
            None => answer(&mut host),
        }
    });
    asked.unwrap_or(Err(INTERNAL_FAILURE))
}

/// The same for a call that returns bytes; the test may have forged them.
fn ask_bytes(
    call: &'static str,
    answer: impl FnOnce(&mut FakeHost) -> Result<Vec<u8>, u32>,
) -> Result<Vec<u8>, u32> {
    ask(call, |host| match host.forged.get(call) {
        Some(bytes) => Ok(bytes.clone()),
        None => answer(host),
    })
}

fn status(answer: Result<(), u32>) -> u32 {
    answer.err().unwrap_or(0)
}

/// # Safety
///
/// `data` and `size` are a slice that lives during the call.
unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts(data, size) }
}

/// Returns bytes the way the host does: into memory from the module's allocator, and no address and
/// no size if there are none.
///
/// # Safety
///
/// `data` and `size` may be written.
unsafe fn give(answer: Result<Vec<u8>, u32>, data: *mut *mut u8, size: *mut usize) -> u32 {
    let value = match answer {
        Ok(value) => value,
        Err(code) => return code,
    };
    let mut address = std::ptr::null_mut();
    if !value.is_empty() {
        address = arena::allocate(value.len());
        if address.is_null() {
            return INVALID_MEMORY_ACCESS;
        }
        // SAFETY: the allocator has handed out so many bytes, to us alone.
        unsafe { address.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
    }
    // SAFETY: the caller vouches for the two places.
    unsafe {
        data.write(address);
        size.write(value.len());
    }
    0
}
