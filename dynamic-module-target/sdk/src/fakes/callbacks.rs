//! The callbacks of the Envoy in memory.
//!
//! # Safety
//!
//! All of them are called through the table only, with what `EnvoyHttpFilter` and its like pass: handles
//! that [`super::FakeEnvoy`] made and that are alive, buffers of the module, places to write to.

use super::{ConfigHost, Fields, LocalReply, StreamHost, log, name, raw};
use crate::abi::{
    AttributeId, ConfigEnvoy, FilterEnvoy, MetricsResult, ModuleBuffer, ModuleHeader,
    RawEnvoyBuffer, RawEnvoyHeader,
};
use crate::callbacks::Callbacks;

pub(super) fn install() {
    let fakes = Callbacks {
        log: write_log,
        log_enabled,
        define_counter,
        increment_counter,
        get_header,
        get_headers_size,
        get_headers,
        add_header,
        set_header,
        send_response,
        set_dynamic_metadata_string,
        get_attribute_string,
        get_attribute_int,
        get_attribute_bool,
        clear_route_cache,
        log_v2: Some(log_v2),
    };
    // SAFETY: they do what the ABI says, on handles that the fake host made.
    unsafe { crate::callbacks::install(&fakes) }
}

/// # Safety
///
/// `filter` is the handle of a stream that is alive for `'a`.
unsafe fn stream<'a>(filter: FilterEnvoy) -> &'a StreamHost {
    // SAFETY: passed on to the caller.
    unsafe { &*filter.cast::<StreamHost>() }
}

/// # Safety
///
/// `config` is the handle of a configuration that is alive for `'a`.
unsafe fn config<'a>(config: ConfigEnvoy) -> &'a ConfigHost {
    // SAFETY: passed on to the caller.
    unsafe { &*config.cast::<ConfigHost>() }
}

fn text(buffer: ModuleBuffer<'_>) -> String {
    String::from_utf8_lossy(buffer.bytes().unwrap_or_default()).into_owned()
}

unsafe extern "C" fn write_log(level: u32, message: ModuleBuffer<'_>) {
    log::push(level, message.bytes().unwrap_or_default());
}

unsafe extern "C" fn log_v2(level: u32, message: ModuleBuffer<'_>, _: ModuleBuffer<'_>, _: u32) {
    log::push(level, message.bytes().unwrap_or_default());
}

unsafe extern "C" fn log_enabled(level: u32) -> bool {
    log::enabled(level)
}

unsafe extern "C" fn define_counter(
    envoy: ConfigEnvoy,
    name: ModuleBuffer<'_>,
    _label_names: *mut ModuleBuffer<'_>,
    label_names_length: usize,
    id: *mut usize,
) -> u32 {
    // SAFETY: see the module.
    let host = unsafe { config(envoy) };
    if host.frozen.get() {
        return MetricsResult::Frozen.number();
    }
    assert_eq!(label_names_length, 0, "labels are not covered");
    let mut counters = host.counters.borrow_mut();
    counters.push((text(name), 0));
    // SAFETY: see the module.
    unsafe { id.write(counters.len()) };
    MetricsResult::Success.number()
}

unsafe extern "C" fn increment_counter(
    filter: FilterEnvoy,
    id: usize,
    _label_values: *mut ModuleBuffer<'_>,
    _label_values_length: usize,
    value: u64,
) -> u32 {
    // SAFETY: see the module.
    let host = unsafe { stream(filter) };
    let mut counters = host.config.counters.borrow_mut();
    match id.checked_sub(1).and_then(|index| counters.get_mut(index)) {
        Some((_, sum)) => {
            *sum += value;
            MetricsResult::Success.number()
        }
        None => MetricsResult::MetricNotFound.number(),
    }
}

