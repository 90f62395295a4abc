//! `cargo xtask package`: the images in `dist/oci/`, made and pushed without Docker.
//!
//! What they hold, and for whom: `docs/images.md`.

mod bare;
mod builds;
mod contents;
mod elf;
mod images;
mod layer;
mod layout;
mod licences;
mod origin;
mod platform;
mod push;
mod sbom;
mod suite;
mod sums;
mod toolchain;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::cargo::Workspace;
use crate::mesh::make_empty;
use crate::tools;

use bare::Bare;
use builds::Files;
use contents::Contents;
use images::Written;
use origin::Origin;
use platform::Platform;
use push::{Consent, Destination};

pub(crate) use suite::run as test;

/// What `cargo xtask package` is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pushes the images to a repository, such as registry.example.com/team/pintle; with a tag behind it
    /// under that tag, else under the version, which only what is committed has, for all platforms. Needs
    /// skopeo, whose (and Docker's) logins it uses.
    #[arg(long, value_name = "REF")]
    push: Option<Destination>,
    /// Platforms of the module's image. Default: all.
    #[arg(long, value_enum, value_delimiter = ',')]
    platform: Vec<Platform>,
    #[command(flatten)]
    consent: Consent,
}

/// Makes them, and pushes them where that is asked for.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::find().await?;
    let mut platforms = match options.platform.is_empty() {
        true => Platform::ALL.to_vec(),
        false => options.platform,
    };
    platforms.sort_unstable();
    platforms.dedup();
    // Said before minutes of building, not after.
    let skopeo = options.push.as_ref().map(|_| push::skopeo()).transpose()?;
    if let Some(destination) = &options.push {
        destination.tag(&Origin::of(&workspace).await?, &platforms)?;
    }
    let folder = folder(&workspace);
    let made = make(&workspace, &folder, &platforms).await?;
    for image in &made.images {
        println!("{:28} {} {}", image.image.folder, image.digest, image.tag);
    }
    println!("in {}", folder.display());
    if let (Some(destination), Some(skopeo)) = (options.push, skopeo) {
        push::push(&skopeo, &folder, &made, &destination, options.consent).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was made.
pub(crate) struct Made {
    /// Where it comes from.
    origin: Origin,
    /// What was built for it.
    files: Files,
    /// The images, in the order of [`images::IMAGES`].
    images: Vec<Written>,
    /// As long as it is held nobody else makes any.
    _lock: File,
}

/// `dist/oci`.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.dist().join("oci")
}

/// Builds everything and fills a folder with it: image layouts, files, SBOMs, checksums. Until that is done
/// the folder is as it was.
async fn make(workspace: &Workspace, folder: &Path, platforms: &[Platform]) -> Result<Made> {
    let lock = tools::lock(workspace, "package").await?;
    let origin = Origin::of(workspace).await?;
    let files = builds::build(workspace, platforms).await?;
    for native in &files.native {
        elf::check_module(&native.module, native.platform)?;
        elf::check_static(&native.copier, native.platform)?;
    }
    let partial = folder.with_extension("partial");
    let images = pack(workspace, &partial, &files, &origin).await?;
    let now = Origin::of(workspace).await?;
    ensure!(now == origin, "the sources changed meanwhile: {origin}, then {now}");
    make_empty(folder)?;
    std::fs::rename(&partial, folder).with_context(|| format!("writing {}", folder.display()))?;
    Ok(Made { origin, files, images, _lock: lock })
}

/// Fills a folder with what was built.
async fn pack(
    workspace: &Workspace,
    folder: &Path,
    files: &Files,
    origin: &Origin,
) -> Result<Vec<Written>> {
    let bare = Bare::lay_out(workspace)?;
    let contents = Contents::of(&bare, files).await?;
    make_empty(folder)?;
    let images = images::write(workspace, folder, files, &contents, origin)?;
    sbom::write(workspace, folder, files, (&bare, &contents), origin).await?;
    sums::write(folder)?;
    Ok(images)
}
