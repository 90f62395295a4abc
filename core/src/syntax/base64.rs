//! Base64 as RFC 4648 section 4 has it, strictly.

use alloc::vec::Vec;
use core::fmt;

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Decodes `text` into `out`, which is cleared first and keeps its capacity.
///
/// RFC 4648 section 4 alphabet; white space and any other foreign byte is refused (section 3.3), and
/// so are non-zero trailing bits (section 3.5), so that two texts never mean the same bytes but for
/// their padding. Padding may be left out (section 3.2); if it is there it is complete.
///
/// After an error `out` is empty.
pub fn decode_into(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.clear();
    // The engine below also takes a part of the padding.
    if text.last() == Some(&b'=') && !text.len().is_multiple_of(4) {
        return Err(Malformed);
    }
    ENGINE.decode_vec(text, out).map_err(|_| {
        out.clear();
        Malformed
    })
}

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(false),
);

/// The text is not base64 (RFC 4648 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not base64")
    }
}

impl core::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn decode(text: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::from(*b"stale");
        decode_into(text, &mut out).map(|()| out)
    }

    #[test]
    fn takes_the_vectors_of_the_rfc_with_and_without_padding() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zg", "f"),
            ("Zm8=", "fo"),
            ("Zm8", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmE", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text.as_bytes()), Ok(bytes.into()), "{text}");
        }
        assert_eq!(decode(b"+/+/"), Ok([0xfb, 0xff, 0xbf].into()));
    }

    #[test]
    fn refuses_what_is_not_strict() {
        for text in [
            "Zg=",      // part of the padding
            "Zg===",    // too much of it
            "Zm9v====", // padding where none is due
            "Zm9v=",
            "=",
            "====",
            "Z", // six bits are no byte
            "Zm9vY",
            "Zh==", // trailing bits
            "Zh",
            "Zm9=",
            "Zg==Zg==", // padding inside
            "Z=g=",
            " Zg==",
            "Zg== ",
            "Zm\n9v",
            "-_-_", // the alphabet of section 5
            "Zm9\0",
            "Zm9\u{e9}",
        ] {
            assert_eq!(decode(text.as_bytes()), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn leaves_nothing_behind_after_an_error() {
        let mut out = Vec::from(*b"secret");
        assert_eq!(decode_into(b"c2VjcmV0*", &mut out), Err(Malformed));
        assert!(out.is_empty());
    }

    #[test]
    fn every_accepted_text_encodes_back_to_itself() {
        let alphabet = b"AQgw/=+ ";
        let mut accepted = 0;
        for number in 0..8usize.pow(5) {
            for length in 0..=5 {
                let text: Vec<u8> =
                    (0..length).map(|at| alphabet[number >> (3 * at) & 7]).collect();
                if let Ok(bytes) = decode(&text) {
                    accepted += 1;
                    let padded = ::base64::engine::general_purpose::STANDARD.encode(&bytes);
                    let bare = padded.trim_end_matches('=');
                    assert!(text == padded.as_bytes() || text == bare.as_bytes(), "{text:?}");
                }
            }
        }
        assert!(accepted > 1000);
    }

    #[test]
    fn keeps_its_buffer() {
        let mut out = Vec::new();
        decode_into(&[b'A'; 400], &mut out).unwrap();
        let place = out.as_ptr();
        for _ in 0..3 {
            decode_into(&[b'Q'; 400], &mut out).unwrap();
            decode_into(b"Zg==", &mut out).unwrap();
            assert!(decode_into(&[b'='; 400], &mut out).is_err());
        }
        assert_eq!(out.as_ptr(), place);
    }
}
