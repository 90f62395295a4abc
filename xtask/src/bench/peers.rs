//! What is built to be compared with: the Go plug-in, and modules that do nothing.

mod go;
mod idle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::progress::Progress;
use super::subject::Subject;
use crate::cargo::Workspace;

/// The files that are not the artefacts, by subject.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    files: BTreeMap<Subject, PathBuf>,
    missing: Vec<String>,
}

impl Peers {
    /// Builds what there are tools for.
    pub(crate) async fn build(workspace: &Workspace, progress: &Progress) -> Result<Self> {
        let mut peers = Self::default();
        progress.say("building the modules that do nothing");
        peers.files.insert(Subject::IdleNative, idle::build_native(workspace).await?);
        peers.files.insert(Subject::IdleWasm, idle::build_wasm(workspace)?);
        progress.say("building the Go plug-in");
        match go::build(workspace).await? {
            Ok(file) => drop(peers.files.insert(Subject::Go, file)),
            Err(install) => peers.missing.push(install),
        }
        Ok(peers)
    }

    /// Whether a subject can take part.
    pub(crate) fn have(&self, subject: Subject) -> bool {
        let built = matches!(subject, Subject::Go | Subject::IdleNative | Subject::IdleWasm);
        !built || self.files.contains_key(&subject)
    }

    /// The file of a subject.
    pub(crate) fn file(&self, subject: Subject) -> Option<&Path> {
        self.files.get(&subject).map(PathBuf::as_path)
    }

    /// What could not be built, and what to install for it.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.missing.clone()
    }
}
