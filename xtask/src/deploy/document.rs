//! Documents that show commands and what comes of them, as `deploy/envoy/README.md` explains: fences of `console`
//! are run, fences of `log` are looked for in what Envoy has written.

use anyhow::{Context, Result, bail, ensure};

use super::curl::Curl;

/// What a document has one do with one Envoy: start it and try it, or have it validate a file.
#[derive(Debug, PartialEq)]
pub(super) struct Session {
    /// The configurations, each by the name of its file: what is shown holds for all of them.
    pub(super) configurations: Vec<String>,
    /// What else Envoy is told, as arguments.
    pub(super) arguments: Vec<String>,
    /// What is done then.
    pub(super) steps: Vec<Step>,
}

/// One command, or one look at the log.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    /// The line that it stands on, from 1.
    pub(super) line: usize,
    /// What is done.
    pub(super) act: Act,
    /// What comes of it.
    pub(super) shown: Vec<String>,
}

/// What a step does.
#[derive(Debug, PartialEq)]
pub(super) enum Act {
    /// `envoy --mode validate -c FILE`: the one step of its session.
    Validate,
    /// `curl ..`.
    Curl(Curl),
    /// A line for the shell.
    Shell(String),
    /// A look at what Envoy has written.
    Log,
}

/// Programs that a line for the shell may start with.
const SHELL: [&str; 5] = ["cp", "mv", "rm", "sed", "sleep"];

/// Reads a document in Markdown.
pub(super) fn sessions(markdown: &str) -> Result<Vec<Session>> {
    let mut sessions = Vec::new();
    for fence in fences(markdown)? {
        match fence.language {
            "console" => console(&fence, &mut sessions)?,
            "log" => {
                let at = || format!("line {}: a log before an Envoy", fence.line);
                let session = sessions.last_mut().with_context(at)?;
                let shown = fence.lines.iter().map(|&line| line.to_owned()).collect();
                session.steps.push(Step { line: fence.line, act: Act::Log, shown });
            }
            _ => {}
        }
    }
    Ok(sessions)
}

struct Fence<'a> {
    language: &'a str,
    /// Of its first line of content, from 1.
    line: usize,
    lines: Vec<&'a str>,
}

fn fences(markdown: &str) -> Result<Vec<Fence<'_>>> {
    let mut fences = Vec::new();
    let mut lines = markdown.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut fence = Fence { language: language.trim(), line: at + 2, lines: Vec::new() };
        loop {
            let next = lines.next();
            let (_, line) =
                next.with_context(|| format!("line {}: a fence without end", at + 1))?;
            if line.trim() == "```" {
                break;
            }
            fence.lines.push(line.get(indent..).unwrap_or_default());
        }
        fences.push(fence);
    }
    Ok(fences)
}

fn console(fence: &Fence, sessions: &mut Vec<Session>) -> Result<()> {
    let mut lines = fence.lines.iter().zip(fence.line..).peekable();
    while let Some((line, at)) = lines.next() {
        let command = line.strip_prefix("$ ");
        let mut command = command.with_context(|| format!("line {at}: no command"))?.to_owned();
        while let Some(half) = command.strip_suffix('\\') {
            let (rest, _) = lines.next().with_context(|| format!("line {at}: half a command"))?;
            command = format!("{half}{}", rest.trim_start());
        }
        let mut shown = Vec::new();
        while let Some((line, _)) = lines.next_if(|(line, _)| !line.starts_with("$ ")) {
            shown.push((*line).to_owned());
        }
        while shown.last().is_some_and(String::is_empty) {
            shown.pop();
        }
        run(&command, shown, at, sessions).with_context(|| format!("line {at}: {command}"))?;
    }
    Ok(())
}

fn run(line: &str, shown: Vec<String>, at: usize, sessions: &mut Vec<Session>) -> Result<()> {
    let (command, remark) = line.split_once(" # ").unwrap_or((line, ""));
    let words = shlex::split(command).context("quotes that do not close")?;
    let program = words.first().context("no command")?.as_str();
    let act = match program {
        "envoy" => {
            let mut configurations = vec![file(&words)?];
            let others = remark.split(|c: char| c.is_whitespace() || c == ',');
            configurations.extend(others.filter(|word| word.ends_with(".yaml")).map(base));
            let validates = words.iter().any(|word| word == "validate");
            ensure!(validates || shown.is_empty(), "what Envoy writes stands in a fence of `log`");
            let (arguments, steps) = match validates {
                true => (Vec::new(), vec![Step { line: at, act: Act::Validate, shown }]),
                false => (arguments(&words), Vec::new()),
            };
            sessions.push(Session { configurations, arguments, steps });
            return Ok(());
        }
        "curl" => Act::Curl(Curl::parse(words.get(1..).unwrap_or_default())?),
        other if SHELL.contains(&other) => {
            ensure!(shown.is_empty(), "{other} writes nothing");
            Act::Shell(command.to_owned())
        }
        other => {
            bail!("nobody knows how to run {other} here; `sh` is the fence of what is not run")
        }
    };
    let session = sessions.last_mut().context("no Envoy runs yet")?;
    session.steps.push(Step { line: at, act, shown });
    Ok(())
}

/// The file behind `-c`.
fn file(words: &[String]) -> Result<String> {
    let at = words.iter().position(|word| word == "-c").context("envoy without -c")?;
    Ok(base(words.get(at + 1).context("-c without a file")?))
}

fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// What is left of a command to start Envoy without its name and its file. The base id is left out: an Envoy of the
/// tests has no use for one.
pub(super) fn arguments(words: &[String]) -> Vec<String> {
    let mut left = Vec::new();
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-c" | "--base-id" => {
                words.next();
            }
            _ => left.push(word.clone()),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::{Act, sessions};

    const PAGE: &str = r#"
```console
$ envoy -c echo.yaml --base-id 1
```

Then

```console
$ envoy -c a/wasm.yaml --concurrency 1   # or module.yaml
```

- in a list:

  ```console
  $ curl -s http://localhost:10000/a \
      -H 'a: b'
  one

  two

  $ mv a b
  ```

```sh
never run
```

```log
GET
```
"#;

    #[test]
    fn a_page() {
        let sessions = sessions(PAGE).unwrap();
        let [echo, session] = sessions.as_slice() else { panic!("{sessions:?}") };
        assert_eq!(echo.configurations, ["echo.yaml"]);
        assert!(echo.arguments.is_empty() && echo.steps.is_empty());
        assert_eq!(session.configurations, ["wasm.yaml", "module.yaml"]);
        assert_eq!(session.arguments, ["--concurrency", "1"]);
        let [curl, shell, log] = session.steps.as_slice() else { panic!("{session:?}") };
        assert!(matches!(curl.act, Act::Curl(_)));
        assert_eq!(curl.line, 15);
        assert_eq!(curl.shown, ["one", "", "two"]);
        assert_eq!(shell.act, Act::Shell("mv a b".to_owned()));
        assert_eq!((&log.act, log.shown.as_slice()), (&Act::Log, &["GET".to_owned()][..]));
    }

    #[test]
    fn what_is_no_such_page() {
        for page in [
            "```console\ncurl -s http://localhost:10000/\n```",
            "```console\n$ curl -s http://localhost:10000/\n```",
            "```console\n$ envoy\n```",
            "```console\n$ envoy -c a.yaml\n$ docker compose up\n```",
            "```console\n$ envoy -c a.yaml",
            "```log\nGET\n```",
        ] {
            assert!(sessions(page).is_err(), "{page}");
        }
    }
}
