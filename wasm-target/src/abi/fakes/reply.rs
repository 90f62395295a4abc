//! Local replies, and the response that Envoy makes of one.

use super::fields::Fields;

/// A local reply as the module asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The HTTP status.
    pub status: u32,
    /// What goes to the access log.
    pub details: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
    /// The fields, in order, without those that Envoy adds.
    pub fields: Fields,
    /// The gRPC status; -1 leaves it to Envoy.
    pub grpc_status: i32,
}

impl LocalReply {
    /// The header section as Envoy 1.40 makes it: to a gRPC client trailers alone, the body in them,
    /// and no content type where there is no body.
    #[must_use]
    pub fn response(&self, grpc: bool) -> Fields {
        let mut response = Fields::default();
        let status = if grpc { 200 } else { self.status };
        response.add(b":status", status.to_string().as_bytes());
        for (name, value) in self.fields.iter() {
            response.add(name, value);
        }
        response.remove(b"content-length");
        if grpc {
            response.replace(b"content-type", b"application/grpc");
            response.replace(b"grpc-status", self.grpc_code().to_string().as_bytes());
            if !self.body.is_empty() {
                response.replace(b"grpc-message", &percent_encoded(&self.body));
            }
        } else if self.body.is_empty() {
            response.remove(b"content-type");
        } else {
            response.add(b"content-length", self.body.len().to_string().as_bytes());
            if response.values(b"content-type").next().is_none() {
                response.add(b"content-type", b"text/plain");
            }
        }
        response
    }

    /// The gRPC status: Envoy's own mapping of HTTP statuses, where the module has left it open.
    #[must_use]
    pub fn grpc_code(&self) -> i32 {
        match (self.grpc_status, self.status) {
            (0.., _) => self.grpc_status,
            (_, 400) => 13,
            (_, 401) => 16,
            (_, 403) => 7,
            (_, 404) => 12,
            (_, 429 | 502 | 503 | 504) => 14,
            _ => 2,
        }
    }
}

/// The encoding of `grpc-message`: printable ASCII other than `%` stands for itself.
fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for byte in bytes {
        match byte {
            b'%' | ..=0x1f | 0x7f.. => encoded.extend(format!("%{byte:02X}").into_bytes()),
            _ => encoded.push(*byte),
        }
    }
    encoded
}
