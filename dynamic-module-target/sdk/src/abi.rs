//! The types of the ABI, as `abi.h` of Envoy has them.
//!
//! Enums that the module hands to Envoy are Rust enums with the number as discriminant; a number that
//! Envoy hands to the module becomes one by a `match` only.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr;

/// Envoy's per-stream filter object.
pub type FilterEnvoy = *mut c_void;
/// The module's per-stream object.
pub type FilterModule = *const c_void;
/// Envoy's per-configuration object.
pub type ConfigEnvoy = *mut c_void;
/// The module's per-configuration object.
pub type ConfigModule = *const c_void;
/// Envoy's scheduler of a stream.
pub type FilterScheduler = *mut c_void;
/// Envoy's scheduler of a configuration.
pub type ConfigScheduler = *mut c_void;

/// Bytes that belong to Envoy. The pointer may be null where the length is zero.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RawEnvoyBuffer {
    /// First byte.
    pub ptr: *const u8,
    /// Length in bytes.
    pub length: usize,
}

impl RawEnvoyBuffer {
    /// No bytes.
    pub const EMPTY: Self = Self { ptr: ptr::null(), length: 0 };

    /// The bytes.
    ///
    /// # Safety
    ///
    /// The bytes must stay where they are, unchanged, for all of `'a`, unless the pointer is null or
    /// the length zero.
    pub unsafe fn as_slice<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: not null, and the caller vouches for the bytes.
        unsafe { core::slice::from_raw_parts(self.ptr, self.length) }
    }
}

/// A header field that belongs to Envoy.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RawEnvoyHeader {
    /// The name.
    pub key: RawEnvoyBuffer,
    /// The value.
    pub value: RawEnvoyBuffer,
}

/// Bytes that belong to the module, lent to Envoy for one call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ModuleBuffer<'a> {
    ptr: *const u8,
    length: usize,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> ModuleBuffer<'a> {
    /// A null pointer: "no value", which removes a header.
    pub const NULL: Self = Self { ptr: ptr::null(), length: 0, bytes: PhantomData };

    /// Lends `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { ptr: bytes.as_ptr(), length: bytes.len(), bytes: PhantomData }
    }

    /// The bytes, `None` for a null pointer.
    #[cfg(any(test, feature = "fakes"))]
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        // SAFETY: made from a slice that lives for 'a, unless null.
        (!self.ptr.is_null()).then(|| unsafe { core::slice::from_raw_parts(self.ptr, self.length) })
    }
}

/// A header field that belongs to the module, lent to Envoy for one call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ModuleHeader<'a> {
    /// The name.
    pub key: ModuleBuffer<'a>,
    /// The value.
    pub value: ModuleBuffer<'a>,
}

