//! The macro that gives the hooks their symbols.

/// Emits the symbols of a module: `$init`, a `fn() -> bool` that runs once when it is loaded, and the
/// hooks for `$config`, an [`HttpFilterConfig`](crate::HttpFilterConfig).
///
/// Once per `cdylib`. It works in a crate that denies `unsafe_code`, not in one that forbids it:
/// exported symbols are unsafe to declare.
#[macro_export]
macro_rules! declare_init_functions {
    ($init:expr, $config:ty $(,)?) => {
        #[expect(unsafe_code, reason = "the symbols that Envoy looks for; the code behind them is the SDK's")]
        const _: () = {
            use ::core::ffi::{c_char, c_void};
            use $crate::abi;
            use $crate::hooks;

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
                hooks::program_init($init)
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
                envoy: abi::ConfigEnvoy,
                name: abi::RawEnvoyBuffer,
                config: abi::RawEnvoyBuffer,
            ) -> abi::ConfigModule {
                // SAFETY: Envoy calls this by the rules of the ABI, as all below.
                unsafe { hooks::config_new::<$config>(envoy, name, config) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(config: abi::ConfigModule) {
                // SAFETY: as above.
                unsafe { hooks::config_destroy::<$config>(config) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(
                config: abi::ConfigModule,
                envoy: abi::FilterEnvoy,
            ) -> abi::FilterModule {
                // SAFETY: as above.
                unsafe { hooks::filter_new::<$config>(config, envoy) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
                envoy: abi::FilterEnvoy,
                filter: abi::FilterModule,
                end_of_stream: bool,
            ) -> u32 {
                // SAFETY: as above.
                unsafe { hooks::request_headers::<$config>(envoy, filter, end_of_stream) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
                envoy: abi::FilterEnvoy,
                filter: abi::FilterModule,
                end_of_stream: bool,
            ) -> u32 {
                // SAFETY: as above.
                unsafe { hooks::response_headers::<$config>(envoy, filter, end_of_stream) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
                envoy: abi::FilterEnvoy,
                filter: abi::FilterModule,
                end_of_stream: bool,
            ) -> u32 {
                // SAFETY: as above.
                unsafe { hooks::response_body::<$config>(envoy, filter, end_of_stream) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_response_trailers(
                envoy: abi::FilterEnvoy,
                filter: abi::FilterModule,
            ) -> u32 {
                // SAFETY: as above.
                unsafe { hooks::response_trailers::<$config>(envoy, filter) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_local_reply(
                envoy: abi::FilterEnvoy,
                filter: abi::FilterModule,
                status: u32,
                details: abi::RawEnvoyBuffer,
                reset_imminent: bool,
            ) -> u32 {
                // SAFETY: as above.
                unsafe { hooks::local_reply::<$config>(envoy, filter, status, details, reset_imminent) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_stream_complete(
                envoy: abi::FilterEnvoy,
                filter: abi::FilterModule,
            ) {
                // SAFETY: as above.
                unsafe { hooks::stream_complete::<$config>(envoy, filter) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_destroy(filter: abi::FilterModule) {
                // SAFETY: as above.
                unsafe { hooks::destroy::<$config>(filter) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(
                envoy: abi::FilterEnvoy,
                filter: abi::FilterModule,
                event_id: u64,
            ) {
                // SAFETY: as above.
                unsafe { hooks::scheduled::<$config>(envoy, filter, event_id) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_http_callout_done(
                envoy: abi::FilterEnvoy,
                filter: abi::FilterModule,
                callout_id: u64,
                result: u32,
                headers: *const abi::RawEnvoyHeader,
                headers_size: usize,
                chunks: *const abi::RawEnvoyBuffer,
                chunks_size: usize,
            ) {
                // SAFETY: as above.
                unsafe {
                    hooks::http_callout_done::<$config>(
                        envoy, filter, callout_id, result, headers, headers_size, chunks, chunks_size,
                    )
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
                envoy: abi::ConfigEnvoy,
                config: abi::ConfigModule,
                event_id: u64,
            ) {
                // SAFETY: as above.
                unsafe { hooks::config_scheduled::<$config>(envoy, config, event_id) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_http_callout_done(
                envoy: abi::ConfigEnvoy,
                config: abi::ConfigModule,
                callout_id: u64,
                result: u32,
                headers: *const abi::RawEnvoyHeader,
                headers_size: usize,
                chunks: *const abi::RawEnvoyBuffer,
                chunks_size: usize,
            ) {
                // SAFETY: as above.
                unsafe {
                    hooks::config_http_callout_done::<$config>(
                        envoy, config, callout_id, result, headers, headers_size, chunks, chunks_size,
                    )
                }
            }

            // What Envoy demands and this SDK does not cover. They touch nothing.

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
                _: abi::FilterEnvoy, _: abi::FilterModule, _: bool,
            ) -> u32 {
                abi::BodyStatus::Continue.number()
            }

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(
                _: abi::FilterEnvoy, _: abi::FilterModule,
            ) -> u32 {
                abi::TrailersStatus::Continue.number()
            }

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_headers(
                _: abi::FilterEnvoy, _: abi::FilterModule, _stream: u64,
                _headers: *mut c_void, _headers_size: usize, _end_of_stream: bool,
            ) {
            }

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_data(
                _: abi::FilterEnvoy, _: abi::FilterModule, _stream: u64,
                _data: *const c_void, _data_count: usize, _end_of_stream: bool,
            ) {
            }

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_trailers(
                _: abi::FilterEnvoy, _: abi::FilterModule, _stream: u64,
                _trailers: *mut c_void, _trailers_size: usize,
            ) {
            }

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_complete(
                _: abi::FilterEnvoy, _: abi::FilterModule, _stream: u64,
            ) {
            }

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_http_stream_reset(
                _: abi::FilterEnvoy, _: abi::FilterModule, _stream: u64, _reason: u32,
            ) {
            }

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(
                _: abi::FilterEnvoy, _: abi::FilterModule,
            ) {
            }

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(
                _: abi::FilterEnvoy, _: abi::FilterModule,
            ) {
            }
        };
    };
}
