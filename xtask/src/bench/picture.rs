//! SVG pictures of the results, for light and dark pages alike.

mod bars;
mod cost;
mod costs;
mod growth;
mod labels;
mod latency;
mod lines;
mod memory;
mod page;
mod palette;
mod scale;
mod scenarios;
#[cfg(test)]
mod tests;
mod text;

use anyhow::Result;

use super::results::Results;
use costs::Costs;

/// A picture of the results.
pub(crate) struct Picture {
    /// The name of its file, without `.svg`.
    pub(crate) name: &'static str,
    /// What it shows, for those who cannot see it.
    pub(crate) alt: String,
    /// The file.
    pub(crate) svg: String,
}

/// The pictures that there are figures for.
pub(crate) fn all(results: &Results) -> Result<Vec<Picture>> {
    let costs = Costs::of(results);
    let pictures = [
        cost::draw(results, &costs)?,
        scenarios::draw(results, &costs)?,
        growth::draw(results, &costs)?,
        latency::draw(results)?,
        memory::draw(results)?,
    ];
    Ok(pictures.into_iter().flatten().collect())
}