/// Declares an enum of the ABI, with the way back from a number.
macro_rules! abi_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant = $number,)* }

        impl $name {
            /// The number on the wire of the ABI.
            #[must_use]
            pub const fn number(self) -> u32 {
                self as u32
            }

            /// The variant of `number`, if it is one.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

abi_enum! {
    /// What a headers hook answers.
    ///
    /// To hold a request, use one of the `StopAll` variants: after [`StopIteration`](Self::StopIteration)
    /// the first byte of a body resumes the chain. After
    /// [`send_response`](crate::EnvoyHttpFilter::send_response) return `StopIteration`.
    HeadersStatus {
        /// Go on to the next filter.
        Continue = 0,
        /// Stop here; a body or trailers that arrive resume the chain.
        StopIteration = 1,
        /// Go on, and do not end the stream here although it did.
        ContinueAndDontEndStream = 2,
        /// Stop everything; a body is buffered, too much of it is an error (413 or 500).
        StopAllIterationAndBuffer = 3,
        /// Stop everything; a body is held by back-pressure.
        StopAllIterationAndWatermark = 4,
    }
}

abi_enum! {
    /// What a body hook answers.
    BodyStatus {
        /// Go on.
        Continue = 0,
        /// Stop, keep the data, error when it is too much.
        StopIterationAndBuffer = 1,
        /// Stop, keep the data, back-pressure when it is too much.
        StopIterationAndWatermark = 2,
        /// Stop and drop the data from the chain.
        StopIterationNoBuffer = 3,
    }
}

abi_enum! {
    /// What a trailers hook answers.
    TrailersStatus {
        /// Go on.
        Continue = 0,
        /// Stop here.
        StopIteration = 1,
    }
}

abi_enum! {
    /// What the local-reply hook answers.
    LocalReplyStatus {
        /// Send the reply.
        Continue = 0,
        /// Reset the stream instead.
        ContinueAndResetStream = 1,
    }
}

abi_enum! {
    /// Which fields of a message.
    HeaderType {
        /// Request header section, pseudo-headers included.
        RequestHeader = 0,
        /// Request trailer section.
        RequestTrailer = 1,
        /// Response header section, `:status` included.
        ResponseHeader = 2,
        /// Response trailer section.
        ResponseTrailer = 3,
    }
}

abi_enum! {
    /// Which content of a message.
    BodyType {
        /// The piece of request content that a body hook is called for.
        ReceivedRequestBody = 0,
        /// Request content that was kept before.
        BufferedRequestBody = 1,
        /// The piece of response content that a body hook is called for.
        ReceivedResponseBody = 2,
        /// Response content that was kept before. All filters of a stream share it.
        BufferedResponseBody = 3,
    }
}

abi_enum! {
    /// Level of a log line.
    LogLevel {
        /// Everything.
        Trace = 0,
        /// For the developer.
        Debug = 1,
        /// Ordinary events.
        Info = 2,
        /// Something is odd.
        Warn = 3,
        /// Something failed.
        Error = 4,
        /// The process is at risk.
        Critical = 5,
        /// Nothing is logged.
        Off = 6,
    }
}

abi_enum! {
    /// How a call on a metric ended.
    MetricsResult {
        /// Done.
        Success = 0,
        /// No metric has this id.
        MetricNotFound = 1,
        /// The label values do not fit the label names.
        InvalidLabels = 2,
        /// Metrics can be defined while the configuration is loaded only.
        Frozen = 3,
    }
}

abi_enum! {
    /// How the start of a callout went.
    CalloutInitResult {
        /// It is under way.
        Success = 0,
        /// One of `:method`, `:path` and `:authority` is missing.
        MissingRequiredHeaders = 1,
        /// This worker knows no such cluster.
        ClusterNotFound = 2,
        /// Envoy has given out this id already.
        DuplicateCalloutId = 3,
        /// Envoy could not send it.
        CannotCreateRequest = 4,
    }
}

abi_enum! {
    /// How a callout ended. A timeout and a connection that failed are successes, of status 504 and 503.
    CalloutResult {
        /// With an answer.
        Success = 0,
        /// The connection was reset half-way.
        Reset = 1,
        /// The answer is larger than Envoy takes.
        ExceedResponseBufferLimit = 2,
    }
}

impl MetricsResult {
    /// `Ok` for success; a number that this version does not know counts as "not found".
    pub(crate) const fn check(number: u32) -> Result<(), Self> {
        match Self::from_number(number) {
            Some(Self::Success) => Ok(()),
            Some(failure) => Err(failure),
            None => Err(Self::MetricNotFound),
        }
    }
}

/// Declares [`AttributeId`]; the text is the name of the attribute in Envoy's documentation.
macro_rules! attributes {
    ($($variant:ident = $number:literal $name:literal,)*) => {
        abi_enum! {
            /// An attribute of the stream, connection or upstream that HTTP filters can read.
            ///
            /// Those of a map type, and those that Envoy does not implement here, are left out.
            AttributeId { $(#[doc = concat!("`", $name, "`")] $variant = $number,)* }
        }
    };
}

attributes! {
    RequestPath = 0 "request.path",
    RequestUrlPath = 1 "request.url_path",
    RequestHost = 2 "request.host",
    RequestScheme = 3 "request.scheme",
    RequestMethod = 4 "request.method",
    RequestReferer = 6 "request.referer",
    RequestUserAgent = 7 "request.useragent",
    RequestId = 9 "request.id",
    RequestProtocol = 10 "request.protocol",
    RequestQuery = 11 "request.query",
    RequestDuration = 12 "request.duration",
    RequestSize = 13 "request.size",
    RequestTotalSize = 14 "request.total_size",
    ResponseCode = 15 "response.code",
    ResponseCodeDetails = 16 "response.code_details",
    ResponseFlags = 17 "response.flags",
    ResponseGrpcStatus = 18 "response.grpc_status",
    ResponseSize = 21 "response.size",
    ResponseTotalSize = 22 "response.total_size",
    SourceAddress = 24 "source.address",
    SourcePort = 25 "source.port",
    DestinationAddress = 26 "destination.address",
    DestinationPort = 27 "destination.port",
    ConnectionId = 28 "connection.id",
    ConnectionMtls = 29 "connection.mtls",
    ConnectionRequestedServerName = 30 "connection.requested_server_name",
    ConnectionTlsVersion = 31 "connection.tls_version",
    ConnectionSubjectLocalCertificate = 32 "connection.subject_local_certificate",
    ConnectionSubjectPeerCertificate = 33 "connection.subject_peer_certificate",
    ConnectionDnsSanLocalCertificate = 34 "connection.dns_san_local_certificate",
    ConnectionDnsSanPeerCertificate = 35 "connection.dns_san_peer_certificate",
    ConnectionUriSanLocalCertificate = 36 "connection.uri_san_local_certificate",
    ConnectionUriSanPeerCertificate = 37 "connection.uri_san_peer_certificate",
    ConnectionSha256PeerCertificateDigest = 38 "connection.sha256_peer_certificate_digest",
    UpstreamAddress = 41 "upstream.address",
    UpstreamPort = 42 "upstream.port",
    UpstreamTransportFailureReason = 52 "upstream.transport_failure_reason",
    UpstreamRequestAttemptCount = 53 "upstream.request_attempt_count",
    XdsClusterName = 57 "xds.cluster_name",
    XdsListenerDirection = 59 "xds.listener_direction",
    XdsRouteName = 61 "xds.route_name",
    XdsVirtualHostName = 63 "xds.virtual_host_name",
    XdsFilterChainName = 66 "xds.filter_chain_name",
    HealthCheck = 67 "health_check",
}
