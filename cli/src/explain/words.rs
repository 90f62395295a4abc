//! Reasons in words.

use pintle_core::Denial;
use pintle_core::syntax::path::PathError;

/// Why a filter of this kind answers, or would. `field`: what it requires.
pub(super) fn denial(denial: Denial, kind: &str, field: Option<&str>) -> String {
    let field = field.unwrap_or("the field");
    match (denial, kind) {
        (Denial::NoCredentials, "basic_auth") => {
            "the request has no `authorization`, or one of another scheme than Basic".into()
        }
        (Denial::NoCredentials, _) => "the request has no credential to trade".into(),
        (Denial::MalformedCredentials, "basic_auth") => {
            "`authorization` is not the base64 of user and password (RFC 7617)".into()
        }
        (Denial::MalformedCredentials, _) => {
            "the credential is no well-formed Bearer value (RFC 6750)".into()
        }
        (Denial::RepeatedCredentials, _) => "the request has several credentials, or one with a \
             comma in it: the upstream might use another than the filter"
            .into(),
        (Denial::WrongCredentials, _) => {
            "a rule that the request matches does not list this user with this password".into()
        }
        (Denial::FieldMissing, _) => format!("the request has no {field}"),
        (Denial::FieldMismatch, _) => format!("a value of {field} is not what the filter requires"),
        (Denial::ExchangeRefused, _) => "the auth service refuses the caller".into(),
        (Denial::ExchangeUnavailable, _) => {
            "the auth service cannot be reached, takes too long or fails".into()
        }
        (Denial::ExchangeUnusable, _) => {
            "the auth service answers something that is neither a token nor a refusal".into()
        }
        (Denial::ExchangeOverloaded, _) => {
            "as many requests wait for the auth service as may".into()
        }
        (Denial::PathInvalid, _) => {
            "the filter has to judge the path, which is not valid: a broken escape, a NUL, or too \
             long for what is in it"
                .into()
        }
        (Denial::PathEncodedSlash, _) => {
            "the filter has to judge the path, which has an encoded slash".into()
        }
        (Denial::Other(_, slug), _) => slug.into(),
    }
}

/// Why a path is not valid.
pub(super) fn invalid(error: PathError) -> String {
    error.to_string()
}
