//! gRPC, as far as a reply to it needs it.

/// Whether a `content-type` is that of gRPC: `application/grpc`, alone or with a `+` suffix.
pub(crate) fn is_content_type(value: &[u8]) -> bool {
    value
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

/// The `grpc-status` for an HTTP status: the table that the gRPC project gives for HTTP replies
/// without one, which Envoy follows.
pub(crate) const fn status_of(http: u32) -> &'static str {
    match http {
        // INTERNAL
        400 => "13",
        // UNAUTHENTICATED
        401 => "16",
        // PERMISSION_DENIED
        403 => "7",
        // UNIMPLEMENTED
        404 => "12",
        // UNAVAILABLE
        429 | 502..=504 => "14",
        // UNKNOWN
        _ => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::{is_content_type, status_of};

    #[test]
    fn grpc_is_a_content_type_of_its_own() {
        assert!(is_content_type(b"application/grpc") && is_content_type(b"application/grpc+proto"));
        assert!(!is_content_type(b"application/grpc-web") && !is_content_type(b"application/json"));
    }

    #[test]
    fn the_statuses_of_denials() {
        let statuses = [400, 401, 403, 404, 500, 503].map(status_of);
        assert_eq!(statuses, ["13", "16", "7", "12", "2", "14"]);
    }
}
