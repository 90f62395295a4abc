//! `application/x-www-form-urlencoded`, as RFC 6749 appendix B has it and the URL standard of the
//! WHATWG (section 5.2) spells it out.

use alloc::vec::Vec;

use form_urlencoded::byte_serialize;

/// The media type of what [`append`] writes.
pub const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// Adds one parameter behind those that `form` has already, with the `&` that comes between.
///
/// ```
/// use pintle_core::syntax::form;
///
/// let mut form = Vec::new();
/// form::append("grant_type", b"client credentials", &mut form);
/// form::append("scope", "a+b=\u{e9}".as_bytes(), &mut form);
/// assert_eq!(form, b"grant_type=client+credentials&scope=a%2Bb%3D%C3%A9");
/// ```
pub fn append(name: &str, value: &[u8], form: &mut Vec<u8>) {
    if !form.is_empty() {
        form.push(b'&');
    }
    encode(name.as_bytes(), form);
    form.push(b'=');
    encode(value, form);
}

/// Adds `bytes` to `out`, encoded: letters, digits, `*`, `-`, `.` and `_` as they are, a space as
/// `+`, every other byte as `%` and two upper-case hexadecimal digits.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    byte_serialize(bytes).for_each(|run| out.extend_from_slice(run.as_bytes()));
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;

    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// RFC 6749 appendix B: U+0020, U+0025, U+0026, U+002B, U+00A3 and U+20AC.
    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(encoded(" %&+\u{a3}\u{20ac}".as_bytes()), "+%25%26%2B%C2%A3%E2%82%AC");
    }

    #[test]
    fn each_of_the_256_bytes_its_way() {
        for byte in 0..=255u8 {
            let expected = match byte {
                b' ' => "+".into(),
                b'*' | b'-' | b'.' | b'_' => String::from(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => String::from(char::from(byte)),
                _ => format!("%{byte:02X}"),
            };
            assert_eq!(encoded(&[byte]), expected);
        }
    }

    #[test]
    fn parameters_stand_side_by_side() {
        let mut form = vec![];
        append("a", b"", &mut form);
        assert_eq!(form, b"a=");
        append("a", b"&a=1\r\n", &mut form);
        append("&", b"\0\xff", &mut form);
        assert_eq!(form, b"a=&a=%26a%3D1%0D%0A&%26=%00%FF");
    }
}
