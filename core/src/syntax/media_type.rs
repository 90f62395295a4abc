//! Media types and ranges of them (RFC 9110 sections 8.3.1 and 12.5.1).

/// Whether `value` is of this type and subtype, in any case and with any parameters.
///
/// ```
/// use pintle_core::syntax::media_type;
///
/// assert!(media_type::is(b" Application/JSON; charset=utf-8", "application/json"));
/// assert!(!media_type::is(b"application/jsonp", "application/json"));
/// ```
pub fn is(value: &[u8], expected: &str) -> bool {
    essence(value).eq_ignore_ascii_case(expected.as_bytes())
}

/// Whether `value` is a media type of gRPC: `application/grpc`, with a suffix such as `+proto` or
/// `-web` or without one.
///
/// ```
/// use pintle_core::syntax::media_type;
///
/// assert!(media_type::is_grpc(b"application/grpc-web+proto"));
/// assert!(!media_type::is_grpc(b"application/grpcish"));
/// ```
pub fn is_grpc(value: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";

    match essence(value).split_at_checked(GRPC.len()) {
        Some((start, rest)) => {
            start.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b'-'))
        }
        None => false,
    }
}

/// The weight of a range of `accept` in thousandths, 1000 unless it says otherwise (RFC 9110 section
/// 12.4.2); 0 where it is malformed.
///
/// ```
/// use pintle_core::syntax::media_type;
///
/// assert_eq!(media_type::weight(b"text/plain"), 1000);
/// assert_eq!(media_type::weight(b"text/plain;charset=utf-8; q=0.25"), 250);
/// assert_eq!(media_type::weight(b"text/plain;Q=0.000"), 0);
/// assert_eq!(media_type::weight(b"text/plain;q=high"), 0);
/// ```
pub fn weight(range: &[u8]) -> u16 {
    let mut parameters = range.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii);
    let given = parameters.find_map(|parameter| match parameter {
        [b'q' | b'Q', b'=', weight @ ..] => Some(weight),
        _ => None,
    });
    given.map_or(1000, |given| thousandths(given).unwrap_or(0))
}

/// `0`, `0.5`, `1.000`.
fn thousandths(weight: &[u8]) -> Option<u16> {
    let (whole, places) = match weight {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', places @ ..] if places.len() <= 3 => (whole, places),
        _ => return None,
    };
    let mut digits = places.iter().chain(core::iter::repeat(&b'0')).take(3);
    let thousandths = digits.try_fold(u16::from(whole.wrapping_sub(b'0')), |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| digit.wrapping_sub(b'0'))?;
        sum.checked_mul(10)?.checked_add(u16::from(digit))
    })?;
    (thousandths <= 1000).then_some(thousandths)
}

/// What stands before the parameters.
fn essence(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}
