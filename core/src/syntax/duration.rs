//! Durations in the configuration: a whole number and its unit, such as `150ms`, `1s`, `10m`, `2h`.

use core::fmt;
use core::time::Duration;

/// Reads a duration: decimal digits followed by `ms`, `s`, `m` or `h`, and nothing else.
///
/// No sign, no fraction, no white space. Zero is refused: nothing in the configuration lasts no
/// time, and what can be turned off is left out instead.
///
/// ```
/// use core::time::Duration;
/// use pintle_core::syntax::duration::{DurationError, parse};
///
/// assert_eq!(parse("150ms"), Ok(Duration::from_millis(150)));
/// assert_eq!(parse("150"), Err(DurationError::UnknownUnit));
/// ```
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = text.strip_suffix(unit).unwrap_or_default();
    if digits.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(DurationError::UnknownUnit),
    };
    // Digits only, so that all that can go wrong is their number.
    let number: u64 = digits.parse().map_err(|_| DurationError::TooLong)?;
    match number.checked_mul(milliseconds) {
        None => Err(DurationError::TooLong),
        Some(0) => Err(DurationError::Zero),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// It does not start with a digit.
    NoNumber,
    /// What follows the digits is not one of the units, or there is nothing.
    UnknownUnit,
    /// It is no time at all.
    Zero,
    /// Its milliseconds do not fit 64 bits.
    TooLong,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "a duration starts with a whole number, as in 150ms",
            Self::UnknownUnit => "a duration ends with its unit: ms, s, m or h",
            Self::Zero => "a duration is longer than zero",
            Self::TooLong => "this duration is too long",
        })
    }
}

impl core::error::Error for DurationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        for (text, milliseconds) in [
            ("1ms", 1),
            ("150ms", 150),
            ("1s", 1_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("007s", 7_000),
            ("18446744073709551615ms", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for (text, error) in [
            ("", DurationError::NoNumber),
            ("s", DurationError::NoNumber),
            ("-1s", DurationError::NoNumber),
            ("+1s", DurationError::NoNumber),
            (" 1s", DurationError::NoNumber),
            (".5s", DurationError::NoNumber),
            ("\u{661}s", DurationError::NoNumber), // a digit, but not of ours
            ("1", DurationError::UnknownUnit),
            ("1.5s", DurationError::UnknownUnit),
            ("1e3s", DurationError::UnknownUnit),
            ("1 s", DurationError::UnknownUnit),
            ("1s ", DurationError::UnknownUnit),
            ("1S", DurationError::UnknownUnit),
            ("1d", DurationError::UnknownUnit),
            ("1us", DurationError::UnknownUnit),
            ("1m1s", DurationError::UnknownUnit),
            ("1s1", DurationError::UnknownUnit),
            ("0s", DurationError::Zero),
            ("000ms", DurationError::Zero),
            ("18446744073709551616ms", DurationError::TooLong),
            ("18446744073709551615s", DurationError::TooLong),
            ("99999999999999999999999999h", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }
}
