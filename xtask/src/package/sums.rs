//! `SHA256SUMS`: the checksum of every file of a package.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::layout;

/// The file of them.
pub(crate) const NAME: &str = "SHA256SUMS";

/// Writes it, for `sha256sum --check`, in the order of the names.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let mut lines = String::new();
    for file in files(folder)? {
        let whole = folder.join(&file);
        let bytes =
            std::fs::read(&whole).with_context(|| format!("reading {}", whole.display()))?;
        lines.push_str(&format!("{}  {}\n", layout::hex(&bytes), file.display()));
    }
    layout::write(&folder.join(NAME), lines.as_bytes())
}

/// All files below a folder, as paths from there, sorted.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let place = folder.join(&below);
        let reading = || format!("reading {}", place.display());
        for entry in std::fs::read_dir(&place).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let path = below.join(entry.file_name());
            match entry.file_type().with_context(reading)?.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}