unsafe extern "C" fn get_header(
    filter: FilterEnvoy,
    map: u32,
    key: ModuleBuffer<'_>,
    result: *mut RawEnvoyBuffer,
    index: usize,
    count: *mut usize,
) -> bool {
    // SAFETY: see the module.
    let host = unsafe { stream(filter) };
    let key = name(key.bytes().unwrap_or_default());
    let section = host.section(map).map(|section| section.borrow());
    let fields = section.as_ref().and_then(|section| section.as_deref()).unwrap_or_default();
    let mut values = fields.iter().filter(|field| field.0 == key).map(|field| raw(&field.1));
    let all = values.clone().count();
    let value = values.nth(index);
    // SAFETY: see the module; the count may be null.
    unsafe {
        if !count.is_null() {
            count.write(all);
        }
        result.write(value.unwrap_or(RawEnvoyBuffer::EMPTY));
    }
    value.is_some()
}

unsafe extern "C" fn get_headers_size(filter: FilterEnvoy, map: u32) -> usize {
    // SAFETY: see the module.
    let section = unsafe { stream(filter) }.section(map);
    section.and_then(|section| section.borrow().as_ref().map(Vec::len)).unwrap_or(0)
}

unsafe extern "C" fn get_headers(
    filter: FilterEnvoy,
    map: u32,
    result: *mut RawEnvoyHeader,
) -> bool {
    // SAFETY: see the module.
    let section = unsafe { stream(filter) }.section(map).map(|section| section.borrow());
    let Some(fields) = section.as_ref().and_then(|section| section.as_ref()) else {
        return false;
    };
    for (index, (key, value)) in fields.iter().enumerate() {
        let header = RawEnvoyHeader { key: raw(key), value: raw(value) };
        // SAFETY: the caller has room for as many as `get_headers_size` said.
        unsafe { result.add(index).write(header) };
    }
    true
}

/// Changes a section, and moves all of it, so that nothing lent before is valid.
///
/// # Safety
///
/// See the module.
unsafe fn edit(filter: FilterEnvoy, map: u32, change: impl FnOnce(&mut Fields)) -> bool {
    // SAFETY: passed on to the caller.
    let section = unsafe { stream(filter) }.section(map);
    let Some(mut section) = section.map(|section| section.borrow_mut()) else {
        return false;
    };
    let Some(fields) = section.as_mut() else {
        return false;
    };
    let mut moved = fields.clone();
    change(&mut moved);
    *fields = moved;
    true
}

unsafe extern "C" fn add_header(
    filter: FilterEnvoy,
    map: u32,
    key: ModuleBuffer<'_>,
    value: ModuleBuffer<'_>,
) -> bool {
    let (key, value) = (name(key.bytes().unwrap_or_default()), value.bytes().unwrap_or_default());
    // SAFETY: see the module.
    !value.is_empty() && unsafe { edit(filter, map, |fields| fields.push((key, value.to_vec()))) }
}

unsafe extern "C" fn set_header(
    filter: FilterEnvoy,
    map: u32,
    key: ModuleBuffer<'_>,
    value: ModuleBuffer<'_>,
) -> bool {
    let key = name(key.bytes().unwrap_or_default());
    // Envoy to 1.40 removes the field for length zero too; that the SDK never asks for it is tested here.
    let value = value.bytes();
    assert_ne!(value, Some(&b""[..]), "an empty value");
    // SAFETY: see the module.
    unsafe {
        edit(filter, map, |fields| {
            let place = fields.iter().position(|field| field.0 == key).unwrap_or(fields.len());
            fields.retain(|field| field.0 != key);
            if let Some(value) = value {
                fields.insert(place.min(fields.len()), (key, value.to_vec()));
            }
        })
    }
}

