//! No process outlives this one.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use anyhow::{Context, Error, Result, bail};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// The hidden verb under which this program starts other programs.
pub(crate) const VERB: &str = "__guard";

/// The exit status after Ctrl-C, as shells have it.
pub(crate) const STOPPED: u8 = 130;

/// A command that is killed when its handle is dropped, and when this process goes without a
/// chance to drop anything: it starts as this program, which asks the kernel for a signal at its
/// parent's death and then becomes `program`.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(this_program());
    command.arg(VERB).arg("--").arg(program).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `command` to its end; its output goes where ours goes.
pub(crate) async fn succeed(mut command: Command, what: &str) -> Result<()> {
    let status = command.status().await.with_context(|| format!("starting {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(())
}

/// The other side of [`command`]: returns only if `command` cannot be started.
pub(crate) fn become_command(command: &[OsString]) -> Error {
    let Some((program, arguments)) = command.split_first() else {
        return Error::msg("no command");
    };
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
    {
        return Error::new(error).context("asking for a signal at the parent's death");
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    Error::new(error).context(format!("starting {}", program.display()))
}

/// Ends when the user (Ctrl-C) or the system (SIGTERM, SIGHUP) asks this process to stop.
pub(crate) async fn stopped() -> Result<()> {
    let on = |kind| signal(kind).context("listening for signals");
    let (mut interrupt, mut terminate, mut hangup) =
        (on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

fn this_program() -> OsString {
    // The file may have been replaced by a build meanwhile; this name still means the running one.
    if cfg!(target_os = "linux") {
        return "/proc/self/exe".into();
    }
    std::env::current_exe().map_or_else(|_| "xtask".into(), OsString::from)
}
