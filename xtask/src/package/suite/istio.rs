//! How Istio's agent gets a wasm module out of an image, and Envoy Gateway just so: a reader of our own for
//! the three shapes that both accept.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::super::images::{LAYER, WASM_CONTENT};
use super::image::Pulled;

/// The media type of an image in Docker's format.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const FILE: &str = "plugin.wasm";

/// The module of an image. Of anything but Docker's format, first as files are tried, then as an artifact.
pub(crate) fn module(image: &Pulled) -> Result<Vec<u8>> {
    if image.manifest["mediaType"] == DOCKER_MANIFEST {
        return from_files(image, DOCKER_LAYER);
    }
    from_files(image, LAYER).or_else(|files| {
        from_artifact(image).map_err(|artifact| anyhow!("{files:#}; and {artifact:#}"))
    })
}

/// In the last layer, a file of that name in any folder.
fn from_files(image: &Pulled, media_type: &str) -> Result<Vec<u8>> {
    let layer = image.layers().last().context("no layer")?;
    is(layer, media_type)?;
    let bytes = image.blob(layer)?;
    let mut archive = tar::Archive::new(GzDecoder::new(&*bytes));
    for entry in archive.entries().context("not tar in gzip")? {
        let mut entry = entry.context("not tar in gzip")?;
        if entry.path()?.file_name() == Path::new(FILE).file_name() {
            let mut module = Vec::new();
            entry.read_to_end(&mut module).context(FILE)?;
            return Ok(module);
        }
    }
    bail!("no {FILE} in the last layer")
}

/// Of exactly two layers the one of wasm's type, as it is.
fn from_artifact(image: &Pulled) -> Result<Vec<u8>> {
    let layers = image.layers();
    ensure!(layers.len() == 2, "{} layers, not 2", layers.len());
    let layer = layers.iter().find(|layer| is(layer, WASM_CONTENT).is_ok());
    image.blob(layer.with_context(|| format!("no layer of type {WASM_CONTENT}"))?)
}

fn is(layer: &Value, media_type: &str) -> Result<()> {
    let found = &layer["mediaType"];
    ensure!(found == media_type, "a layer of type {found}, not {media_type}");
    Ok(())
}
