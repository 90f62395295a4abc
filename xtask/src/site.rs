//! `cargo xtask site`: the documentation as a site, in `target/site/html/`. Its pages are those of the
//! repository, and the links in both lead somewhere.

mod book;
mod follow;
mod links;
mod markdown;
mod reference;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use pintle_core::Policy;
use pintle_core::config::HashKey;

use crate::cargo::Workspace;
use crate::guard;
use crate::suite::{Ground, Tally};
use crate::tools;

/// What makes the site.
const MDBOOK: &str = "0.5.4";

/// With the search in the browser, and without what serves and watches: that is most of its dependencies.
const MDBOOK_FLAGS: [&str; 4] = ["--debug", "--no-default-features", "--features", "search"];

/// Builds it.
pub(crate) async fn make() -> Result<ExitCode> {
    let pages = build(&Workspace::find().await?).await?;
    println!("{}", pages.join("index.html").display());
    Ok(ExitCode::SUCCESS)
}

/// Builds it, and follows its links and those of the repository.
pub(crate) async fn run(ground: &Ground) -> Result<Tally> {
    let workspace = &ground.workspace;
    let mut tally = Tally::default();
    let complete = book::complete(&workspace.root);
    let reference = reference::current(&workspace.root);
    tally.record("repository", "docs/reference.md has every field", reference);
    tally.record("repository", "every page of docs/ is in docs/SUMMARY.md", complete);
    let links = links::broken(&workspace.root).and_then(|broken| {
        ensure!(broken.is_empty(), "{}", broken.join("\n"));
        Ok(())
    });
    tally.record("repository", "links and anchors of all Markdown", links);
    tally.record("repository", "the manifests in docs/migrating.md load", manifests(workspace));
    if let Err(error) = built(workspace, &mut tally).await {
        tally.skip("the site", &tools::absent(error)?)?;
    }
    Ok(tally)
}

/// That it builds, and that its links lead somewhere.
async fn built(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    mdbook(workspace).await?;
    let hyperlink = follow::hyperlink(workspace).await?;
    let built = build(workspace).await;
    if let Ok(pages) = &built {
        let followed = follow::whole(&hyperlink, pages).await;
        tally.record("site", "links and anchors of all pages", followed);
    }
    tally.record("site", "the book builds", built.map(drop));
    let finds = follow::finds(workspace, &hyperlink).await;
    tally.record("site", "what is broken is found", finds);
    Ok(())
}

/// Lays the pages out, has mdBook make HTML of them; gives the folder of that.
async fn build(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("site");
    book::lay_out(&workspace.root, &folder)?;
    let mut build = guard::command(mdbook(workspace).await?);
    build.arg("build").arg(&folder);
    guard::succeed(build, "mdbook build").await?;
    Ok(folder.join("html"))
}

async fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    tools::cargo_program(workspace, "mdbook", MDBOOK, &MDBOOK_FLAGS).await
}

/// The least number of configurations in manifests of `docs/migrating.md`.
const MANIFESTS: usize = 4;

/// What `docs/migrating.md` has people put into their manifests is what the filter takes.
fn manifests(workspace: &Workspace) -> Result<()> {
    let text = read(&workspace.root.join("docs/migrating.md"))?;
    let mut found = 0;
    for block in markdown::blocks(&text, "yaml") {
        let configurations = pintle_cli::find::configurations(block).map_err(|why| {
            anyhow::anyhow!("{}:{}: {}\n{block}", why.line, why.column, why.reason)
        })?;
        for configuration in configurations {
            let loaded = Policy::<pintle_core::NoFurther>::load(
                configuration.document.as_bytes(),
                HashKey::new([0; 16]),
            );
            let policy = loaded.with_context(|| format!("{}\n{block}", configuration.within))?;
            ensure!(!policy.is_inert(), "{} does nothing\n{block}", configuration.within);
            found += 1;
        }
    }
    ensure!(found >= MANIFESTS, "{found} configurations, not {MANIFESTS}");
    Ok(())
}

/// A file of text.
fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}
