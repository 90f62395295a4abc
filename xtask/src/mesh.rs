//! A client, one Envoy and an upstream, on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use pintle_core::testing::corpus::{LogLine, Request};
use serde_json::Value;
use tokio::process::Child;
use tokio::time::Instant;

use crate::access_log::{AccessLog, Entry};
use crate::admin::Admin;
use crate::authority::{Authority, Refusing};
use crate::bootstrap::{self, Listener};
use crate::cargo::Workspace;
use crate::client::{self, Connection, Reply};
use crate::clusters::{self, Addresses};
use crate::envoy::Envoy;
use crate::guard;
use crate::log::{self, Log, Mark};
use crate::upstream::{Answer, Arrival, CASE, Upstream};

/// Loading hundreds of configurations into wasm takes a while.
const START_PATIENCE: Duration = Duration::from_secs(120);
const UPDATE_PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);

/// A running Envoy with its upstream and auth service; all end with their handle.
pub(crate) struct Mesh {
    /// What Envoy forwards to.
    pub(crate) upstream: Upstream,
    /// Where callouts go.
    pub(crate) authority: Authority,
    /// Envoy's admin interface.
    pub(crate) admin: Admin,
    /// Envoy's log.
    pub(crate) log: Log,
    access_log: AccessLog,
    listeners: BTreeMap<String, SocketAddr>,
    notes: Vec<String>,
    folder: PathBuf,
    process: Child,
    exchanges: AtomicU32,
    _refusing: Refusing,
}

/// What may differ from mesh to mesh.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The keys under which filters may leave values.
    pub(crate) notes: Vec<String>,
    /// Worker threads.
    pub(crate) workers: u32,
    /// Levels of loggers, as `--component-log-level` takes them.
    pub(crate) log_levels: &'static str,
    /// Further names for the auth service.
    pub(crate) clusters: Vec<String>,
    /// Clusters of others, and where these listen.
    pub(crate) services: Vec<(String, SocketAddr)>,
    /// Envoy's `stats_config`. None: as docs/metrics.md has it.
    pub(crate) stats: Option<Value>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            notes: Vec::new(),
            workers: 1,
            log_levels: log::LEVELS,
            clusters: Vec::new(),
            services: Vec::new(),
            stats: None,
        }
    }
}

/// One request, and all that came of it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// What the field [`CASE`] of the request said.
    pub(crate) case: String,
    /// What the client saw.
    pub(crate) reply: Reply,
    /// What the upstream saw; more than one is a fault.
    pub(crate) arrivals: Vec<Arrival>,
    /// What Envoy wrote down.
    pub(crate) entry: Entry,
    /// What filters logged meanwhile.
    pub(crate) logs: Vec<LogLine>,
}

/// What became of a new set of listeners.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// Whether Envoy took all of it.
    pub(crate) accepted: bool,
    /// What Envoy logged meanwhile.
    pub(crate) log: String,
}

impl Mesh {
    /// Starts an Envoy whose filters may leave values under the keys `notes`. Its files go below
    /// `target/xtask/<label>`. A listener that Envoy refuses is missing, and the others work.
    pub(crate) async fn start(
        workspace: &Workspace,
        envoy: &Envoy,
        label: &str,
        listeners: &[Listener],
        notes: &[String],
    ) -> Result<Self> {
        let setup = Setup { notes: notes.to_vec(), ..Setup::default() };
        Self::start_as(workspace, envoy, label, listeners, setup).await
    }

