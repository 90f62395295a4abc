//! An image layout: a folder that holds an image (OCI image specification 1.1, "Image Layout").

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::mesh::make_empty;

/// The media type of an image's manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media type of an index of images.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The annotation that says under which tag an image goes.
pub(crate) const TAG: &str = "org.opencontainers.image.ref.name";

/// A layout while it is filled.
pub(crate) struct Layout(PathBuf);

impl Layout {
    /// An empty one.
    pub(crate) fn create(folder: PathBuf) -> Result<Self> {
        make_empty(&folder)?;
        make_empty(&folder.join("blobs/sha256"))?;
        write(&folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self(folder))
    }

    /// Adds content; its descriptor.
    pub(crate) fn add(&self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let digest = digest(bytes);
        let name = digest.trim_start_matches("sha256:");
        write(&self.0.join("blobs/sha256").join(name), bytes)?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}))
    }

    /// Adds a document; its descriptor. Its members are in the order of their names, as everywhere.
    pub(crate) fn add_json(&self, media_type: &str, document: &Value) -> Result<Value> {
        self.add(media_type, &serde_json::to_vec(document).context("rendering JSON")?)
    }

    /// Says what the layout is of, and under which tag.
    pub(crate) fn finish(self, mut descriptor: Value, tag: &str) -> Result<()> {
        descriptor["annotations"] = json!({TAG: tag});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]});
        let index = serde_json::to_vec(&index).context("rendering JSON")?;
        write(&self.0.join("index.json"), &index)
    }
}

/// The digest of content: `sha256:` and 64 hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

/// The SHA-256 of content in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_fips_180() {
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(b"abc"), abc);
    }
}
