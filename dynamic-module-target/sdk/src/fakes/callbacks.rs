//! The callbacks of the Envoy in memory.
//!
//! # Safety
//!
//! All of them are called through the table only, with what `EnvoyHttpFilter` and its like pass: handles
//! that [`super::FakeEnvoy`] made and that are alive, buffers of the module, places to write to.

use core::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use super::callouts::Started;
use super::stream::StreamHost;
use super::{ConfigHost, Fields, LocalReply, content, log, name, raw, schedulers};
use crate::abi::{
    AttributeId, CalloutInitResult, ConfigEnvoy, FilterEnvoy, MetricsResult, ModuleBuffer,
    ModuleHeader, RawEnvoyBuffer, RawEnvoyHeader,
};
use crate::callbacks::Callbacks;

/// Whether callbacks that Envoy 1.38 lacks are left out.
static OLD: AtomicBool = AtomicBool::new(false);

pub(super) fn be_old() {
    OLD.store(true, Ordering::Relaxed);
}

pub(super) fn install() {
    let new = !OLD.load(Ordering::Relaxed);
    let fakes = Callbacks {
        log: write_log,
        log_enabled,
        define_counter,
        define_gauge,
        define_histogram,
        increment_counter,
        increase_gauge,
        decrease_gauge,
        set_gauge,
        record_histogram_value,
        get_header,
        get_headers_size,
        get_headers,
        add_header,
        set_header,
        send_response,
        get_body_size: content::get_body_size,
        get_body_chunks_size: content::get_body_chunks_size,
        get_body_chunks: content::get_body_chunks,
        append_body: content::append_body,
        drain_body: content::drain_body,
        set_dynamic_metadata_string,
        get_attribute_string,
        get_attribute_int,
        get_attribute_bool,
        clear_route_cache,
        continue_decoding,
        http_callout,
        config_http_callout,
        scheduler_new,
        scheduler_commit: schedulers::commit,
        scheduler_delete: schedulers::delete,
        config_scheduler_new,
        config_scheduler_commit: schedulers::commit,
        config_scheduler_delete: schedulers::delete,
        config_increment_counter: new.then_some(config_increment_counter),
        config_increase_gauge: new.then_some(config_increase_gauge),
        config_decrease_gauge: new.then_some(config_decrease_gauge),
        config_set_gauge: new.then_some(config_set_gauge),
        config_record_histogram_value: new.then_some(config_record_histogram_value),
        log_v2: new.then_some(log_v2),
    };
    // SAFETY: they do what the ABI says, on handles that the fake host made.
    unsafe { crate::callbacks::install(&fakes) }
}

