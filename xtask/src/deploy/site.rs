//! One Envoy that runs a file of `deploy/envoy` as it is, but for ports and for where files are.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::Instant;

use super::document::{Act, Step};
use super::shown;
use crate::admin::Admin;
use crate::artefact::Artefact;
use crate::client;
use crate::envoy::Envoy;
use crate::guard;
use crate::log::{Log, Mark};
use crate::mesh::{make_empty, started};
use crate::suite::Ground;
use crate::yaml;

/// Where the files expect the artefacts, and what else they load.
pub(super) const INSTALLED: &str = "/etc/envoy/";
/// The mode of what has credentials in it, as `docs/envoy.md` installs it.
const PRIVATE: u32 = 0o640;
/// Of the workspace.
pub(super) const FOLDER: &str = "deploy/envoy";

/// What there is once around all files.
#[derive(Clone)]
pub(super) struct Around {
    /// In place of the upstream at `127.0.0.1:8080`.
    pub(super) upstream: SocketAddr,
    /// In place of the auth service at `auth.example.com:443`.
    pub(super) auth: SocketAddr,
    /// In place of the certificates of the system.
    pub(super) trusted: PathBuf,
}

/// A file of `deploy/envoy` with all it loads, in a folder of its own.
pub(super) struct Prepared {
    folder: PathBuf,
    /// The file.
    pub(super) configuration: PathBuf,
    /// The ports that it has, by the names of their listeners.
    pub(super) ports: BTreeMap<String, u16>,
    /// That of the admin interface.
    admin: Option<u16>,
}

/// An Envoy that runs; it ends with its handle.
pub(super) struct Site {
    /// Its admin interface.
    pub(super) admin: Admin,
    folder: PathBuf,
    addresses: BTreeMap<u16, SocketAddr>,
    log: Log,
    process: Child,
}

const START_PATIENCE: Duration = Duration::from_secs(60);
/// For what is shown to come: far more than it takes, as only a failure waits for its end.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// The one warning that Envoy has for all of them: how many connections a proxy can bear is for its owner to say.
pub(super) const EXPECTED: &str = "limit to the number of allowed active downstream connections";

