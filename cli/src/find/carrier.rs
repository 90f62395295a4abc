//! What runs a configuration, and what is to be said of it.

use crate::place::Position;
use crate::tree::Node;

/// What runs a configuration, as far as a manifest tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carrier {
    /// Which of Pintle's files it is.
    pub artefact: Artefact,
    /// Where it says that requests pass unchecked while the filter does not run.
    pub fails_open: Option<Position>,
    /// What else will not work, or not as meant.
    pub remarks: Vec<Remark>,
}

/// Which of Pintle's files runs a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Artefact {
    /// Not told: the configuration stands by itself.
    #[default]
    Unknown,
    /// A wasm module, `pintle.wasm` unless it is the next.
    Wasm,
    /// By its name, `pintle-headers.wasm`, which sees no content.
    Headers,
    /// `libpintle.so`.
    Module,
}

/// Something that will not work as meant, in what stands around a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where.
    pub at: Position,
    /// Whether the proxy refuses it.
    pub is_error: bool,
    /// What it is.
    pub message: &'static str,
}

/// Why a remote file wants a `sha256`.
pub(super) const UNPINNED: &str =
    "no `sha256`: whoever can push to this address decides what runs in the proxy";

/// Whether an object says which file is meant.
pub(super) fn is_pinned(node: &Node<'_>) -> bool {
    node.field("sha256").and_then(Node::text).is_some_and(|sum| !sum.is_empty())
}

/// The names by which a file of code may be known.
pub(super) struct Names<'n>(pub(super) Vec<Option<&'n str>>);

impl Names<'_> {
    /// Whether one of them says that it is Pintle.
    pub(super) fn are_pintles(&self) -> bool {
        self.0.iter().flatten().any(|name| mentions_pintle(name))
    }

    /// Which wasm module of Pintle's it is.
    pub(super) fn wasm(&self) -> Artefact {
        let headers = self.mention("pintle-headers") || self.mention("pintle_headers");
        if headers { Artefact::Headers } else { Artefact::Wasm }
    }

    fn mention(&self, word: &str) -> bool {
        self.0.iter().flatten().any(|name| name.to_ascii_lowercase().contains(word))
    }
}

/// Whether a name says that something is Pintle's.
pub(super) fn mentions_pintle(name: &str) -> bool {
    name.to_ascii_lowercase().contains("pintle")
}

impl Carrier {
    pub(super) fn of(artefact: Artefact) -> Self {
        Self { artefact, ..Self::default() }
    }

    pub(super) fn fails_open(self, at: Option<&Node<'_>>) -> Self {
        Self { fails_open: at.map(|node| node.at).or(self.fails_open), ..self }
    }

    pub(super) fn warn(mut self, at: Option<Position>, message: &'static str) -> Self {
        self.remarks.extend(at.map(|at| Remark { at, is_error: false, message }));
        self
    }

    pub(super) fn refuse(mut self, at: Option<Position>, message: &'static str) -> Self {
        self.remarks.extend(at.map(|at| Remark { at, is_error: true, message }));
        self
    }
}
