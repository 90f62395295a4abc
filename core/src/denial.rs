//! Why a request was refused: one table from reason to status and slug.

use alloc::borrow::Cow;
use alloc::format;

/// Why a request was refused.
///
/// The client learns the class, by status and challenge. The slug goes to the access log, as
/// response-code details `pintle_<slug>`, and to the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// `basic_auth`: no `authorization`, or one of another scheme. `token_exchange`: no credential.
    NoCredentials,
    /// `basic_auth`: `authorization` is not what RFC 7617 asks for. `token_exchange` with a `grant`:
    /// the credential is not what RFC 6750 asks for.
    MalformedCredentials,
    /// Several values of the credential, or several joined by a comma.
    RepeatedCredentials,
    /// `basic_auth`: a user or a password that no matching rule lists.
    WrongCredentials,
    /// `require_header`: the field is absent.
    FieldMissing,
    /// `require_header`: a value of the field does not pass.
    FieldMismatch,
    /// `token_exchange`: the service refused the caller; the status is the service's.
    ExchangeRefused,
    /// `token_exchange`: the service could not be reached, took too long or failed.
    ExchangeUnavailable,
    /// `token_exchange`: the service answered with something else than a token.
    ExchangeUnusable,
    /// `token_exchange`: as many requests wait for the service as may.
    ExchangeOverloaded,
    /// An invalid escape, `%00` or a NUL in a path that a filter has to judge.
    PathInvalid,
    /// An encoded slash in a path that a filter has to judge, under `encoded_slash: reject`.
    PathEncodedSlash,
    /// A reason of a filter that is not among the shipped ones: status and slug.
    Other(u16, &'static str),
}

impl Denial {
    /// Every reason that the shipped filters know.
    pub const ALL: [Self; 12] = [
        Self::NoCredentials,
        Self::MalformedCredentials,
        Self::RepeatedCredentials,
        Self::WrongCredentials,
        Self::FieldMissing,
        Self::FieldMismatch,
        Self::ExchangeRefused,
        Self::ExchangeUnavailable,
        Self::ExchangeUnusable,
        Self::ExchangeOverloaded,
        Self::PathInvalid,
        Self::PathEncodedSlash,
    ];

    /// The HTTP status (RFC 9110 section 15.5) unless the configuration, or the service that was
    /// asked, names another.
    pub const fn status(self) -> u16 {
        match self {
            Self::NoCredentials
            | Self::MalformedCredentials
            | Self::RepeatedCredentials
            | Self::WrongCredentials
            | Self::ExchangeRefused => 401,
            Self::FieldMissing | Self::FieldMismatch => 403,
            Self::ExchangeUnavailable | Self::ExchangeUnusable | Self::ExchangeOverloaded => 503,
            Self::PathInvalid | Self::PathEncodedSlash => 400,
            Self::Other(status, _) => status,
        }
    }

    /// The name of the reason in counters.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Other(_, slug) => slug,
            shipped => match shipped.known_details().split_at_checked(PREFIX.len()) {
                Some((_, slug)) => slug,
                None => "",
            },
        }
    }

    /// The name of the reason in access logs, as response-code details: `pintle_<slug>`.
    pub fn details(self) -> Cow<'static, str> {
        match self {
            Self::Other(_, slug) => format!("{PREFIX}{slug}").into(),
            shipped => shipped.known_details().into(),
        }
    }

    /// The details of a reason that is in the table.
    const fn known_details(self) -> &'static str {
        match self {
            Self::NoCredentials => "pintle_no_credentials",
            Self::MalformedCredentials => "pintle_malformed_credentials",
            Self::RepeatedCredentials => "pintle_repeated_credentials",
            Self::WrongCredentials => "pintle_wrong_credentials",
            Self::FieldMissing => "pintle_field_missing",
            Self::FieldMismatch => "pintle_field_mismatch",
            Self::ExchangeRefused => "pintle_exchange_refused",
            Self::ExchangeUnavailable => "pintle_exchange_unavailable",
            Self::ExchangeUnusable => "pintle_exchange_unusable",
            Self::ExchangeOverloaded => "pintle_exchange_overloaded",
            Self::PathInvalid => "pintle_path_invalid",
            Self::PathEncodedSlash => "pintle_path_encoded_slash",
            Self::Other(..) => PREFIX,
        }
    }
}

/// What tells our details from those of other filters.
const PREFIX: &str = "pintle_";

#[cfg(test)]
mod tests {
    use super::Denial;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn the_whole_table() {
        let table: String =
            Denial::ALL.iter().map(|d| format!("{} {} {:?}\n", d.status(), d.slug(), d)).collect();
        assert_eq!(
            table,
            "401 no_credentials NoCredentials\n\
             401 malformed_credentials MalformedCredentials\n\
             401 repeated_credentials RepeatedCredentials\n\
             401 wrong_credentials WrongCredentials\n\
             403 field_missing FieldMissing\n\
             403 field_mismatch FieldMismatch\n\
             401 exchange_refused ExchangeRefused\n\
             503 exchange_unavailable ExchangeUnavailable\n\
             503 exchange_unusable ExchangeUnusable\n\
             503 exchange_overloaded ExchangeOverloaded\n\
             400 path_invalid PathInvalid\n\
             400 path_encoded_slash PathEncodedSlash\n"
        );
        assert_eq!(Denial::Other(418, "teapot").status(), 418);
        for denial in Denial::ALL.into_iter().chain([Denial::Other(418, "teapot")]) {
            assert_eq!(denial.details(), format!("pintle_{}", denial.slug()));
        }
    }
}
