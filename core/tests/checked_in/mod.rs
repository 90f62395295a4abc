//! Files that are made from the code and checked in.

use std::path::{Path, PathBuf};

/// A file, by its path from the root of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Whether whoever runs the tests wants such files written anew.
pub(crate) fn bless() -> bool {
    std::env::var_os("PINTLE_BLESS").is_some_and(|value| value == "1")
}

/// How to bring them up to date.
pub(crate) const HOW: &str =
    "PINTLE_BLESS=1 cargo test -p pintle-core --all-features writes it anew";
