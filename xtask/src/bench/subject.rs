//! Who does the job.

use serde::{Deserialize, Serialize};

use crate::artefact::Artefact;

/// A way to run a filter.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// Nothing between client and router.
    None,
    /// `dist/libpintle.so`.
    Native,
    /// `dist/pintle.wasm`.
    Wasm,
    /// `dist/pintle-headers.wasm`: the same, without the content of responses.
    WasmHeaders,
    /// The filters that Envoy brings along.
    Envoy,
    /// Envoy's Lua filter.
    Lua,
    /// A proxy-wasm module in Go.
    Go,
    /// A dynamic module that does nothing: what the ABI costs by itself.
    IdleNative,
    /// A proxy-wasm module that does nothing.
    IdleWasm,
}

impl Subject {
    /// In the order of reports.
    pub(crate) const ALL: [Self; 9] = [
        Self::None,
        Self::Native,
        Self::Wasm,
        Self::WasmHeaders,
        Self::Envoy,
        Self::Lua,
        Self::Go,
        Self::IdleNative,
        Self::IdleWasm,
    ];

    /// The name in reports.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::Native => "libpintle.so",
            Self::Wasm => "pintle.wasm",
            Self::WasmHeaders => "pintle-headers.wasm",
            Self::Envoy => "Envoy's own",
            Self::Lua => "Lua",
            Self::Go => "Go (wasm)",
            Self::IdleNative => "idle module",
            Self::IdleWasm => "idle wasm",
        }
    }

    /// The name on the command line, in files and in results.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::WasmHeaders => "wasm-headers",
            Self::Envoy => "envoy",
            Self::Lua => "lua",
            Self::Go => "go",
            Self::IdleNative => "idle-native",
            Self::IdleWasm => "idle-wasm",
        }
    }

    /// Whether there is something in it that does what the scenario says.
    pub(crate) const fn does_the_job(self) -> bool {
        !matches!(self, Self::None | Self::IdleNative | Self::IdleWasm)
    }

    /// The artefact that it is.
    pub(crate) const fn artefact(self) -> Option<Artefact> {
        match self {
            Self::Native => Some(Artefact::Native),
            Self::Wasm | Self::WasmHeaders => Some(Artefact::Wasm),
            _ => None,
        }
    }

    /// Whether it takes part in a quick run.
    pub(crate) const fn quick(self) -> bool {
        matches!(self, Self::None | Self::Native | Self::Wasm | Self::WasmHeaders | Self::Envoy)
    }
}
