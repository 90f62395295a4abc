//! Follows the links of built pages, with hyperlink, which knows no network.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo::Workspace;
use crate::guard;
use crate::mesh::make_empty;
use crate::tools;

const HYPERLINK: &str = "0.3.2";

/// Without the optimisations of its release profile, which take longer than our pages.
const HYPERLINK_FLAGS: [&str; 1] = ["--debug"];

/// No link of these pages is broken.
pub(super) async fn whole(hyperlink: &Path, pages: &Path) -> Result<()> {
    let output = follow(hyperlink, pages).await?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(())
}

/// Pages with a broken link and a broken anchor are told from such without.
pub(super) async fn finds(workspace: &Workspace, hyperlink: &Path) -> Result<()> {
    let folder = workspace.target.join("site-broken");
    for (link, is_broken) in [
        ("other.html", false),
        ("other.html#there", false),
        ("nowhere.html", true),
        ("other.html#nowhere", true),
    ] {
        make_empty(&folder)?;
        let page = format!("<!DOCTYPE html><title>a</title><a href=\"{link}\">b</a>");
        let other = "<!DOCTYPE html><title>b</title><h1 id=\"there\">b</h1>";
        for (name, text) in [("index.html", page.as_str()), ("other.html", other)] {
            let file = folder.join(name);
            std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        let output = follow(hyperlink, &folder).await?;
        let said = said(&output);
        ensure!(output.status.success() != is_broken, "{link}: {}\n{said}", output.status);
        ensure!(!is_broken || said.contains("nowhere"), "{link}: not named in\n{said}");
    }
    Ok(())
}

/// The program.
pub(super) async fn hyperlink(workspace: &Workspace) -> Result<PathBuf> {
    tools::cargo_program(workspace, "hyperlink", HYPERLINK, &HYPERLINK_FLAGS).await
}

async fn follow(hyperlink: &Path, pages: &Path) -> Result<Output> {
    let mut follow = guard::command(hyperlink);
    follow.arg(pages).arg("--check-anchors").stdout(Stdio::piped()).stderr(Stdio::piped());
    follow.output().await.context("starting hyperlink")
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
