//! Envoy's admin interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use pintle_core::testing::corpus::Request;
use serde_json::Value;

use crate::client;

/// The admin interface of one Envoy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admin(pub(crate) SocketAddr);

impl Admin {
    /// The body of a page.
    pub(crate) async fn page(self, path: &str) -> Result<String> {
        self.ask(client::get(path)).await
    }

    /// Has Envoy do something.
    pub(crate) async fn post(self, path: &str) -> Result<String> {
        self.ask(Request { method: "POST".into(), ..client::get(path) }).await
    }

    async fn ask(self, request: Request) -> Result<String> {
        let reply = client::send(self.0, &request).await?;
        let path = &request.path;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        if reply.status != 200 {
            bail!("the admin interface answers {path} with {}: {text}", reply.status);
        }
        Ok(text)
    }

    /// Counters and gauges, of which `filter` (a regular expression) matches the name.
    pub(crate) async fn stats(self, filter: &str) -> Result<BTreeMap<String, u64>> {
        let text = self.page(&format!("/stats?usedonly&filter={filter}")).await?;
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        Ok(text.lines().filter_map(pair).collect())
    }

    /// One counter or gauge; 0 where Envoy has not used it yet.
    pub(crate) async fn stat(self, name: &str) -> Result<u64> {
        let stats = self.stats(&format!("^{}$", name.replace('.', "\\."))).await?;
        Ok(stats.get(name).copied().unwrap_or_default())
    }

    /// Where the active listeners listen, by their names.
    pub(crate) async fn listeners(self) -> Result<BTreeMap<String, SocketAddr>> {
        let text = self.page("/listeners?format=json").await?;
        let json: Value = serde_json::from_str(&text).context("reading /listeners")?;
        let mut found = BTreeMap::new();
        for listener in json["listener_statuses"].as_array().into_iter().flatten() {
            let socket = &listener["local_address"]["socket_address"];
            let address = format!(
                "{}:{}",
                socket["address"].as_str().unwrap_or_default(),
                socket["port_value"].as_u64().unwrap_or_default()
            );
            let name = listener["name"].as_str().unwrap_or_default();
            found.insert(
                name.to_owned(),
                address.parse().with_context(|| format!("listener {name}"))?,
            );
        }
        Ok(found)
    }

    /// Why listeners were refused, by their names.
    pub(crate) async fn refused(self) -> Result<BTreeMap<String, String>> {
        let text = self.page("/config_dump?resource=dynamic_listeners").await?;
        let json: Value = serde_json::from_str(&text).context("reading /config_dump")?;
        let mut found = BTreeMap::new();
        for listener in json["configs"].as_array().into_iter().flatten() {
            if let Some(error) = listener["error_state"]["details"].as_str() {
                found.insert(
                    listener["name"].as_str().unwrap_or_default().to_owned(),
                    error.to_owned(),
                );
            }
        }
        Ok(found)
    }
}
