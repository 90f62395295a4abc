//! Names and values of fields: RFC 9110 sections 5.1, 5.5 and 5.6.2.

/// Whether `bytes` is a `token` (RFC 9110 section 5.6.2), as field names are (section 5.1).
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_tchar(byte))
}

/// Whether `bytes` is a method (RFC 9110 section 9.1: a `token`, case-sensitive).
pub fn is_method(bytes: &[u8]) -> bool {
    is_token(bytes)
}

/// Whether `bytes` may be written as a field value (RFC 9110 section 5.5).
///
/// No CR, LF, NUL nor other control character but HTAB, no white space at either end, not empty.
/// Bytes from 0x80 on (`obs-text`) may stand anywhere. Neither proxy target checks this, and a line
/// break in the value of a local reply splits the response.
pub fn is_value(bytes: &[u8]) -> bool {
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    !is_white_space(first) && !is_white_space(last) && bytes.iter().all(|&byte| is_value_byte(byte))
}

/// Whether `byte` may stand inside a field value: `field-vchar`, SP or HTAB (RFC 9110 section 5.5).
pub(crate) fn is_value_byte(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) || byte == b'\t'
}

/// Whether `byte` is SP or HTAB, what `OWS` consists of (RFC 9110 section 5.6.3).
pub(crate) fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `value` without the SP and HTAB around it, which are no part of it (RFC 9110 section 5.5).
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let Some((&first, rest)) = value.split_first()
        && is_white_space(first)
    {
        value = rest;
    }
    while let Some((&last, rest)) = value.split_last()
        && is_white_space(last)
    {
        value = rest;
    }
    value
}

/// Whether `byte` is a `tchar` (RFC 9110 section 5.6.2).
pub(crate) fn is_tchar(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    ) || byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_no_delimiters() {
        for good in ["a", "X-Request-Id", "!#$%&'*+-.^_`|~09azAZ", "M-SEARCH"] {
            assert!(is_token(good.as_bytes()) && is_method(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":path", "a b", "a\r\n", "a\0", "a(b)", "\"a\"", "a,b", "a/b", "a=b", "é", "a\t",
            "{a}",
        ] {
            assert!(!is_token(bad.as_bytes()) && !is_method(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn all_256_bytes_fall_on_the_right_side() {
        for byte in 0..=255u8 {
            let delimiter = b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(is_token(&[byte]), byte.is_ascii_graphic() && !delimiter, "{byte:#x}");
            let inside = [b'a', byte, b'b'];
            assert_eq!(is_value(&inside), byte == b'\t' || !byte.is_ascii_control(), "{byte:#x}");
            assert_eq!(is_value(&[byte]), byte > b' ' && byte != 0x7f, "{byte:#x}");
        }
    }

    #[test]
    fn a_value_neither_starts_nor_ends_with_white_space() {
        for good in ["a", "a b\tc", "\u{e9}t\u{e9}", "\"q\""] {
            assert!(is_value(good.as_bytes()), "{good}");
        }
        for bad in ["", " ", "\t", " a", "a ", "a\t", "a\r\nset-cookie: b", "a\nb", "a\rb", "a\0"] {
            assert!(!is_value(bad.as_bytes()), "{bad:?}");
        }
    }
}
