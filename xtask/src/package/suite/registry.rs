//! A registry on loopback: the reference implementation, as Debian packages it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use serde_json::json;
use tokio::process::Child;
use tokio::time::Instant;

use crate::{client, guard};

use super::super::layout::{INDEX, MANIFEST, digest};

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A running one; ends with its handle.
pub(crate) struct Registry {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _process: Child,
}

/// A manifest as a registry gives it.
pub(crate) struct Manifest {
    /// It.
    pub(crate) bytes: Bytes,
    /// Its digest.
    pub(crate) digest: String,
    /// What the registry says it is.
    pub(crate) media_type: String,
}

impl Registry {
    /// Starts one that keeps what it gets in `folder/registry`.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        // It takes no port 0; somebody else may get this one meanwhile, which is then a clear error.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .context("looking for a free port")?;
        let config = json!({
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": folder.join("registry")}},
            "http": {"addr": address.to_string()},
        });
        let file = folder.join("registry.yaml");
        std::fs::write(&file, config.to_string())
            .context("writing the registry's configuration")?;
        let log = std::fs::File::create(folder.join("registry.log"))?;
        let mut command = guard::command("docker-registry");
        command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(log);
        let mut process = command.spawn().context("starting docker-registry")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = process.try_wait().context("asking after docker-registry")? {
                bail!("docker-registry ended ({status}), see {}/registry.log", folder.display());
            }
            let reply = client::send(address, &client::get("/v2/")).await;
            if reply.is_ok_and(|reply| reply.status == 200) {
                return Ok(Self { address, _process: process });
            }
            ensure!(Instant::now() < deadline, "docker-registry is not ready within {PATIENCE:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The manifest or index under a tag.
    pub(crate) async fn manifest(&self, repository: &str, tag: &str) -> Result<Manifest> {
        let mut request = client::get(&format!("/v2/{repository}/manifests/{tag}"));
        let accepted = format!("{MANIFEST}, {INDEX}");
        request.message.fields.push(("accept".into(), accepted.into_bytes()));
        let reply = client::send(self.address, &request).await?;
        ensure!(reply.status == 200, "the registry says {} of {tag}", reply.status);
        let media_type = reply.field("content-type").context("a manifest without a type")?;
        let media_type = String::from_utf8_lossy(media_type).into_owned();
        Ok(Manifest { digest: digest(&reply.body), bytes: reply.body, media_type })
    }
}
