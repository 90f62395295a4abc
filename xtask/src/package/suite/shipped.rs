//! The module as it is packaged: Zig has linked it, and with another library to unwind with than that of
//! `dist/libpintle.so`, on which the other suites run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::artefact::Artefact;
use crate::envoy::Envoy;
use crate::mesh::make_empty;
use crate::suite::{Ground, Tally};
use crate::{corpus, panics};

use super::super::platform::Platform;
use super::super::{Made, builds, images, layout};

/// The corpus runs on it, and one that panics on request, else the same, does so in its hooks.
pub(super) async fn run(
    ground: &Ground,
    envoy: &Envoy,
    (folder, made): (&Path, &Made),
    tally: &mut Tally,
) -> Result<()> {
    let Some(platform) = Platform::host() else { return Ok(()) };
    if !envoy.artefacts().contains(&Artefact::Native) {
        return Ok(());
    }
    let packaged = folder.join(images::module_file(&made.origin, platform));
    let files = BTreeMap::from([(Artefact::Native, packaged.clone())]);
    tally.add(corpus::on(ground, envoy, files).await?);
    let place = ground.workspace.target.join("xtask/package-panic");
    make_empty(&place)?;
    let panicking = place.join("libpintle.so");
    let module = builds::panicking_module(&ground.workspace, platform).await?;
    layout::write(&panicking, &module)?;
    let without = panics::without(&packaged, &panicking);
    tally.record("package", "no module in dist/oci/ panics on request", without);
    panics::of_module(ground, envoy, &panicking, tally).await
}