/// The files of `deploy/envoy` that have Envoy run Pintle.
pub(super) fn configurations(ground: &Ground) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for file in entries(&ground.workspace.root.join(FOLDER))? {
        let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file.ends_with(".yaml") && file != "compose.yaml" && !needs(ground, &file)?.is_empty() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The artefacts that a file needs.
pub(super) fn needs(ground: &Ground, file: &str) -> Result<Vec<Artefact>> {
    let text = read(&ground.workspace.root.join(FOLDER).join(file))?;
    let mut needed = Vec::new();
    if text.contains("extensions.filters.http.wasm") {
        needed.push(Artefact::Wasm);
    }
    if text.contains("libpintle.so") {
        needed.push(Artefact::Native);
    }
    Ok(needed)
}

/// Lays out a file of `deploy/envoy` below `target/xtask`.
pub(super) fn prepare(
    ground: &Ground,
    envoy: &Envoy,
    label: &str,
    file: &str,
    around: &Around,
) -> Result<Prepared> {
    let workspace = &ground.workspace;
    let folder = workspace.target.join("xtask").join(format!("deploy-{}", envoy.version));
    let folder = folder.join(label);
    make_empty(&folder)?;
    let etc = folder.join("etc");
    for name in ["pintle.wasm", "pintle-headers.wasm", "libpintle.so"] {
        link(&workspace.dist().join(name), &etc.join(name))?;
    }
    let text = read(&workspace.root.join(FOLDER).join(file))?;
    let document = yaml::one(&text).context(file.to_owned())?;
    let port =
        |of: &Value| of.pointer("/address/socket_address/port_value")?.as_u64()?.try_into().ok();
    let mut ports = BTreeMap::new();
    for listener in document["static_resources"]["listeners"].as_array().into_iter().flatten() {
        let name = listener["name"].as_str().context("a listener without a name")?;
        let port: u16 = port(listener).with_context(|| format!("{name} has no port"))?;
        ports.insert(name.to_owned(), port);
    }
    let admin = port(&document["admin"]);
    let prepared = Prepared { configuration: folder.join(file), folder, ports, admin };
    for resource in entries(&workspace.root.join(FOLDER).join("ecds"))? {
        let name = resource.file_name().context("a file without a name")?;
        let copy = etc.join("ecds").join(name);
        write(&copy, &prepared.adapted(&read(&resource)?, around))?;
        std::fs::set_permissions(&copy, Permissions::from_mode(PRIVATE))
            .context("setting a mode")?;
    }
    write(&prepared.configuration, &prepared.adapted(&text, around))?;
    Ok(prepared)
}

impl Prepared {
    /// A text of `deploy/envoy` as it works here.
    fn adapted(&self, text: &str, around: &Around) -> String {
        let mut text = self.freed(&text.replace(INSTALLED, &self.etc()));
        let upstream = format!("port_value: {}", around.upstream.port());
        text = text.replace("port_value: 8080", &upstream);
        let auth = format!("address: 127.0.0.1, port_value: {}", around.auth.port());
        text = text.replace("address: auth.example.com, port_value: 443", &auth);
        let trusted = around.trusted.display().to_string();
        text.replace("/etc/ssl/certs/ca-certificates.crt", &trusted)
    }

    /// Any free ports in place of its own.
    fn freed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for port in self.ports.values().chain(&self.admin) {
            for end in [" ", "\n"] {
                text = text
                    .replace(&format!("port_value: {port}{end}"), &format!("port_value: 0{end}"));
            }
        }
        text
    }

    fn etc(&self) -> String {
        format!("{}/", self.folder.join("etc").display())
    }

    /// What [`INSTALLED`] stands for.
    pub(super) fn installed(&self) -> PathBuf {
        self.folder.join("etc")
    }

    /// `envoy --mode validate`; what it prints.
    pub(super) async fn validate(&self, envoy: &Envoy) -> Result<String> {
        let mut command = guard::command(&envoy.program);
        command.args(["--mode", "validate", "-c"]).arg(&self.configuration);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await;
        let output = output.context("starting Envoy")?;
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        ensure!(output.status.success(), "Envoy refuses it:\n{out}{err}");
        Ok(format!("{out}{err}"))
    }

    /// Starts Envoy with it.
    pub(super) async fn start(self, envoy: &Envoy, arguments: &[String]) -> Result<Site> {
        let file = |name: &str| {
            let file = self.folder.join(name);
            std::fs::File::create(&file).with_context(|| format!("creating {}", file.display()))
        };
        let mut command = guard::command(&envoy.program);
        command.arg("-c").arg(&self.configuration);
        command.args(arguments);
        command.arg("--admin-address-path").arg(self.folder.join("admin.address"));
        command.args(["--file-flush-interval-msec", "10"]);
        if !arguments.iter().any(|argument| argument == "--disable-hot-restart") {
            command.arg("--disable-hot-restart");
        }
        if self.admin.is_none() {
            let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
            let admin = json!({"admin": {"address": address}}).to_string();
            command.args(["--config-yaml", &admin]);
        }
        command.current_dir(&self.folder);
        command.stdout(file("access.log")?).stderr(file("envoy.log")?);
        let mut process = command.spawn().context("starting Envoy")?;
        let log = Log(self.folder.join("envoy.log"));
        let admin = started(&mut process, &self.folder, &log, START_PATIENCE, PAUSE).await;
        let admin =
            admin.with_context(|| format!("starting Envoy in {}", self.folder.display()))?;
        let listening = admin.listeners().await?;
        let mut addresses = BTreeMap::from_iter(self.admin.map(|port| (port, admin.0)));
        for (name, port) in &self.ports {
            let address = listening.get(name);
            addresses.insert(*port, *address.with_context(|| format!("{name} does not listen"))?);
        }
        Ok(Site { admin, folder: self.folder, addresses, log, process })
    }
}

