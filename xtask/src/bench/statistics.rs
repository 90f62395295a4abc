//! Medians and spreads of few samples.

/// The middle of the samples; none of none.
pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    Some(Spread::of(samples)?.median)
}

/// Where samples lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The least.
    pub(crate) min: f64,
    /// The middle.
    pub(crate) median: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl Spread {
    /// None of no samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let upper = *sorted.get(half)?;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(*sorted.get(half - 1)?, upper),
            _ => upper,
        };
        Some(Self { min, median, max })
    }

    /// Of many samples, without the tenth that is least and the tenth that is greatest.
    pub(crate) fn of_most(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let tenth = sorted.len() / 10;
        Self::of(sorted.get(tenth..sorted.len() - tenth)?)
    }

    /// How far samples lie from the middle at most, as a share of it.
    pub(crate) fn noise(self) -> f64 {
        let far = (self.max - self.median).max(self.median - self.min);
        if self.median == 0.0 { 0.0 } else { far / self.median.abs() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, median};

    #[test]
    fn middle_and_ends() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let spread = Spread::of(&[90.0, 100.0, 130.0]).unwrap();
        assert_eq!((spread.min, spread.max, spread.noise()), (90.0, 130.0, 0.3));
        assert_eq!(Spread::of_most(&[90.0, 100.0, 130.0]), Some(spread));
        let mut many = [100.0; 20];
        many[7] = 1e6;
        assert_eq!(Spread::of_most(&many).unwrap().max, 100.0);
        assert_eq!(Spread::of_most(&[]), None);
    }
}
