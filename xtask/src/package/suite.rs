//! The images are what registries and hosts ask for, and what is pulled from a registry runs.

mod bills;
mod elsewhere;
mod image;
mod istio;
mod registry;
mod shipped;
mod stage;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::cargo::Workspace;
use crate::envoy::Envoy;
use crate::mesh::make_empty;
use crate::suite::{Ground, Tally};
use crate::{guard, tools};

use super::images::{self, IMAGES, Image};
use super::origin::Origin;
use super::platform::Platform;
use super::{Made, builds, elf, sums};

use image::Pulled;

/// Makes a package, looks at it, and takes it through a registry to an Envoy.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    let workspace = &ground.workspace;
    let folder = super::folder(workspace);
    let made = match super::make(workspace, &folder, &Platform::ALL).await {
        Ok(made) => made,
        Err(error) => {
            tally.skip("packaging", &tools::absent(error)?)?;
            return Ok(tally);
        }
    };
    let place = "package";
    let same = elsewhere::same(workspace, &folder, &made).await;
    tally.record(place, "the same bytes from another folder", same);
    let nothing = nothing_of_this_machine(workspace, &folder, &made);
    tally.record(place, "no folder of this machine is named in any file", nothing);
    tally.record(place, "every file is as SHA256SUMS says", summed(&folder).await);
    match tools::on_path("git") {
        Some(_) => {
            let origin = commit(workspace).await;
            tally.record(place, "the commit is our repository's, or none", origin);
        }
        None => tally.skip("the commit of a package", "git")?,
    }
    tally.record(place, "images say what they are", labels(&folder, &made));
    tally.record(place, "bills of materials name what is in a file", bills::check(&folder, &made));
    for platform in Platform::ALL {
        let what = format!(
            "the module for linux/{} needs Envoy and glibc of {}.{} at most, and exports its hooks",
            platform.architecture(),
            builds::GLIBC.0,
            builds::GLIBC.1
        );
        let file = folder.join(images::module_file(&made.origin, platform));
        let result = read(&file).and_then(|file| elf::check_module(&file, platform));
        tally.record(place, what, result);
    }
    shipped::run(ground, envoy, (&folder, &made), &mut tally).await?;
    for (program, package) in [("docker-registry", "docker-registry"), ("skopeo", "skopeo")] {
        if tools::on_path(program).is_none() {
            let missing = format!("{program} (the Debian package {package})");
            tally.skip("images through a registry", &missing)?;
            return Ok(tally);
        }
    }
    stage::run(ground, envoy, &folder, &made, &mut tally).await?;
    Ok(tally)
}

/// A GnuPG that signs and vouches for everything.
const GPG: &str = "#!/bin/sh
case \"$*\" in
*--verify*) echo 'a good signature' >&2 ;;
*)
    cat >/dev/null
    echo '[GNUPG:] SIG_CREATED ' >&2
    echo '-----BEGIN PGP SIGNATURE-----'
    echo '-----END PGP SIGNATURE-----'
    ;;
esac
";

/// In a repository of its own, in a folder inside of that, and in the repository with a new file in it. The
/// user has git sign commits and show that.
async fn commit(workspace: &Workspace) -> Result<()> {
    let root = workspace.target.join("xtask/package-origin");
    let inside = root.join("inside");
    make_empty(&root)?;
    make_empty(&inside)?;
    let user = ["-c", "user.name=Nobody", "-c", "user.email=nobody@invalid"];
    let save = ["commit", "--quiet", "--allow-empty", "--gpg-sign", "-m", "one"];
    let gpg = workspace.target.join("xtask/package-gpg");
    let writing = || format!("writing {}", gpg.display());
    std::fs::write(&gpg, GPG).with_context(writing)?;
    std::fs::set_permissions(&gpg, PermissionsExt::from_mode(0o755)).with_context(writing)?;
    let gpg = gpg.to_string_lossy();
    for arguments in [
        ["init", "--quiet"].to_vec(),
        ["config", "gpg.format", "openpgp"].to_vec(),
        ["config", "gpg.program", &gpg].to_vec(),
        ["config", "log.showSignature", "true"].to_vec(),
        [&user[..], &save].concat(),
    ] {
        let mut git = guard::command("git");
        git.args(arguments).current_dir(&root);
        guard::succeed(git, "git").await?;
    }
    let of = |root: &Path| Workspace { root: root.to_owned(), target: workspace.target.clone() };
    let origin = Origin::of(&of(&root)).await?;
    ensure!(origin.is_committed(), "in a repository: {:?}", origin.revision);
    let archive = Origin::of(&of(&inside)).await?;
    ensure!(archive.revision.is_none(), "inside of a repository: {:?}", archive.revision);
    let set = std::env::var_os("SOURCE_DATE_EPOCH").is_some();
    ensure!(set || archive.epoch == 0, "inside of a repository: its time, {}", archive.epoch);
    let file = root.join("new.rs");
    std::fs::write(&file, "").with_context(|| format!("writing {}", file.display()))?;
    let dirty = Origin::of(&of(&root)).await?;
    ensure!(dirty.revision.is_some(), "with a new file: no commit");
    ensure!(!dirty.is_committed(), "with a new file: {:?}", dirty.revision);
    Ok(())
}

