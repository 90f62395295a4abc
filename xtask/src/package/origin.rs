//! Where a package comes from: version, commit, time.

use std::fmt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cargo::Workspace;
use crate::guard;

/// What stands behind a commit from which files differ.
const DIRTY: &str = "-dirty";

/// Asks for the time of the commit. Who has git show signatures would get more than that.
const TIME: [&str; 5] = ["-c", "log.showSignature=false", "log", "-1", "--format=%ct"];

/// It, as labels and names tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The version of the workspace.
    pub(crate) version: &'static str,
    /// The commit, `-dirty` behind it if files differ from it or are not in it. None outside of a repository
    /// of ours: where an archive was unpacked inside another project's, its commit says nothing of us.
    pub(crate) revision: Option<String>,
    /// The time that the package bears, in seconds since 1970: `SOURCE_DATE_EPOCH`
    /// (reproducible-builds.org), else the commit's, else 0. Never the time of the build, which would make
    /// every build another one.
    pub(crate) epoch: i64,
}

impl Origin {
    /// Asks the environment and git.
    pub(crate) async fn of(workspace: &Workspace) -> Result<Self> {
        let ours = is_repository(workspace).await;
        let revision = match git(workspace, &["rev-parse", "HEAD"]).await {
            Some(commit) if ours => {
                // New files count, whatever the user's configuration says: a build takes them in.
                let status = ["status", "--porcelain", "--untracked-files=normal"];
                let changes = git(workspace, &status);
                let dirty = changes.await.is_none_or(|changes| !changes.is_empty());
                Some(if dirty { format!("{commit}{DIRTY}") } else { commit })
            }
            _ => None,
        };
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(set) => set.parse().context("SOURCE_DATE_EPOCH is not a number of seconds")?,
            Err(_) => match git(workspace, &TIME).await {
                Some(seconds) if ours => seconds.parse().context("the time of the commit")?,
                _ => 0,
            },
        };
        Ok(Self { version: env!("CARGO_PKG_VERSION"), revision, epoch })
    }

    /// Whether a commit has every file as it is here, so that others can make the same package.
    pub(crate) fn is_committed(&self) -> bool {
        self.revision.as_ref().is_some_and(|revision| !revision.ends_with(DIRTY))
    }

    /// The time as RFC 3339 has it, in UTC.
    pub(crate) fn created(&self) -> Result<String> {
        let time = OffsetDateTime::from_unix_timestamp(self.epoch).context("SOURCE_DATE_EPOCH")?;
        time.format(&Rfc3339).context("SOURCE_DATE_EPOCH")
    }

    /// The version as part of a tag, where `+` may not stand.
    pub(crate) fn tag(&self) -> String {
        self.version.replace('+', "_")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.revision.as_deref().unwrap_or("no commit");
        write!(f, "{commit} of {}", self.epoch)
    }
}

/// Whether the workspace is a repository, and not a folder inside of one.
async fn is_repository(workspace: &Workspace) -> bool {
    let Some(top) = git(workspace, &["rev-parse", "--show-toplevel"]).await else { return false };
    match (Path::new(&top).canonicalize(), workspace.root.canonicalize()) {
        (Ok(top), Ok(root)) => top == root,
        _ => false,
    }
}

/// What git prints; nothing where there is no git or no repository.
async fn git(workspace: &Workspace, arguments: &[&str]) -> Option<String> {
    let mut git = guard::command("git");
    git.args(arguments).current_dir(&workspace.root).stderr(Stdio::null());
    let output = git.output().await.ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_tag() {
        let origin = Origin { version: "1.2.3-rc.1+build.7", revision: None, epoch: 1_700_000_000 };
        assert_eq!(origin.created().unwrap(), "2023-11-14T22:13:20Z");
        assert_eq!(origin.tag(), "1.2.3-rc.1_build.7");
    }

    #[test]
    fn committed() {
        for (revision, is) in [(None, false), (Some("0123-dirty"), false), (Some("0123"), true)] {
            let revision = revision.map(str::to_owned);
            assert_eq!(Origin { version: "1.2.3", revision, epoch: 0 }.is_committed(), is);
        }
    }
}
