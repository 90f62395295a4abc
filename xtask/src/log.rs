//! What Envoy logs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use pintle_core::testing::corpus::LogLine;

/// The format that [`Log`] reads.
pub(crate) const FORMAT: &str = "[%l][%n] %v";

/// The loggers that filters write to, and their level.
pub(crate) const LEVELS: &str = "wasm:debug,dynamic_modules:debug";

const OF_FILTERS: [&str; 2] = ["wasm", "dynamic_modules"];

/// The log of one Envoy.
#[derive(Debug)]
pub(crate) struct Log(pub(crate) PathBuf);

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Mark {
    /// The beginning.
    pub(crate) const START: Self = Self(0);
}

impl Log {
    /// Its end as of now.
    pub(crate) fn mark(&self) -> Mark {
        Mark(std::fs::metadata(&self.0).map_or(0, |m| usize::try_from(m.len()).unwrap_or_default()))
    }

    /// All that was written since.
    pub(crate) fn text_since(&self, mark: Mark) -> Result<String> {
        let bytes =
            std::fs::read(&self.0).with_context(|| format!("reading {}", self.0.display()))?;
        Ok(String::from_utf8_lossy(bytes.get(mark.0..).unwrap_or_default()).into_owned())
    }

    /// What filters have logged since.
    pub(crate) fn lines_since(&self, mark: Mark) -> Result<Vec<LogLine>> {
        Ok(of_filters(&self.text_since(mark)?))
    }

    /// The last lines, for an error message.
    pub(crate) fn tail(&self) -> String {
        let text = self.text_since(Mark::START).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
    }
}

fn of_filters(text: &str) -> Vec<LogLine> {
    let mut lines: Vec<(&str, LogLine)> = Vec::new();
    for line in text.lines() {
        if let Some((level, logger, message)) = split(line) {
            let level = if level == "warning" { "warn" } else { level };
            let message = own_words(message).into();
            lines.push((logger, LogLine { level: level.into(), message }));
        } else if let Some((_, last)) = lines.last_mut() {
            last.message.push('\n');
            last.message.push_str(line);
        }
    }
    lines
        .into_iter()
        .filter(|(logger, _)| OF_FILTERS.contains(logger))
        .map(|(_, line)| line)
        .collect()
}

/// The message without what Envoy puts before it: `wasm log <plugin> <root id> <vm id>: `.
fn own_words(message: &str) -> &str {
    let after = message.strip_prefix("wasm log ").and_then(|rest| rest.split_once(": "));
    after.map_or(message, |(_, own)| own)
}

fn split(line: &str) -> Option<(&str, &str, &str)> {
    let (level, rest) = line.strip_prefix('[')?.split_once("][")?;
    let (logger, message) = rest.split_once("] ")?;
    Some((level, logger, message))
}

#[cfg(test)]
mod tests {
    use super::of_filters;

    #[test]
    fn only_what_filters_wrote() {
        let text =
            "[info][main] starting\n[warning][wasm] wasm log pintle: a\nb\n[debug][http] x\n";
        let lines = of_filters(text);
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].level.as_str(), lines[0].message.as_str()), ("warn", "a\nb"));
    }
}
