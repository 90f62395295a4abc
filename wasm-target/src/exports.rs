//! The functions that the host calls.
//!
//! They have names of their own, `pintle_on_...`, since the `proxy-wasm` crate defines those of the
//! ABI itself and a second definition does not link. `pintle module` writes the export table: the
//! ABI's name for each of these functions, and nothing else. Envoy enters the VM for every export
//! that is there, used or not, so there are no more than a policy needs; above all none that runs
//! per stream (`proxy_on_context_create`, `_on_done`, `_on_log`, `_on_delete`). What these would
//! tell, [`crate::vm`] finds out where it matters.
//!
//! Two of them run for each piece of content of each response. `pintle module --headers` leaves these
//! out and puts another function in the place of `_initialize`, so that the module knows; with it a
//! policy is refused that needs them.

use proxy_wasm::types::Action;

/// The whole export table of a module made by [`export!`](crate::export), sorted as
/// `pintle module` writes it.
pub const TABLE: [&str; 11] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
];

/// The same as `pintle module --headers` writes it: for a module that sees no content.
pub const HEADERS_TABLE: [&str; 9] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_response_headers",
    "proxy_on_tick",
];

/// What the host is told about the fields of a message. One that is held is held with its content and
/// trailers: by `StopAllIterationAndWatermark` of the host's `FilterHeadersStatus`, since to `Pause` an
/// operator can give another meaning with `allow_on_headers_stop_iteration`. Content then comes no
/// sooner than the message goes on, and waits by back-pressure, however much it is.
pub const fn headers_status(action: Action) -> u32 {
    match action {
        Action::Continue => 0,
        _ => 4,
    }
}

/// Emits the functions of the ABI for a set of filters, made by [`pintle_core::filters!`], that
/// stand beside the shipped ones.
#[macro_export]
macro_rules! export {
    ($filters:ty) => {
        // Not in a module of its own: `$filters` is a name of the place where this is said.
        #[expect(unsafe_code, reason = "the symbols that `pintle module` exports")]
        const _: () = {
            thread_local! {
                static VM: $crate::vm::Vm<$filters> = $crate::vm::Vm::default();
            }

            /// `proxy_abi_version_0_2_1`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_abi_version_0_2_1() {}

            /// `_initialize`: without it the linker takes each export for a command of its own, and
            /// runs the destructors after each call.
            #[cfg(target_family = "wasm")]
            #[unsafe(no_mangle)]
            extern "C" fn _initialize() {
                $crate::exports::initialize();
            }

            /// `_initialize` of the module that sees no content.
            #[cfg(target_family = "wasm")]
            #[unsafe(no_mangle)]
            extern "C" fn pintle_initialize_headers() {
                $crate::exports::initialize();
                VM.with(|vm| vm.without_content());
            }

            /// `proxy_on_memory_allocate`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_on_memory_allocate(size: usize) -> *mut u8 {
                $crate::arena::allocate(size)
            }

            /// `proxy_on_configure`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_on_configure(root: u32, size: usize) -> bool {
                VM.with(|vm| vm.on_configure(root, size))
            }

            /// `proxy_on_tick`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_on_tick(root: u32) {
                VM.with(|vm| vm.on_tick(root));
            }

            /// `proxy_on_request_headers`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_on_request_headers(stream: u32, _fields: u32, _end: u32) -> u32 {
                $crate::exports::headers_status(VM.with(|vm| vm.on_request_headers(stream)))
            }

            /// `proxy_on_http_call_response`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_on_http_call_response(
                root: u32,
                token: u32,
                fields: u32,
                body_size: u32,
                _trailers: u32,
            ) {
                VM.with(|vm| vm.on_http_call_response(root, token, fields, body_size as usize));
            }

            /// `proxy_on_response_headers`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_on_response_headers(stream: u32, _fields: u32, end: u32) -> u32 {
                let action = VM.with(|vm| vm.on_response_headers(stream, end != 0));
                $crate::exports::headers_status(action)
            }

            /// `proxy_on_response_body`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_on_response_body(stream: u32, size: u32, end: u32) -> u32 {
                VM.with(|vm| vm.on_response_body(stream, size as usize, end != 0)) as u32
            }

            /// `proxy_on_response_trailers`
            #[unsafe(no_mangle)]
            extern "C" fn pintle_on_response_trailers(stream: u32, _fields: u32) -> u32 {
                VM.with(|vm| vm.on_response_trailers(stream)) as u32
            }
        };
    };
}

/// Runs the constructors of the module, and keeps the messages of panics, which may quote a secret,
/// out of the log.
#[cfg(target_family = "wasm")]
pub fn initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker makes this function, and the host calls `_initialize` once, before all else.
    unsafe { __wasm_call_ctors() }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let message = format!("panic at {place}; its message is withheld");
        crate::abi::log(proxy_wasm::types::LogLevel::Critical, message.as_bytes());
    }));
}