    /// Starts an Envoy of a certain setup; else as [`start`](Self::start).
    pub(crate) async fn start_as(
        workspace: &Workspace,
        envoy: &Envoy,
        label: &str,
        listeners: &[Listener],
        setup: Setup,
    ) -> Result<Self> {
        let folder = workspace.target.join("xtask").join(format!("{label}-{}", envoy.version));
        make_empty(&folder)?;
        let upstream = Upstream::start().await?;
        let (authority, refusing) = (Authority::start().await?, Refusing::new()?);
        let addresses = Addresses {
            upstream: upstream.address,
            authority: authority.address,
            refusing: refusing.address,
        };
        let mut clusters = clusters::clusters(addresses, &setup.clusters);
        let service = |(name, address): &(String, _)| clusters::service(name, *address);
        clusters.extend(setup.services.iter().map(service));
        let mut bootstrap = bootstrap::bootstrap(&folder.join("listeners.json"), clusters);
        if let Some(stats) = &setup.stats {
            bootstrap["stats_config"] = stats.clone();
        }
        write_json(&folder.join("envoy.json"), &bootstrap)?;
        let access_log = folder.join("access.log");
        write_json(
            &folder.join("listeners.json"),
            &bootstrap::discovery(listeners, &access_log, &setup.notes),
        )?;
        let mut process = spawn(envoy, &folder, &setup)?;
        let log = Log(folder.join("envoy.log"));
        let started = started(&mut process, &folder, &log, START_PATIENCE, PAUSE).await;
        let admin = started
            .with_context(|| format!("starting Envoy {} in {}", envoy.version, folder.display()))?;
        let mut mesh = Self {
            upstream,
            authority,
            admin,
            log,
            access_log: AccessLog::new(access_log),
            listeners: BTreeMap::new(),
            notes: setup.notes,
            folder,
            process,
            exchanges: AtomicU32::new(0),
            _refusing: refusing,
        };
        mesh.listeners = mesh.admin.listeners().await?;
        Ok(mesh)
    }

    /// Where a listener listens.
    pub(crate) fn address(&self, listener: &str) -> Result<SocketAddr> {
        let refused =
            || format!("Envoy refused the listener {listener}, see {}", self.log.0.display());
        self.listeners.get(listener).copied().with_context(refused)
    }

    /// Why Envoy refused a listener, and what filters said meanwhile of any configuration.
    pub(crate) async fn refusal(&self, listener: &str) -> Result<String> {
        let mut text = self.admin.refused().await?.remove(listener).unwrap_or_default();
        for line in self.log.lines_since(Mark::START)?.iter().filter(|line| line.level == "error") {
            text = format!("{text}\n{}", line.message);
        }
        Ok(format!("{text}\nsee {}", self.log.0.display()))
    }