unsafe extern "C" fn send_response(
    filter: FilterEnvoy,
    status: u32,
    headers: *mut ModuleHeader<'_>,
    headers_size: usize,
    body: ModuleBuffer<'_>,
    details: ModuleBuffer<'_>,
) {
    // SAFETY: see the module.
    let (host, headers) =
        unsafe { (stream(filter), core::slice::from_raw_parts(headers, headers_size)) };
    let bytes = |buffer: ModuleBuffer<'_>| buffer.bytes().unwrap_or_default().to_vec();
    host.replies.borrow_mut().push(LocalReply {
        status,
        headers: headers
            .iter()
            .map(|h| (bytes(h.key).to_ascii_lowercase(), bytes(h.value)))
            .collect(),
        body: bytes(body),
        details: text(details),
    });
    host.announce(status, &bytes(details));
    if host.destroy_in_reply.get() {
        host.destroy_module();
    }
}

unsafe extern "C" fn set_dynamic_metadata_string(
    filter: FilterEnvoy,
    namespace: ModuleBuffer<'_>,
    key: ModuleBuffer<'_>,
    value: ModuleBuffer<'_>,
) {
    // SAFETY: see the module.
    let host = unsafe { stream(filter) };
    let value = value.bytes().unwrap_or_default().to_vec();
    host.metadata.borrow_mut().insert((text(namespace), text(key)), value);
}

unsafe extern "C" fn get_attribute_string(
    filter: FilterEnvoy,
    id: u32,
    result: *mut RawEnvoyBuffer,
) -> bool {
    // SAFETY: see the module.
    let host = unsafe { stream(filter) };
    let value =
        AttributeId::from_number(id).and_then(|id| match host.attributes.strings.get(&id) {
            Some(value) => Some(raw(value)),
            None => derived(host, id).map(|value| {
                let mut kept = host.derived.borrow_mut();
                kept.push(value.into_boxed_slice());
                kept.last().map_or(RawEnvoyBuffer::EMPTY, |value| raw(value))
            }),
        });
    // SAFETY: see the module.
    unsafe { result.write(value.unwrap_or(RawEnvoyBuffer::EMPTY)) };
    value.is_some()
}

/// The attributes that Envoy reads from the request's fields.
fn derived(host: &StreamHost, id: AttributeId) -> Option<Vec<u8>> {
    let request = host.request.borrow();
    let field = |name: &[u8]| {
        let found = request.as_ref()?.iter().find(|field| field.0 == name);
        found.map(|field| field.1.clone())
    };
    let path =
        |wanted: usize| Some(field(b":path")?.splitn(2, |b| *b == b'?').nth(wanted)?.to_vec());
    match id {
        AttributeId::RequestPath => field(b":path"),
        AttributeId::RequestUrlPath => path(0),
        AttributeId::RequestQuery => path(1),
        AttributeId::RequestHost => field(b":authority"),
        AttributeId::RequestScheme => field(b":scheme"),
        AttributeId::RequestMethod => field(b":method"),
        AttributeId::RequestReferer => field(b"referer"),
        AttributeId::RequestUserAgent => field(b"user-agent"),
        AttributeId::RequestId => field(b"x-request-id"),
        _ => None,
    }
}

unsafe extern "C" fn get_attribute_int(filter: FilterEnvoy, id: u32, result: *mut u64) -> bool {
    // SAFETY: see the module.
    let host = unsafe { stream(filter) };
    match AttributeId::from_number(id).and_then(|id| host.attributes.ints.get(&id)) {
        Some(value) => {
            // SAFETY: see the module.
            unsafe { result.write(*value) };
            true
        }
        None => false,
    }
}

unsafe extern "C" fn get_attribute_bool(filter: FilterEnvoy, id: u32, result: *mut bool) -> bool {
    // SAFETY: see the module.
    let host = unsafe { stream(filter) };
    match AttributeId::from_number(id).and_then(|id| host.attributes.bools.get(&id)) {
        Some(value) => {
            // SAFETY: see the module.
            unsafe { result.write(*value) };
            true
        }
        None => false,
    }
}

unsafe extern "C" fn clear_route_cache(filter: FilterEnvoy) {
    // SAFETY: see the module.
    let host = unsafe { stream(filter) };
    host.route_cache_clears.set(host.route_cache_clears.get() + 1);
}
