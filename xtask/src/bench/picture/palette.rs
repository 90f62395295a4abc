//! Colours that stand out from white and from near-black, so that one file serves both.

use plotters::style::{Color, RGBAColor, RGBColor};

use crate::bench::subject::Subject;

/// Of text, axes and what belongs to no subject.
pub(crate) const INK: RGBColor = RGBColor(110, 122, 136);

/// Of lines to read values by.
pub(crate) fn grid() -> RGBAColor {
    INK.mix(0.25)
}

/// What stands for a subject: ours in colour, all others in greys.
pub(crate) const fn colour(subject: Subject) -> RGBColor {
    match subject {
        Subject::Native => RGBColor(224, 87, 11),
        Subject::Wasm => RGBColor(139, 92, 246),
        Subject::WasmHeaders => RGBColor(192, 80, 170),
        Subject::Envoy => RGBColor(98, 122, 146),
        Subject::Lua => RGBColor(132, 130, 98),
        Subject::Go => RGBColor(146, 120, 138),
        Subject::None | Subject::IdleNative | Subject::IdleWasm => RGBColor(122, 122, 122),
    }
}

/// Whether it is one of our files.
pub(crate) const fn is_ours(subject: Subject) -> bool {
    subject.artefact().is_some()
}

/// Whether it does nothing, and so shows what an ABI costs by itself.
pub(crate) const fn is_floor(subject: Subject) -> bool {
    matches!(subject, Subject::IdleNative | Subject::IdleWasm)
}

#[cfg(test)]
mod tests {
    use plotters::style::RGBColor;

    use super::{INK, colour};
    use crate::bench::subject::Subject;

    const LIGHT: RGBColor = RGBColor(0xff, 0xff, 0xff);
    const DARK: RGBColor = RGBColor(0x0d, 0x11, 0x17);

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: RGBColor) -> f64 {
        let linear = |byte: u8| match f64::from(byte) / 255.0 {
            low if low <= 0.04045 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(colour.0) + 0.7152 * linear(colour.1) + 0.0722 * linear(colour.2)
    }

    fn contrast(one: RGBColor, other: RGBColor) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        (one / other).max(other / one)
    }

    #[test]
    fn every_colour_stands_out_from_light_and_dark() {
        for colour in Subject::ALL.map(colour).into_iter().chain([INK]) {
            for page in [LIGHT, DARK] {
                assert!(contrast(colour, page) >= 3.5, "{colour:?} on {page:?}");
            }
        }
    }
}
