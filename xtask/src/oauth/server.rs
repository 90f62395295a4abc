//! The authorization server: idpyoidc in a venv, and what a client of it does.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::cargo::Workspace;
use crate::client::{self, Reply};
use crate::{guard, tools};

/// What is installed.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Python compiles some hundred modules when it starts for the first time.
const START_PATIENCE: Duration = Duration::from_secs(120);

const LOGIN: &str = "/authorization?client_id=web&response_type=code&scope=read+write&state=x\
                     &redirect_uri=https%3A%2F%2Fweb.example.com%2Fcallback";
const CALLBACK: &str = "redirect_uri=https%3A%2F%2Fweb.example.com%2Fcallback";
/// `web:web-secret`
const WEB: &str = "Basic d2ViOndlYi1zZWNyZXQ=";
/// `orders:orders-secret`
const ORDERS: &str = "Basic b3JkZXJzOm9yZGVycy1zZWNyZXQ=";

/// A running server; it ends with its handle.
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
    _process: Child,
}

impl Server {
    /// Starts it with a Python that has what it needs.
    pub(super) async fn start(workspace: &Workspace, python: &Path) -> Result<Self> {
        let folder = workspace.target.join("oauth");
        std::fs::create_dir_all(&folder).context("creating its folder")?;
        let log = std::fs::File::create(folder.join("server.log")).context("creating its log")?;
        let mut command = guard::command(python);
        command.arg(workspace.root.join("xtask/src/oauth/server.py"));
        command.stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn().with_context(|| python.display().to_string())?;
        let output = process.stdout.take().context("it has no output")?;
        let mut line = String::new();
        tokio::time::timeout(START_PATIENCE, BufReader::new(output).read_line(&mut line))
            .await
            .with_context(|| format!("no port within {START_PATIENCE:?}"))?
            .context("reading its port")?;
        let port = line.trim().parse();
        let port = port.with_context(|| format!("no port: see {}", folder.display()))?;
        Ok(Self { address: (Ipv4Addr::LOCALHOST, port).into(), _process: process })
    }

    /// An access token of the user's for the client `web`, as a browser gets it for her.
    pub(super) async fn log_in(&self) -> Result<String> {
        let reply = client::send(self.address, &client::get(LOGIN)).await?;
        let location = reply.field("location").context("there is no redirect")?;
        let location = String::from_utf8_lossy(location);
        let mut parameters = location.split(['?', '&']);
        let code = parameters.find(|part| part.starts_with("code=")).context("there is no code")?;
        let form = format!("grant_type=authorization_code&{CALLBACK}&{code}");
        let reply = self.post("/token", WEB, form).await?;
        ensure!(reply.status == 200, "{}", String::from_utf8_lossy(&reply.body));
        let token = json(&reply)?["access_token"].as_str().map(str::to_owned);
        token.context("there is no token")
    }

    /// What the service `orders` is told of a token (RFC 7662).
    pub(super) async fn introspect(&self, token: &str) -> Result<Value> {
        // A JWT is made of characters that no form escapes.
        let reply = self.post("/introspection", ORDERS, format!("token={token}")).await?;
        json(&reply)
    }

    async fn post(&self, path: &str, client: &str, form: String) -> Result<Reply> {
        let mut request = client::get(path);
        request.method = "POST".into();
        request.message.fields = vec![
            (b"authorization".into(), client.into()),
            (b"content-type".into(), b"application/x-www-form-urlencoded".into()),
        ];
        request.message.body = form.into_bytes();
        client::send(self.address, &request).await
    }
}

/// A Python with idpyoidc.
pub(super) async fn python(workspace: &Workspace) -> Result<PathBuf> {
    let home = tools::venv(workspace, "idpyoidc", REQUIREMENTS).await?;
    Ok(home.join("bin/python"))
}

fn json(reply: &Reply) -> Result<Value> {
    serde_json::from_slice(&reply.body)
        .with_context(|| format!("status {}, and no JSON", reply.status))
}
