//! What statuses are called, and where they are defined.

/// The reason phrase of a status (RFC 9110 section 15, and the IANA registry of status codes); of an
/// unknown one, its class.
pub(crate) const fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => class_phrase(status),
    }
}

const fn class_phrase(status: u16) -> &'static str {
    if status < 500 { "Client Error" } else { "Server Error" }
}

/// The `type` of a status, as the older plug-in has it.
pub(crate) const fn status_type(status: u16) -> &'static str {
    match status {
        400 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.1",
        401 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.2",
        403 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.4",
        404 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.5",
        405 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.6",
        406 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.7",
        408 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.9",
        409 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.10",
        412 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.13",
        415 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.16",
        422 => "https://datatracker.ietf.org/html/rfc4918#section-11.2",
        426 => "https://datatracker.ietf.org/html/rfc9110#section-15.5.22",
        500 => "https://datatracker.ietf.org/html/rfc9110#section-15.6.1",
        502 => "https://datatracker.ietf.org/html/rfc9110#section-15.6.3",
        503 => "https://datatracker.ietf.org/html/rfc9110#section-15.6.4",
        504 => "https://datatracker.ietf.org/html/rfc9110#section-15.6.5",
        _ => class_type(status),
    }
}

/// The `type` of the class that a status is of, as the older plug-in has it.
const fn class_type(status: u16) -> &'static str {
    match status {
        400..500 => "https://datatracker.ietf.org/doc/html/rfc9110#name-client-error-4xx",
        _ => "https://datatracker.ietf.org/doc/html/rfc9110#name-server-error-5xx",
    }
}
