//! Services that say what no HTTP library would.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How a section of fields ends (RFC 9112 section 2.1).
const END: &[u8] = b"\r\n\r\n";
/// More than any section of fields here has.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// A running service; it ends with its handle.
pub(super) struct Service {
    /// Where it listens.
    pub(super) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Service {
    /// Does the same with each connection.
    pub(super) async fn start<F>(serve: fn(TcpStream) -> F) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening on loopback")?;
        let address = listener.local_addr().context("listening on loopback")?;
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // How a connection ends shows at its other end.
                connections.spawn(async move { drop(serve(stream).await) });
            }
        });
        Ok(Self { address, server })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The start line and the fields, and what came behind them already.
pub(super) async fn head(stream: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut seen = Vec::new();
    loop {
        if let Some(end) = seen.windows(END.len()).position(|window| window == END) {
            let behind = seen.split_off(end + END.len());
            return Ok((String::from_utf8(seen).context("reading fields")?, behind));
        }
        ensure!(seen.len() < MAX_HEAD_BYTES, "no end of the fields");
        ensure!(stream.read_buf(&mut seen).await? > 0, "it was closed within the fields");
    }
}