/// # Safety
///
/// `filter` is the handle of a stream that is alive for `'a`.
pub(super) unsafe fn stream<'a>(filter: FilterEnvoy) -> &'a StreamHost {
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

/// Declares what defines and what changes one kind of metric.
macro_rules! metrics {
    ($($define:ident $list:ident { $($change:ident $of_config:ident |$metric:ident, $value:ident| $code:expr;)* })*) => {$(
        unsafe extern "C" fn $define(
            envoy: ConfigEnvoy,
            name: ModuleBuffer<'_>,
            _label_names: *mut ModuleBuffer<'_>,
            label_names_length: usize,
            id: *mut usize,
        ) -> u32 {
            assert_eq!(label_names_length, 0, "labels are not covered");
            // SAFETY: see the module.
            match unsafe { config(envoy) }.metrics.define(|lists| &mut lists.$list, text(name)) {
                Ok(new) => {
                    // SAFETY: see the module.
                    unsafe { id.write(new) };
                    MetricsResult::Success.number()
                }
                Err(failure) => failure.number(),
            }
        }

        $(
            unsafe extern "C" fn $change(
                filter: FilterEnvoy,
                id: usize,
                _label_values: *mut ModuleBuffer<'_>,
                _label_values_length: usize,
                $value: u64,
            ) -> u32 {
                // SAFETY: see the module.
                let metrics = &unsafe { stream(filter) }.config.metrics;
                metrics.change(|lists| &mut lists.$list, id, |$metric| $code)
            }

            unsafe extern "C" fn $of_config(
                envoy: ConfigEnvoy,
                id: usize,
                _label_values: *mut ModuleBuffer<'_>,
                _label_values_length: usize,
                $value: u64,
            ) -> u32 {
                // SAFETY: see the module.
                let metrics = &unsafe { config(envoy) }.metrics;
                metrics.change(|lists| &mut lists.$list, id, |$metric| $code)
            }
        )*
    )*};
}

metrics! {
    define_counter counters {
        increment_counter config_increment_counter |sum, value| *sum += value;
    }
    define_gauge gauges {
        increase_gauge config_increase_gauge |gauge, value| *gauge = gauge.wrapping_add(value);
        decrease_gauge config_decrease_gauge |gauge, value| *gauge = gauge.wrapping_sub(value);
        set_gauge config_set_gauge |gauge, value| *gauge = value;
    }
    define_histogram histograms {
        record_histogram_value config_record_histogram_value |values, value| values.push(value);
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
    if host.content.has_gone() {
        // It is too late for a reply.
        host.reset_details.replace(Some(text(details)));
        host.complete();
        return;
    }
    host.replies.borrow_mut().push(LocalReply {
        status,
        headers: headers
            .iter()
            .map(|h| (bytes(h.key).to_ascii_lowercase(), bytes(h.value)))
            .collect(),
        body: bytes(body),
        details: text(details),
    });
    host.held.set(false);
    host.announce(status, &bytes(details));
    if host.complete_in_reply.get() {
        host.complete();
    }
    if host.destroy_in_reply.get() {
        host.destroy_module();
    }
}

unsafe extern "C" fn continue_decoding(filter: FilterEnvoy) {
    // SAFETY: see the module.
    let host = unsafe { stream(filter) };
    // As Envoy: nothing happens unless the request is held.
    if host.held.replace(false) {
        host.resumed.set(host.resumed.get() + 1);
        if let Some(headers) = host.respond_in_resume.take() {
            host.announce(404, b"route_not_found");
            host.respond(headers, true);
            host.complete();
            host.destroy_module();
        }
    }
}

unsafe extern "C" fn http_callout(
    filter: FilterEnvoy,
    id: *mut u64,
    cluster: ModuleBuffer<'_>,
    headers: *mut ModuleHeader<'_>,
    headers_size: usize,
    body: ModuleBuffer<'_>,
    timeout_ms: u64,
) -> u32 {
    // SAFETY: see the module.
    let (host, started) = unsafe {
        let host = stream(filter);
        let (plan, all) = (host.config.plan(), &host.config.callouts);
        let start =
            host.callouts.start(plan, all, cluster, headers, headers_size, body, timeout_ms);
        (host, start)
    };
    let answer = |inline, answer| host.answer(inline, answer);
    // SAFETY: see the module.
    unsafe { start(started, id, answer) }
}

unsafe extern "C" fn config_http_callout(
    envoy: ConfigEnvoy,
    id: *mut u64,
    cluster: ModuleBuffer<'_>,
    headers: *mut ModuleHeader<'_>,
    headers_size: usize,
    body: ModuleBuffer<'_>,
    timeout_ms: u64,
) -> u32 {
    // SAFETY: see the module.
    let (host, started) = unsafe {
        let host = config(envoy);
        host.assert_main_thread();
        let (plan, all) = (host.plan(), &host.callouts);
        let start = all.start(plan, all, cluster, headers, headers_size, body, timeout_ms);
        (host, start)
    };
    let answer = |inline, answer| host.answer(inline, answer);
    // SAFETY: see the module.
    unsafe { start(started, id, answer) }
}

/// # Safety
///
/// `place` can be written to.
unsafe fn start(
    started: Started,
    place: *mut u64,
    answer: impl FnOnce(u64, super::FakeAnswer),
) -> u32 {
    let (id, result) = match started {
        Started::No(why) => return why.number(),
        Started::Yes(id) => (id, CalloutInitResult::Success),
        Started::Inline(id, inline, result) => {
            answer(id, inline);
            (id, result)
        }
    };
    if result == CalloutInitResult::Success {
        // SAFETY: passed on to the caller.
        unsafe { place.write(id) };
    }
    result.number()
}

unsafe extern "C" fn scheduler_new(filter: FilterEnvoy) -> *mut c_void {
    // SAFETY: see the module.
    schedulers::new(&unsafe { stream(filter) }.inbox)
}

unsafe extern "C" fn config_scheduler_new(envoy: ConfigEnvoy) -> *mut c_void {
    // SAFETY: see the module.
    schedulers::new(&unsafe { config(envoy) }.inbox)
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
