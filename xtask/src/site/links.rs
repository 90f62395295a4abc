//! Links in the repository's Markdown: to files, and to headings in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{markdown, read};

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Out of the repository: another scheme.
    Elsewhere,
    /// To a file or a folder, by its path from the root, and there to an anchor if one is named.
    Here(String, Option<String>),
    /// To nowhere: above the root.
    Nowhere,
}

/// Where a link on a page leads; the page by its path from the root.
pub(super) fn target(page: &str, destination: &str) -> Target {
    if has_scheme(destination) {
        return Target::Elsewhere;
    }
    let (path, anchor) = match destination.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_string())),
        None => (destination, None),
    };
    if path.is_empty() {
        return Target::Here(page.to_string(), anchor);
    }
    let mut segments: Vec<&str> = page.split('/').collect();
    segments.pop();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                if segments.pop().is_none() {
                    return Target::Nowhere;
                }
            }
            segment => segments.push(segment),
        }
    }
    match path.starts_with('/') {
        true => Target::Nowhere,
        false => Target::Here(segments.join("/"), anchor),
    }
}

/// `https:` and the like (RFC 3986 section 3.1).
fn has_scheme(destination: &str) -> bool {
    destination.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// Every link below `root` that leads nowhere, with its page and line.
pub(super) fn broken(root: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    for page in pages_below(root)? {
        let text = read(&root.join(&page))?;
        pages.insert(page, text);
    }
    let anchors: BTreeMap<&str, Vec<String>> =
        pages.iter().map(|(page, text)| (page.as_str(), markdown::anchors(text))).collect();
    let leads_somewhere = |page: &str, destination: &str| match target(page, destination) {
        Target::Elsewhere => true,
        Target::Nowhere => false,
        Target::Here(path, None) => root.join(path).exists(),
        Target::Here(path, Some(anchor)) => {
            anchors.get(path.as_str()).is_some_and(|anchors| anchors.contains(&anchor))
        }
    };
    let mut broken = Vec::new();
    for (page, text) in &pages {
        for link in markdown::links(text) {
            if !leads_somewhere(page, &link.destination) {
                let before = text.get(..link.whole.start).unwrap_or_default();
                let line = 1 + before.matches('\n').count();
                broken.push(format!("{page}:{line}: {}", link.destination));
            }
        }
    }
    Ok(broken)
}

/// The pages of a repository, by their paths from its root: all Markdown but that of what is built.
fn pages_below(root: &Path) -> Result<Vec<String>> {
    let mut pages = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(root.join(&folder))
            .with_context(|| format!("listing {}", root.join(&folder).display()))?;
        for entry in entries {
            let entry = entry.context("listing a folder")?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().context("listing a folder")?.is_dir();
            if is_folder && !name.starts_with('.') && name != "target" && name != "dist" {
                folders.push(folder.join(name));
            } else if !is_folder && name.ends_with(".md") {
                pages.push(folder.join(name).to_string_lossy().into_owned());
            }
        }
    }
    pages.sort();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::{Target, broken, target};
    use crate::mesh::make_empty;

    #[test]
    fn where_links_lead() {
        let here =
            |path: &str, anchor: Option<&str>| Target::Here(path.into(), anchor.map(Into::into));
        assert_eq!(target("docs/a.md", "b.md"), here("docs/b.md", None));
        assert_eq!(target("docs/a.md", "../b/./c.md#d"), here("b/c.md", Some("d")));
        assert_eq!(target("docs/a.md", "#d"), here("docs/a.md", Some("d")));
        assert_eq!(target("a.md", "b/"), here("b", None));
        assert_eq!(target("docs/a.md", "../../b"), Target::Nowhere);
        assert_eq!(target("docs/a.md", "/b"), Target::Nowhere);
        for elsewhere in ["https://a.example/#b", "mailto:a@a.example"] {
            assert_eq!(target("docs/a.md", elsewhere), Target::Elsewhere);
        }
    }

    #[test]
    fn what_is_broken_is_found() {
        let root = std::env::temp_dir().join(format!("pintle-links-{}", std::process::id()));
        make_empty(&root.join("docs")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write(
            "docs/a.md",
            "# A\n\n[b](../b.md#b-c), [b](../b.md#no), [x](x.md)\n[d](../d.txt#no)\n",
        );
        write("b.md", "# B, `c`\n\n[root](/docs/a.md), [docs](docs), [a](docs/a.md#a)\n");
        write("d.txt", "");
        let found = broken(&root).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            found,
            [
                "b.md:3: /docs/a.md",
                "docs/a.md:3: ../b.md#no",
                "docs/a.md:3: x.md",
                "docs/a.md:4: ../d.txt#no"
            ]
        );
    }
}
