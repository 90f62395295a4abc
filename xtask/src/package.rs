//! `cargo xtask package`: the images in `dist/oci/`, made and pushed without Docker.
//!
//! What they hold, and for whom: `docs/images.md`.

mod builds;
mod elf;
mod images;
mod layer;
mod layout;
mod origin;
mod platform;
mod push;
mod sbom;
mod suite;
mod sums;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::Workspace;
use crate::mesh::make_empty;

use images::Written;
use origin::Origin;
use platform::Platform;
use push::{Consent, Destination};

pub(crate) use suite::run as test;

/// What `cargo xtask package` is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pushes the images to a repository, such as registry.example.com/team/pintle; with a tag behind it
    /// under that tag, else under the version, which only what is committed has. Needs skopeo, whose (and
    /// Docker's) logins it uses.
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
        destination.tag(&Origin::of(&workspace).await?)?;
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
    /// The images, in the order of [`images::IMAGES`].
    images: Vec<Written>,
}

/// `dist/oci`.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.dist().join("oci")
}

/// Builds everything and fills a folder with it: image layouts, files, SBOMs, checksums.
async fn make(workspace: &Workspace, folder: &Path, platforms: &[Platform]) -> Result<Made> {
    let origin = Origin::of(workspace).await?;
    let files = builds::build(workspace, platforms).await?;
    for native in &files.native {
        elf::check_module(&native.module, native.platform)?;
        elf::check_static(&native.copier, native.platform)?;
    }
    make_empty(folder)?;
    let images = images::write(workspace, folder, &files, &origin)?;
    sbom::write(workspace, folder, &files, &origin).await?;
    sums::write(folder)?;
    Ok(Made { origin, images })
}