impl Site {
    /// Where a port of the file is here.
    pub(super) fn address(&self, port: u16) -> Result<SocketAddr> {
        let address = self.addresses.get(&port);
        address.copied().with_context(|| format!("nobody listens on port {port}"))
    }

    /// What Envoy has written, access log first.
    pub(super) fn written(&self) -> Result<String> {
        let access = read(&self.folder.join("access.log"))?;
        Ok(access + &self.log.text_since(Mark::START)?)
    }

    /// An error if Envoy warns of anything about the file.
    pub(super) fn quiet(&self) -> Result<()> {
        let text = self.log.text_since(Mark::START)?;
        let loud = ["[warning]", "[error]", "[critical]"];
        let loud = |line: &&str| loud.iter().any(|level| line.contains(level));
        let lines = text.lines().filter(loud).filter(|line| !line.contains(EXPECTED));
        let lines: Vec<&str> = lines.collect();
        ensure!(lines.is_empty(), "Envoy logs:\n{}", lines.join("\n"));
        Ok(())
    }

    /// Does a step, and compares what comes of it with what is shown. Where the reader has `waited` for it, it may take
    /// longer here.
    pub(super) async fn step(&self, step: &Step, waited: bool) -> Result<()> {
        match &step.act {
            Act::Validate => bail!("not a step of an Envoy that runs"),
            Act::Shell(line) => self.shell(line).await,
            Act::Log => until(|| async { shown::among(&step.shown, &self.written()?) }).await,
            Act::Curl(curl) => {
                let address = self.address(curl.port)?;
                let admin = address == self.admin.0;
                let once = || async {
                    let reply = client::send(address, &curl.request).await?;
                    match admin {
                        true => shown::among(&step.shown, &String::from_utf8_lossy(&reply.body)),
                        false => shown::reply(&step.shown, &curl.printed(&reply)),
                    }
                };
                if admin || waited { until(once).await } else { once().await }
            }
        }
    }

    async fn shell(&self, line: &str) -> Result<()> {
        let etc = self.folder.join("etc");
        let mut shell = guard::command("sh");
        shell.arg("-c").arg(line.replace(INSTALLED, &format!("{}/", etc.display())));
        shell.current_dir(&etc);
        guard::succeed(shell, line).await
    }

    /// An error if what was done has let others read the credentials.
    pub(super) fn private(&self) -> Result<()> {
        for file in entries(&self.folder.join("etc/ecds"))? {
            let mode = std::fs::metadata(&file).context("asking for a mode")?.permissions().mode();
            ensure!(mode & 0o777 == PRIVATE, "{} has mode {mode:o}", file.display());
        }
        Ok(())
    }

    /// An error unless Envoy still runs.
    pub(super) fn alive(&mut self) -> Result<()> {
        match self.process.try_wait().context("asking after Envoy")? {
            None => Ok(()),
            Some(status) => Err(anyhow!("Envoy ended ({status}):\n{}", self.log.tail())),
        }
    }
}

/// Tries again and again until something holds; its last error if it never does.
pub(super) async fn until<F: Future<Output = Result<()>>>(check: impl Fn() -> F) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match check().await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            done => return done.with_context(|| format!("even after {PATIENCE:?}")),
        }
    }
}

/// Puts a file in the place of another at once, as `mv` does.
pub(super) fn replace(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    write(&new, text)?;
    std::fs::rename(&new, file).with_context(|| format!("writing {}", file.display()))
}

/// The files of a folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let at = || folder.display().to_string();
    let listed = std::fs::read_dir(folder).with_context(at)?;
    listed.map(|entry| Ok(entry.with_context(at)?.path())).collect()
}

/// The text of a file.
pub(super) fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().context("a file without a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

fn link(file: &Path, link: &Path) -> Result<()> {
    let folder = link.parent().context("a file without a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    std::os::unix::fs::symlink(file, link).with_context(|| format!("linking {}", link.display()))
}
