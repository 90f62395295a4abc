//! Figures as people read them.

use crate::bench::statistics::Spread;

/// Where there is no figure.
pub(crate) const MISSING: &str = "–";

/// Three significant digits, or all before the point with separators.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return MISSING.into();
    }
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    if rounded == 0.0 {
        return "0".into();
    }
    if rounded.abs() >= 1000.0 {
        return separated(value);
    }
    let decimals = (2.0 - rounded.abs().log10().floor()) as usize;
    format!("{rounded:.decimals$}")
}

/// The figure, if there is one.
pub(crate) fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.into(), number)
}

/// A whole number with separators.
pub(crate) fn count(value: u64) -> String {
    separated(value as f64)
}

/// The least and the greatest.
pub(crate) fn range(spread: Option<Spread>) -> String {
    match spread {
        Some(spread) => format!("{} to {}", number(spread.min), number(spread.max)),
        None => MISSING.into(),
    }
}

/// Bytes in MiB.
pub(crate) fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

/// Bytes in KiB.
pub(crate) fn kib(bytes: f64) -> f64 {
    bytes / 1024.0
}

/// A whole number with separators.
pub(crate) fn separated(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value.round() < 0.0 { "-" } else { "" });
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{count, number, range, separated, shown};
    use crate::bench::statistics::Spread;

    #[test]
    fn three_digits_or_separators() {
        let cases = [
            (0.0, "0"),
            (0.000_123_45, "0.000123"),
            (0.7567, "0.757"),
            (0.9999, "1.00"),
            (9.996, "10.0"),
            (42.04, "42.0"),
            (999.4, "999"),
            (999.6, "1,000"),
            (8645.4, "8,645"),
            (1_234_567.0, "1,234,567"),
            (-1.5, "-1.50"),
            (-12345.0, "-12,345"),
            (-0.2, "-0.200"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text, "{value}");
        }
        assert_eq!(shown(None), "–");
        assert_eq!(count(100), "100");
        assert_eq!(separated(-0.2), "0");
        assert_eq!(range(Spread::of(&[2.0, 1.0, 4.0])), "1.00 to 4.00");
    }
}
