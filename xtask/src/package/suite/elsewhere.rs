//! The same package from another folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cargo::Workspace;

use super::super::platform::Platform;
use super::super::{Made, builds, pack, sums};
use super::read;

/// What of the repository is no source.
const BUILT: [&str; 3] = [".git", "dist", "target"];

/// Builds in a copy of the sources, with a folder of its own for all that Cargo makes, and packs what comes of
/// it: the same bytes. Of the modules only that for this machine is built there; the other takes as long again.
pub(super) async fn same(workspace: &Workspace, folder: &Path, made: &Made) -> Result<()> {
    let elsewhere = workspace_elsewhere(workspace)?;
    let host = Platform::host();
    let mut files = builds::build(&elsewhere, host.as_slice()).await?;
    let rest = made.files.native.iter().filter(|native| Some(native.platform) != host);
    files.native.extend(rest.cloned());
    files.native.sort_by_key(|native| native.platform);
    let again = workspace.target.join("xtask/package-again");
    pack(&elsewhere, &again, &files, &made.origin).await?;
    let (one, two) = (sums::files(folder)?, sums::files(&again)?);
    ensure!(one == two, "the files are {one:?}, and then {two:?}");
    for file in one {
        let same = read(&folder.join(&file))? == read(&again.join(&file))?;
        ensure!(same, "{} differs", file.display());
    }
    Ok(())
}

/// What Cargo has made there before stays: it is of that folder, too.
fn workspace_elsewhere(workspace: &Workspace) -> Result<Workspace> {
    let folder = workspace.target.join("xtask/package-elsewhere");
    let (root, target) = (folder.join("a folder of sources"), folder.join("built"));
    copy(&workspace.root, &root, &workspace.target)?;
    fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
    // The same programs, which need not be fetched once more.
    let tools = target.join("tools");
    let _ = fs::remove_file(&tools);
    symlink(workspace.target.join("tools"), &tools)
        .with_context(|| format!("linking {}", tools.display()))?;
    Ok(Workspace { root, target })
}

/// Makes a folder of sources like another one, without what is built in it. What is so already keeps its time, by
/// which Cargo knows it.
fn copy(from: &Path, to: &Path, built: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    let sources = entries(from)?;
    for gone in entries(to)?.iter().filter(|name| !sources.contains(name)) {
        let gone = to.join(gone);
        match gone.is_dir() {
            true => fs::remove_dir_all(&gone),
            false => fs::remove_file(&gone),
        }
        .with_context(|| format!("removing {}", gone.display()))?;
    }
    for name in &sources {
        let (from, to) = (from.join(name), to.join(name));
        if from == built {
            continue;
        }
        if from.is_dir() {
            copy(&from, &to, built)?;
        } else if !fs::read(&to).is_ok_and(|there| read(&from).is_ok_and(|here| here == there)) {
            fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
    }
    Ok(())
}

/// The names in a folder of sources.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let name = entry.with_context(reading)?.file_name();
        if !BUILT.iter().any(|built| name == *built) {
            names.push(name.into());
        }
    }
    Ok(names)
}
