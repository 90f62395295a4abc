//! The platforms that the module is built for.

/// One of them, under the name that `docker` and Kubernetes have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Platform {
    /// x86-64.
    #[value(name = "linux/amd64")]
    Amd64,
    /// AArch64.
    #[value(name = "linux/arm64")]
    Arm64,
}

impl Platform {
    /// All, in the order in which an image index lists them: some readers take the first.
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one that runs this, if it is one of them.
    pub(crate) fn host() -> Option<Self> {
        if cfg!(not(target_os = "linux")) {
            return None;
        }
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The processor, as image configurations have it (Go's `GOARCH`).
    pub(crate) const fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's target with glibc.
    pub(crate) const fn gnu(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Rust's target for programs that need nothing of the system but its kernel.
    pub(crate) const fn musl(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }
}
