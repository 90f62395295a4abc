//! `client_identity`: tells the upstream which service account the client's certificate names.

use pintle_core::prelude::*;
use serde::Deserialize;

/// What the configuration says of it, beside the `when`, `mode` and `name` that every filter has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientIdentityFields {
    header: Option<String>,
    #[serde(default)]
    required: bool,
}

/// The same, checked and prepared once, when the configuration is loaded.
pub struct ClientIdentity {
    header: FieldName,
    required: bool,
}

/// Its reason to refuse a request: a status for the client, a name for metrics and access logs.
const NO_CERTIFICATE: Denial = Denial::Other(403, "no_client_certificate");

impl Filter for ClientIdentity {
    const KIND: &'static str = "client_identity";
    const DENIALS: &'static [Denial] = &[NO_CERTIFICATE];
    type Fields = ClientIdentityFields;

    fn compile(fields: Self::Fields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let header = fields.header.as_deref().unwrap_or("x-client-identity");
        let header = load.writable_field(&at.key("header"), header)?;
        Some(Self { header, required: fields.required })
    }

    fn phases(&self) -> Phases {
        Phases::Request
    }

    /// Only this filter says who the client is: the header goes from every request that arrives.
    fn identity_fields(&self) -> &[FieldName] {
        std::slice::from_ref(&self.header)
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        let uri = host.attribute(Attribute::UriSanPeerCertificate).unwrap_or_default();
        if let Some(account) = account(uri, request.buffer) {
            host.edit(Section::Request, Edit::Set(&self.header, account));
        } else if self.required {
            return Flow::Reply(Reply::new(NO_CERTIFICATE, b"A client certificate is required."));
        }
        Flow::Continue
    }
}

/// `spiffe://cluster.local/ns/shop/sa/cart` as `shop/cart`. Copied into `buffer`, since bytes that
/// the host lends are gone with the next edit.
fn account<'b>(uri: &[u8], buffer: &'b mut Vec<u8>) -> Option<FieldValue<'b>> {
    let mut path = uri.strip_prefix(b"spiffe://cluster.local/ns/")?.split(|&byte| byte == b'/');
    let (namespace, b"sa", account, None) = (path.next()?, path.next()?, path.next()?, path.next())
    else {
        return None;
    };
    buffer.clear();
    buffer.extend([namespace, b"/", account].into_iter().flatten());
    FieldValue::new(buffer)
}

pintle_core::filters! {
    /// The filters of this crate; the shipped ones stand beside them.
    pub enum Mine { ClientIdentity }
}

#[cfg(target_family = "wasm")]
pintle_wasm::export!(Mine);
#[cfg(not(target_family = "wasm"))]
pintle_dynamic_module::export!(Mine);

#[cfg(test)]
mod tests;
