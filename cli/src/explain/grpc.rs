//! What a client of gRPC gets for an answer of a filter: Envoy makes it, from the HTTP answer
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses>).

use pintle_core::testing::corpus::FieldLines;

use super::course::Client;

/// Whether Envoy takes a request for gRPC: by its `content-type`, `application/grpc` alone or before a `+`.
pub(super) fn is_request(fields: &FieldLines) -> bool {
    let value = fields.iter().find(|(name, _)| name == b"content-type").map(|(_, value)| value);
    let rest = value.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

/// The same answer as gRPC: a status of its own, the text as a field.
pub(super) fn answer(client: Client) -> Client {
    let Client { http_status, mut fields, content, details, .. } = client;
    fields.retain(|(name, _)| name != b"content-type" && name != b"content-length");
    let mut add = |name: &str, value: Vec<u8>| fields.push((name.into(), value));
    add("content-type", b"application/grpc".to_vec());
    add("grpc-status", status(http_status).to_string().into_bytes());
    if !content.is_empty() {
        add("grpc-message", percent_encoded(&content));
    }
    Client { status: 200, http_status, fields, content: Vec::new(), details }
}

/// The gRPC status for an HTTP status
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
fn status(http: u16) -> u8 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

fn percent_encoded(text: &[u8]) -> Vec<u8> {
    let byte = |byte: &u8| match byte {
        b'%' => b"%25".to_vec(),
        b' '..=b'}' => vec![*byte],
        _ => format!("%{byte:02X}").into_bytes(),
    };
    text.iter().flat_map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::{percent_encoded, status};

    #[test]
    fn statuses_and_messages() {
        let statuses = [400, 401, 403, 404, 418, 429, 500, 502, 503, 504].map(status);
        assert_eq!(statuses, [13, 16, 7, 12, 2, 14, 2, 14, 14, 14]);
        assert_eq!(percent_encoded("a% ~\n\u{e9}".as_bytes()), b"a%25 %7E%0A%C3%A9");
    }
}