fn nothing_of_this_machine(workspace: &Workspace, folder: &Path, made: &Made) -> Result<()> {
    let folders = builds::folders(workspace, &made.files.toolchain);
    let mut unpacked = 0;
    for file in sums::files(folder)? {
        let mut bytes = read(&folder.join(&file))?;
        // The copier is in layers alone.
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut archive = Vec::new();
            GzDecoder::new(&*bytes).read_to_end(&mut archive).context("unpacking a layer")?;
            bytes = archive;
            unpacked += 1;
        }
        for (named, _) in &folders {
            let named = named.to_string_lossy();
            let found = memchr::memmem::find(&bytes, named.as_bytes()).is_some();
            ensure!(!found, "{} names {named}", file.display());
        }
    }
    ensure!(unpacked == 4, "{unpacked} layers of files");
    Ok(())
}

async fn summed(folder: &Path) -> Result<()> {
    let listed = String::from_utf8(read(&folder.join(sums::NAME))?)?;
    let lines = listed.lines().count();
    let files = sums::files(folder)?.len() - 1;
    ensure!(lines == files, "{lines} lines for {files} files");
    let mut check = guard::command("sha256sum");
    check.args(["--check", "--strict", "--quiet", sums::NAME]).current_dir(folder);
    guard::succeed(check, "sha256sum --check").await
}

/// The labels of each image, as annotations and, where containers could be started from it, in its
/// configuration.
fn labels(folder: &Path, made: &Made) -> Result<()> {
    for image in &IMAGES {
        let index = Pulled::of_layout(&folder.join(image.folder))?;
        let mut manifests = vec![index.manifest.clone()];
        if let Some(each) = index.manifest["manifests"].as_array() {
            for descriptor in each {
                manifests.push(serde_json::from_slice(&index.blob(descriptor)?)?);
            }
        }
        for manifest in manifests {
            let annotations = &manifest["annotations"];
            check_labels(annotations, image, made).with_context(|| image.folder.to_owned())?;
            if manifest["config"]["mediaType"] == images::CONFIG {
                let config: Value = serde_json::from_slice(&index.blob(&manifest["config"])?)?;
                check_labels(&config["config"]["Labels"], image, made)
                    .with_context(|| format!("{}, configuration", image.folder))?;
            }
        }
    }
    Ok(())
}

fn check_labels(labels: &Value, image: &Image, made: &Made) -> Result<()> {
    let expected = [
        ("title", Some(image.title.to_owned())),
        ("version", Some(made.origin.version.to_owned())),
        ("created", Some(made.origin.created()?)),
        ("revision", made.origin.revision.clone()),
        ("base.name", None),
    ];
    for (name, value) in expected {
        let found = labels[format!("org.opencontainers.image.{name}")].as_str();
        ensure!(found == value.as_deref(), "{name} is {found:?}, not {value:?}");
    }
    let licences = labels["org.opencontainers.image.licenses"].as_str().unwrap_or_default();
    let named: Vec<&str> = licences.split(" AND ").collect();
    for licence in ["(Apache-2.0 OR MIT)", "Apache-2.0", "BSD-3-Clause", "Zlib"] {
        ensure!(named.contains(&licence), "{licence} is missing in the licences {licences}");
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}
