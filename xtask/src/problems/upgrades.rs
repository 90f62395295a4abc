//! Upgrades (RFC 9110 section 7.8): one that is accepted passes the filter, and so does all behind it.

use anyhow::{Context, Result, bail, ensure};
use pintle_core::testing::corpus::Http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::service::head;
use super::site::{ERRORS, Site, error, get};
use super::{OneTest, PATIENCE};

pub(super) const TESTS: &[OneTest] = &[
    OneTest { name: "an upgrade that is accepted", run: |site| Box::pin(accepted(site)) },
    OneTest { name: "an upgrade that is refused", run: |site| Box::pin(refused(site)) },
];

/// Accepts every upgrade, and sends back what it gets.
pub(super) async fn echo(mut stream: TcpStream) -> Result<()> {
    let (_, early) = head(&mut stream).await?;
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                  sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(switch.as_bytes()).await?;
    stream.write_all(&early).await?;
    let (mut reader, mut writer) = stream.split();
    tokio::io::copy(&mut reader, &mut writer).await?;
    Ok(())
}

async fn accepted(site: &Site) -> Result<()> {
    let mut heads = Vec::new();
    for (_, listener) in site.listeners(ERRORS) {
        let upgraded = tokio::time::timeout(PATIENCE, upgraded(site, &listener)).await;
        let upgraded = upgraded.with_context(|| format!("not done within {PATIENCE:?}"));
        heads.push(upgraded.flatten().with_context(|| listener.clone())?);
    }
    let Some((plain, ours)) = heads.split_first() else { bail!("no listeners") };
    for head in ours {
        ensure!(head == plain, "{head:?}, not {plain:?}");
    }
    Ok(())
}

/// Upgrades a connection, and sends something there and back; the lines that came before.
async fn upgraded(site: &Site, listener: &str) -> Result<Vec<String>> {
    let mut stream = TcpStream::connect(site.mesh.address(listener)?).await?;
    stream.set_nodelay(true)?;
    let request = "GET /echo HTTP/1.1\r\nhost: example.com\r\nconnection: Upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let (head, early) = head(&mut stream).await?;
    ensure!(head.starts_with("HTTP/1.1 101 "), "{head}");
    ensure!(early.is_empty(), "content before any was sent");
    let all: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    for sent in [&b"ping"[..], &all, b"\r\n\r\nHTTP/1.1 500 no\r\n\r\n"] {
        let (mut reader, mut writer) = stream.split();
        let mut back = vec![0; sent.len()];
        let (wrote, read) = tokio::join!(writer.write_all(sent), reader.read_exact(&mut back));
        wrote?;
        read?;
        ensure!(back == sent, "other bytes came back");
    }
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    lines.retain(|line| !line.starts_with("date:"));
    lines.sort();
    Ok(lines)
}

/// What refuses it is an error as any other.
async fn refused(site: &Site) -> Result<()> {
    let mut request = get("/up/a", Http::One);
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.message.fields.push((name.into(), value.into()));
    }
    site.problem(ERRORS, &request, &error(403, "no websockets here")).await
}
