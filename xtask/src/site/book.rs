//! The pages as mdBook wants them: in one folder, laid out as in the repository, so that every link among
//! them holds in both.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::links::{Target, target};
use super::{markdown, read};
use crate::mesh::make_empty;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Every page of `docs/` is a chapter.
pub(super) fn complete(root: &Path) -> Result<()> {
    let chapters = chapters(root)?;
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(root.join("docs")).context("listing docs/")? {
        let name = entry.context("listing docs/")?.file_name();
        let page = format!("docs/{}", name.to_string_lossy());
        if page.ends_with(".md") && page != SUMMARY && !chapters.contains(&page) {
            missing.push(page);
        }
    }
    ensure!(missing.is_empty(), "not there: {}", missing.join(", "));
    Ok(())
}

/// Writes into `folder` what mdBook makes the site of: the chapters of the summary, the pages that they
/// link to, and copies of the files that all of these link to.
pub(super) fn lay_out(root: &Path, folder: &Path) -> Result<()> {
    let source = folder.join("src");
    make_empty(&source)?;
    copy(root, "docs/book.toml", &folder.join("book.toml"))?;
    let mut listed: BTreeSet<String> = chapters(root)?.into_iter().collect();
    let mut summary = summary(root)?;
    let mut heading = "\n# Elsewhere in the repository\n\n";
    let mut queue: VecDeque<String> = listed.iter().cloned().collect();
    while let Some(page) = queue.pop_front() {
        let text = read(&root.join(&page))?;
        let fitted = fit(root, &page, &text).with_context(|| page.clone())?;
        write(&source.join(&page), &fitted.text)?;
        for file in fitted.files {
            copy(root, &file, &source.join(&file))?;
        }
        for page in fitted.pages {
            if !listed.contains(&page) {
                let title = markdown::title(&read(&root.join(&page))?);
                let title = title.unwrap_or_else(|| page.clone());
                writeln!(summary, "{heading}- [{title}]({page})").context("the summary")?;
                heading = "";
                queue.push_back(page.clone());
                listed.insert(page);
            }
        }
    }
    write(&source.join("SUMMARY.md"), &summary)
}

/// The pages that the summary lists, by their paths from the root.
fn chapters(root: &Path) -> Result<Vec<String>> {
    let mut chapters = Vec::new();
    for link in markdown::links(&read(&root.join(SUMMARY))?) {
        let Target::Here(path, None) = target(SUMMARY, &link.destination) else {
            bail!("{SUMMARY} links to {}", link.destination);
        };
        chapters.push(path);
    }
    Ok(chapters)
}

/// The summary, as seen from the root.
fn summary(root: &Path) -> Result<String> {
    let summary = read(&root.join(SUMMARY))?;
    let mut edits = Vec::new();
    for link in markdown::links(&summary) {
        if let Target::Here(path, None) = target(SUMMARY, &link.destination) {
            edits.push((destination(&summary, &link)?, path));
        }
    }
    Ok(edited(&summary, edits))
}

/// A page that has its place in the site, and what it links to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fitted {
    text: String,
    pages: Vec<String>,
    files: Vec<String>,
}

/// A link to a folder becomes one to the page of that name in it, or plain text where there is none: a site
/// lists no folders.
fn fit(root: &Path, page: &str, text: &str) -> Result<Fitted> {
    let mut fitted = Fitted::default();
    let mut edits = Vec::new();
    for link in markdown::links(text) {
        let Target::Here(path, _) = target(page, &link.destination) else { continue };
        let file = root.join(&path);
        if file.is_dir() && file.join("README.md").is_file() {
            let slash = if link.destination.ends_with('/') { "" } else { "/" };
            let readme = format!("{}{slash}README.md", link.destination);
            edits.push((destination(text, &link)?, readme));
            fitted.pages.push(format!("{path}/README.md"));
        } else if file.is_dir() {
            ensure!(link.inline, "a link to {} that has no text here", link.destination);
            let shown = text.get(link.text.clone()).unwrap_or_default();
            edits.push((link.whole, shown.to_string()));
        } else if path.ends_with(".md") {
            fitted.pages.push(path);
        } else {
            fitted.files.push(path);
        }
    }
    fitted.text = edited(text, edits);
    Ok(fitted)
}

/// Where the destination of a link stands in its page.
fn destination(text: &str, link: &markdown::Link) -> Result<Range<usize>> {
    let whole = text.get(link.whole.clone()).unwrap_or_default();
    let at = whole.rfind(&format!("]({}", link.destination));
    let at = at.with_context(|| format!("no destination in {whole}"))?;
    let start = link.whole.start + at + 2;
    Ok(start..start + link.destination.len())
}

/// The text with other text in places that do not overlap.
fn edited(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(place, _)| place.start);
    let mut edited = text.to_string();
    for (place, new) in edits.into_iter().rev() {
        edited.replace_range(place, &new);
    }
    edited
}

fn copy(root: &Path, file: &str, to: &Path) -> Result<()> {
    let from = root.join(file);
    let bytes = std::fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
    write(to, bytes)
}

fn write(file: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let folder = file.parent().context("a file without a folder")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(file, content))
        .with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{complete, fit, lay_out};
    use crate::mesh::make_empty;

    #[test]
    fn a_page_is_fitted_and_what_it_links_to_follows() {
        let root = std::env::temp_dir().join(format!("pintle-book-{}", std::process::id()));
        make_empty(&root).unwrap();
        let write = |name: &str, text: &str| super::write(&root.join(name), text).unwrap();
        write("README.md", "# Read me\n\n[docs](docs/a.md)\n");
        write("docs/book.toml", "");
        write("docs/SUMMARY.md", "# Summary\n\n[Start](../README.md)\n\n- [A](a.md)\n");
        let page = "# A\n\n[deploy](../deploy), [**core**](../core/), [pic](../b/c.svg), [a](https://a.example)\n";
        write("docs/a.md", page);
        write("deploy/README.md", "# Deploy\n");
        write("core/lib.rs", "");
        write("b/c.svg", "<svg/>");
        complete(&root).unwrap();

        let fitted = fit(&root, "docs/a.md", "[core](../core)").unwrap();
        assert_eq!(fitted.text, "core");
        lay_out(&root, &root.join("site")).unwrap();
        let read = |name: &str| std::fs::read_to_string(root.join("site/src").join(name)).unwrap();
        assert_eq!(
            read("SUMMARY.md"),
            "# Summary\n\n[Start](README.md)\n\n- [A](docs/a.md)\n\n# Elsewhere in the repository\n\n\
             - [Deploy](deploy/README.md)\n"
        );
        assert_eq!(
            read("docs/a.md"),
            "# A\n\n[deploy](../deploy/README.md), **core**, [pic](../b/c.svg), [a](https://a.example)\n"
        );
        assert_eq!(read("b/c.svg"), "<svg/>");
        assert!(!root.join("site/src/core").exists());

        write("docs/z.md", "# Z\n");
        assert!(complete(&root).unwrap_err().to_string().contains("docs/z.md"));
        write("docs/a.md", "[x](../x.svg)");
        assert!(lay_out(&root, &root.join("site")).is_err());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
