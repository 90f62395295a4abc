//! What Envoy writes down about each request.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// For a line to be written in: far more than it takes, as only a failure waits for its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the file.
const PAUSE: Duration = Duration::from_millis(5);

/// The access log of one Envoy, read as it grows.
#[derive(Debug)]
pub(crate) struct AccessLog {
    file: PathBuf,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    bytes: u64,
    entries: HashMap<String, Entry>,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// The response-code details.
    pub(crate) details: String,
    /// What the filters left, by its key.
    pub(crate) notes: BTreeMap<String, Vec<u8>>,
}

impl AccessLog {
    /// Of a file that may not be there yet.
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, progress: Mutex::default() }
    }

    /// The line about one exchange; it is written when the stream ends, so this may wait.
    pub(crate) async fn entry(&self, case: &str) -> Result<Entry> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(entry) = self.take(case)? {
                return Ok(entry);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("no line about {case} in {} within {PATIENCE:?}", self.file.display());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn take(&self, case: &str) -> Result<Option<Entry>> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.more(&self.file).with_context(|| format!("reading {}", self.file.display()))?;
        Ok(progress.entries.remove(case))
    }
}

impl Progress {
    fn more(&mut self, file: &PathBuf) -> Result<()> {
        let Ok(mut file) = std::fs::File::open(file) else { return Ok(()) };
        file.seek(SeekFrom::Start(self.bytes))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // The last line may be half there.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        text.truncate(whole);
        self.bytes += whole as u64;
        for line in String::from_utf8_lossy(&text).lines() {
            let json: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            if let Some(case) = json["case"].as_str() {
                self.entries.insert(case.to_owned(), entry(&json));
            }
        }
        Ok(())
    }
}

fn entry(json: &Value) -> Entry {
    // Dynamic metadata from the module, filter state from proxy-wasm.
    let notes = ["metadata", "state"].into_iter().filter_map(|key| json[key].as_object()).flatten();
    let notes = notes.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.into())));
    Entry { details: json["details"].as_str().unwrap_or_default().into(), notes: notes.collect() }
}

#[cfg(test)]
mod tests {
    use super::entry;
    use serde_json::json;

    #[test]
    fn both_kinds_of_notes() {
        let native =
            entry(&json!({"details": "x", "metadata": {"user": "alice"}, "state": {"user": null}}));
        let wasm = entry(&json!({"details": "x", "metadata": null, "state": {"user": "alice"}}));
        assert_eq!(native.notes, [("user".to_owned(), b"alice".to_vec())].into());
        assert_eq!(native.notes, wasm.notes);
    }
}
