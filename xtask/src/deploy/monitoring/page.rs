//! Envoy's page `/stats/prometheus`, in Prometheus' text format.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// All series of a page.
#[derive(Debug)]
pub(super) struct Page(Vec<Series>);

/// One line of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// The name of the metric.
    pub(super) name: String,
    /// Its labels.
    pub(super) labels: BTreeMap<String, String>,
    /// Its value.
    pub(super) value: f64,
}

impl Page {
    /// Reads it.
    pub(super) fn read(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| series(line).with_context(|| format!("the line {line}")))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Its lines.
    pub(super) fn series(&self) -> impl Iterator<Item = &Series> + Clone {
        self.0.iter()
    }
}

fn series(line: &str) -> Option<Series> {
    let (name, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = name.split_once('{') else {
        return Some(Series { name: name.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut rest = labels.strip_suffix('}')?;
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut characters = behind.char_indices();
        let end = loop {
            match characters.next()? {
                (_, '\\') => text.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (at, '"') => break at,
                (_, other) => text.push(other),
            }
        };
        labels.insert(label.to_owned(), text);
        rest = behind.get(end + 1..)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(Series { name: name.to_owned(), labels, value })
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn a_page() {
        let text =
            "# TYPE a counter\na{b=\"c\",d=\"e\\\"f,}\"} 3\n\nx 0.5\nh_bucket{le=\"+Inf\"} 7\n";
        let page = Page::read(text).unwrap();
        let [a, x, h] = page.0.as_slice() else { panic!("{page:?}") };
        assert_eq!((a.name.as_str(), a.value), ("a", 3.0));
        let labels: Vec<_> = a.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(labels, [("b", "c"), ("d", "e\"f,}")]);
        assert_eq!((x.name.as_str(), x.value, x.labels.len()), ("x", 0.5, 0));
        assert_eq!(h.labels["le"], "+Inf");
        assert!(Page::read("a{b} 1").is_err());
    }
}
