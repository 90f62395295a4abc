//! Bytes of a request made fit for one line of a log.

use core::fmt::{self, Write};

/// Shows bytes as printable ASCII, on one line and of bounded length.
///
/// Printable ASCII (RFC 20 section 4.2, the space included) stands as it is, but for `"` and `\`
/// which get a backslash; every other byte is `\xNN`. A line break in a field value, which RFC 9110
/// section 5.5 forbids and hosts may still pass, therefore cannot begin a line of its own.
///
/// ```
/// use pintle_core::syntax::escape::Escaped;
///
/// let field = Escaped { bytes: b"a\"b\xff\ncd", limit: 5 };
/// assert_eq!(field.to_string(), r#"a\"b\xff\x0a...(7 bytes)"#);
/// ```
#[derive(Clone, Copy)]
pub struct Escaped<'a> {
    /// What to show.
    pub bytes: &'a [u8],
    /// How many bytes of it, before escaping. Of a longer one the total length is shown too.
    pub limit: usize,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.bytes.get(..self.limit).unwrap_or(self.bytes);
        while !rest.is_empty() {
            let plain = rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len());
            let (run, after) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
            // Plain bytes are ASCII, so this is always a string.
            f.write_str(core::str::from_utf8(run).unwrap_or_default())?;
            rest = match after.split_first() {
                Some((&byte @ (b'"' | b'\\'), rest)) => {
                    f.write_char('\\')?;
                    f.write_char(char::from(byte))?;
                    rest
                }
                Some((byte, rest)) => {
                    write!(f, "\\x{byte:02x}")?;
                    rest
                }
                None => &[],
            };
        }
        if self.bytes.len() > self.limit {
            write!(f, "...({} bytes)", self.bytes.len())
        } else {
            Ok(())
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::*;

    fn escaped(bytes: &[u8], limit: usize) -> String {
        Escaped { bytes, limit }.to_string()
    }

    #[test]
    fn escapes_each_of_the_256_bytes_its_way() {
        for byte in 0..=255u8 {
            let expected = match byte {
                b'"' => r#"\""#.to_string(),
                b'\\' => r"\\".to_string(),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            };
            assert_eq!(escaped(&[byte], 1), expected);
            assert_eq!(escaped(&[b'a', byte, b'z'], 9), format!("a{expected}z"));
        }
    }

    #[test]
    fn cuts_after_input_bytes_not_output() {
        assert_eq!(escaped(b"abcdef", 6), "abcdef");
        assert_eq!(escaped(b"abcdef", 5), "abcde...(6 bytes)");
        assert_eq!(escaped(b"\r\n\r\n", 3), "\\x0d\\x0a\\x0d...(4 bytes)");
        assert_eq!(escaped("\u{e9}".as_bytes(), 1), "\\xc3...(2 bytes)");
        assert_eq!(escaped(b"abc", 0), "...(3 bytes)");
        assert_eq!(escaped(b"", 0), "");
    }

    #[test]
    fn can_be_read_back() {
        let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        let text = escaped(&bytes, usize::MAX);
        assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        let mut read = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            (rest, _) = match (byte, after) {
                (b'\\', [b'x', high, low, rest @ ..]) => {
                    let pair = [*high, *low];
                    (
                        rest,
                        read.push(
                            u8::from_str_radix(core::str::from_utf8(&pair).unwrap(), 16).unwrap(),
                        ),
                    )
                }
                (b'\\', [byte, rest @ ..]) => (rest, read.push(*byte)),
                _ => (after, read.push(byte)),
            };
        }
        assert_eq!(read, bytes);
    }
}
