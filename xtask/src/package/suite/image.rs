//! An image on disk, as skopeo leaves it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::mesh::make_empty;

use super::super::layout;
use super::read;

/// An image that was pulled.
pub(crate) struct Pulled {
    /// Its manifest, or index.
    pub(crate) manifest: Value,
    blobs: PathBuf,
}

impl Pulled {
    /// The one image of a layout.
    pub(crate) fn of_layout(folder: &Path) -> Result<Self> {
        let index: Value = serde_json::from_slice(&read(&folder.join("index.json"))?)?;
        let mut pulled = Self { manifest: Value::Null, blobs: folder.join("blobs/sha256") };
        pulled.manifest = serde_json::from_slice(&pulled.blob(&index["manifests"][0])?)?;
        Ok(pulled)
    }

    /// The image in a folder of skopeo's `dir:`.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self> {
        let manifest = serde_json::from_slice(&read(&folder.join("manifest.json"))?)?;
        Ok(Self { manifest, blobs: folder.to_owned() })
    }

    /// The content that a descriptor describes.
    pub(crate) fn blob(&self, descriptor: &Value) -> Result<Vec<u8>> {
        let digest = descriptor["digest"].as_str().context("a descriptor without a digest")?;
        let name = digest.strip_prefix("sha256:").context("another digest than SHA-256")?;
        let bytes = read(&self.blobs.join(name))?;
        ensure!(layout::digest(&bytes) == digest, "not what {digest} stands for");
        ensure!(descriptor["size"] == bytes.len(), "{digest} is of another size");
        Ok(bytes)
    }

    /// Its layers.
    pub(crate) fn layers(&self) -> &[Value] {
        self.manifest["layers"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Puts the files of its one layer into a folder.
    pub(crate) fn unpack(&self, folder: &Path) -> Result<()> {
        let [layer] = self.layers() else { anyhow::bail!("{} layers", self.layers().len()) };
        make_empty(folder)?;
        let bytes = self.blob(layer)?;
        tar::Archive::new(GzDecoder::new(&*bytes)).unpack(folder).context("unpacking a layer")
    }
}
