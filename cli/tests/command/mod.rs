//! The command, run as a user runs it.

use std::io::Write;
use std::process::{Command, Stdio};

/// What came of it.
pub(crate) struct Seen {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs it in the folder of the fixtures.
pub(crate) fn pintle(arguments: &[&str]) -> Seen {
    pintle_with(arguments, &[], b"")
}

/// With variables of the environment and with standard input.
pub(crate) fn pintle_with(arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Seen {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pintle"));
    command
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut stdin = child.stdin.take().expect("it has standard input");
    let input = input.to_vec();
    // It need not read all of it, nor before it writes.
    let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join();
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Seen {
        code: output.status.code().expect("no signal ends it"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
