//! A layer of an image: a tar archive in gzip, the same bytes for the same files.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::layout::digest;

/// A layer, and what an image's configuration says of it.
pub(crate) struct Layer {
    /// The archive in gzip.
    pub(crate) gzip: Vec<u8>,
    /// The digest of the archive as it is without gzip.
    pub(crate) diff_id: String,
}

/// Something in a layer.
pub(crate) enum Entry<'a> {
    /// A folder, which anyone may read.
    Folder,
    /// A file and its mode.
    File(&'a [u8], u32),
    /// Another name of a file that stands before it in the layer. A hard link and no symbolic one: what
    /// copies one file out of an image gets its content from either.
    Link(&'a str),
}

/// Makes a layer. Owner and time of every entry are 0, so that a version with the same files has the same
/// layer, which registries and nodes then keep once.
pub(crate) fn layer(entries: &[(&str, Entry<'_>)]) -> Result<Layer> {
    let mut archive = Builder::new(Vec::new());
    for (path, entry) in entries {
        add(&mut archive, path, entry).with_context(|| format!("adding {path} to a layer"))?;
    }
    let archive = archive.into_inner().context("ending a layer")?;
    // Neither a time nor a file's name nor this system's number are in the header.
    let mut gzip =
        GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    gzip.write_all(&archive).context("compressing a layer")?;
    let gzip = gzip.finish().context("compressing a layer")?;
    Ok(Layer { gzip, diff_id: digest(&archive) })
}

fn add(archive: &mut Builder<Vec<u8>>, path: &str, entry: &Entry<'_>) -> std::io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    match entry {
        Entry::Folder => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            archive.append_data(&mut header, path, std::io::empty())
        }
        Entry::File(bytes, mode) => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, path, *bytes)
        }
        Entry::Link(to) => {
            header.set_entry_type(EntryType::Link);
            header.set_mode(0o644);
            archive.append_link(&mut header, path, to)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_twice_and_nothing_of_this_machine() {
        let make = || {
            let entries = [
                ("bin/", Entry::Folder),
                ("bin/cp", Entry::File(b"program", 0o755)),
                ("b", Entry::Link("bin/cp")),
            ];
            layer(&entries).unwrap()
        };
        let (one, two) = (make(), make());
        assert_eq!(one.gzip, two.gzip);
        assert_eq!(one.diff_id, two.diff_id);
        // RFC 1952, section 2.3: no name, no comment; no time; an unknown system.
        assert_eq!(one.gzip[3..8], [0, 0, 0, 0, 0]);
        assert_eq!(one.gzip[9], 255);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&*one.gzip));
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            let numbers = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
            assert_eq!(numbers, (0, 0, 0));
            assert_eq!(header.username().unwrap().unwrap_or_default(), "");
        }
    }
}