    /// Whether Envoy took a listener.
    pub(crate) fn has(&self, listener: &str) -> bool {
        self.listeners.contains_key(listener)
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn exchange(
        &self,
        listener: &str,
        request: &Request,
        answer: Answer,
    ) -> Result<Exchange> {
        let mut connection = Connection::open(self.address(listener)?, request.http).await?;
        self.exchange_on(&mut connection, request, answer).await
    }

    /// Sends one request on a connection that is open.
    pub(crate) async fn exchange_on(
        &self,
        connection: &mut Connection,
        request: &Request,
        answer: Answer,
    ) -> Result<Exchange> {
        let (case, request) = self.labelled(request);
        self.upstream.expect(&case, answer);
        let mark = self.log.mark();
        let reply = connection.send(&request).await;
        let arrivals = self.upstream.take(&case);
        let reply =
            reply.with_context(|| format!("{} requests reached the upstream", arrivals.len()))?;
        let entry = self.access_log.entry(&case).await?;
        Ok(Exchange { case, reply, arrivals, entry, logs: self.log.lines_since(mark)? })
    }

    /// A request with the field that tells it from all others, and the value of that field.
    pub(crate) fn labelled(&self, request: &Request) -> (String, Request) {
        let case = format!("exchange-{}", self.exchanges.fetch_add(1, Ordering::Relaxed));
        let mut request = request.clone();
        request.message.fields.push((CASE.into(), case.clone().into_bytes()));
        (case, request)
    }

    /// What Envoy wrote down about a request that was [`labelled`](Self::labelled).
    pub(crate) async fn entry(&self, case: &str) -> Result<Entry> {
        self.access_log.entry(case).await
    }

    /// Gives Envoy another set of listeners, as a control plane would.
    pub(crate) async fn update(&mut self, listeners: &[Listener]) -> Result<Update> {
        let update = self.push(listeners).await?;
        self.listeners = self.admin.listeners().await?;
        Ok(update)
    }

    /// Likewise, and goes on with the addresses that are known: a listener that is changed keeps its
    /// own.
    pub(crate) async fn push(&self, listeners: &[Listener]) -> Result<Update> {
        let mark = self.log.mark();
        let before = self.updates().await?;
        let file = self.folder.join("listeners.json");
        let new = self.folder.join("listeners.new.json");
        write_json(
            &new,
            &bootstrap::discovery(listeners, &self.folder.join("access.log"), &self.notes),
        )?;
        // Envoy watches for a file that is moved to this name.
        std::fs::rename(&new, &file).with_context(|| format!("writing {}", file.display()))?;
        let deadline = Instant::now() + UPDATE_PATIENCE;
        loop {
            let after = self.updates().await?;
            if after != before
                && self.admin.stat("listener_manager.total_listeners_warming").await? == 0
            {
                return Ok(Update {
                    accepted: after.1 == before.1,
                    log: self.log.text_since(mark)?,
                });
            }
            if Instant::now() > deadline {
                bail!(
                    "Envoy took no notice of new listeners within {UPDATE_PATIENCE:?}:\n{}",
                    self.log.tail()
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Updates of the listeners: how many were taken, how many refused.
    pub(crate) async fn updates(&self) -> Result<(u64, u64)> {
        let taken = self.admin.stat("listener_manager.lds.update_success").await?;
        Ok((taken, self.admin.stat("listener_manager.lds.update_rejected").await?))
    }

    /// Where Envoy writes the access log.
    pub(crate) fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// The process.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.process.id().context("Envoy has ended")
    }

    /// Returns with its status when Envoy has ended.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(UPDATE_PATIENCE, self.process.wait()).await;
        ended
            .map_err(|_| anyhow!("Envoy did not end within {UPDATE_PATIENCE:?}"))?
            .context("asking after Envoy")
    }

    /// An error unless Envoy still runs.
    pub(crate) fn alive(&mut self) -> Result<()> {
        match self.process.try_wait().context("asking after Envoy")? {
            None => Ok(()),
            Some(status) => Err(anyhow!("Envoy ended ({status}):\n{}", self.log.tail())),
        }
    }
}

fn spawn(envoy: &Envoy, folder: &Path, setup: &Setup) -> Result<Child> {
    let log = std::fs::File::create(folder.join("envoy.log")).context("creating the log")?;
    let mut command = guard::command(&envoy.program);
    command
        .arg("--config-path")
        .arg(folder.join("envoy.json"))
        .arg("--admin-address-path")
        .arg(folder.join("admin.address"))
        .args(["--concurrency", &setup.workers.to_string(), "--disable-hot-restart"])
        .args(["--file-flush-interval-msec", "10"])
        .args([
            "--log-format",
            log::FORMAT,
            "--log-level",
            "info",
            "--component-log-level",
            setup.log_levels,
        ])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().with_context(|| format!("starting {}", envoy.program.display()))
}

/// Waits, looking now and then, until an Envoy that was told to leave its admin address in
/// `folder/admin.address` is ready.
pub(crate) async fn started(
    process: &mut Child,
    folder: &Path,
    log: &Log,
    patience: Duration,
    pause: Duration,
) -> Result<Admin> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = process.try_wait().context("asking after Envoy")? {
            bail!("it ended at once ({status}):\n{}", log.tail());
        }
        let address = std::fs::read_to_string(folder.join("admin.address")).unwrap_or_default();
        if let Ok(address) = address.trim().parse()
            && client::send(address, &client::get("/ready"))
                .await
                .is_ok_and(|reply| reply.status == 200)
        {
            return Ok(Admin(address));
        }
        if Instant::now() > deadline {
            bail!("it was not ready within {patience:?}:\n{}", log.tail());
        }
        tokio::time::sleep(pause).await;
    }
}

/// Makes a folder, without what was in it.
pub(crate) fn make_empty(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("emptying {}", folder.display()));
        }
        _ => {}
    }
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}

fn write_json(file: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("rendering JSON")?;
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
