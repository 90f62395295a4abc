//! From values to places along an axis.

/// Fewer ticks than these show no scale.
const FEWEST_TICKS: usize = 3;

/// Beyond the least and the greatest value.
const ROOM: f64 = 1.15;

/// An axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// From nothing to this.
    Linear(f64),
    /// From a value to a value, both above nothing.
    Log(f64, f64),
}

impl Scale {
    /// From nothing, with some room above the greatest value.
    pub(crate) fn linear(values: impl Iterator<Item = f64>) -> Self {
        Self::Linear(values.fold(f64::MIN_POSITIVE, f64::max) * ROOM)
    }

    /// Around all values that have a logarithm, with some room.
    pub(crate) fn log(values: impl Iterator<Item = f64>) -> Self {
        let (least, greatest) = values
            .filter(|value| *value > 0.0)
            .fold((f64::MAX, f64::MIN_POSITIVE), |(least, greatest), value| {
                (least.min(value), greatest.max(value))
            });
        match least <= greatest {
            true => Self::Log(least / ROOM, greatest * ROOM),
            false => Self::Log(1.0, 10.0),
        }
    }

    /// Where on the axis a value stands: below its foot, on it.
    pub(crate) fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear(_) => value.max(0.0),
            Self::Log(least, _) => value.max(least).log10(),
        }
    }

    /// The ends of the axis.
    pub(crate) fn ends(self) -> std::ops::Range<f64> {
        match self {
            Self::Linear(greatest) => 0.0..greatest,
            Self::Log(least, greatest) => least.log10()..greatest.log10(),
        }
    }

    /// Values to read others by.
    pub(crate) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(greatest) => steps(0.0, greatest),
            Self::Log(least, greatest) => {
                let digits: [&[f64]; 3] =
                    [&[1.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0]];
                let some = digits.iter().map(|digits| decades(least, greatest, digits));
                some.into_iter()
                    .find(|ticks| ticks.len() >= FEWEST_TICKS)
                    .unwrap_or_else(|| steps(least, greatest))
            }
        }
    }
}

/// These digits in every power of ten.
fn decades(least: f64, greatest: f64, digits: &[f64]) -> Vec<f64> {
    let powers = least.log10().floor() as i32..=greatest.log10().ceil() as i32;
    let all = powers.flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
    all.filter(|tick| (least..=greatest).contains(tick)).collect()
}

/// Six at most, as far apart as 1, 2 or 5 of a power of ten.
fn steps(least: f64, greatest: f64) -> Vec<f64> {
    let rough = (greatest - least) / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(power);
    let first = (least / step).ceil() as i64;
    let last = (greatest / step).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::Linear(26_000.0).ticks(), [0.0, 5e3, 10e3, 15e3, 20e3, 25e3]);
        assert_eq!(Scale::Log(90.0, 12_000.0).ticks(), [100.0, 1_000.0, 10_000.0]);
        assert_eq!(Scale::Log(150.0, 3_000.0).ticks(), [200.0, 500.0, 1_000.0, 2_000.0]);
        assert_eq!(Scale::Log(170.0, 290.0).ticks(), [180.0, 200.0, 220.0, 240.0, 260.0, 280.0]);
    }

    #[test]
    fn nothing_has_a_scale() {
        assert_eq!(Scale::log(std::iter::empty()), Scale::Log(1.0, 10.0));
        assert!(Scale::linear(std::iter::empty()).ends().end > 0.0);
    }
}
