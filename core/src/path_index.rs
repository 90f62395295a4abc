//! Which of many rules a path is for, at a cost that hardly grows with their number.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::when::PathMatch;

/// Rules by exact path and by prefix. Built once, never changed.
#[derive(Debug, Default)]
pub(crate) struct PathIndex {
    /// Sorted by path.
    exact: Box<[Exact]>,
    /// Sorted by prefix.
    prefixes: Box<[Prefix]>,
    /// Rules that any path may be for.
    rest: Box<[usize]>,
}

/// A path and its rules.
type Exact = (Box<[u8]>, Box<[usize]>);

#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    /// The longest other prefix that this one starts with.
    parent: Option<usize>,
    rules: Box<[usize]>,
}

impl PathIndex {
    /// For each rule its paths; `None` for a rule that must be looked at for any path.
    pub(crate) fn new(rules: impl Iterator<Item = Option<Box<[PathMatch]>>>) -> Self {
        let mut exact: BTreeMap<Box<[u8]>, Vec<usize>> = BTreeMap::new();
        let mut prefixes: BTreeMap<Box<[u8]>, Vec<usize>> = BTreeMap::new();
        let mut rest = Vec::new();
        for (rule, paths) in rules.enumerate() {
            let Some(paths) = paths else {
                rest.push(rule);
                continue;
            };
            for path in paths {
                match path {
                    PathMatch::Exact(text) => exact.entry(text).or_default().push(rule),
                    PathMatch::Prefix(text) => prefixes.entry(text).or_default().push(rule),
                    PathMatch::Suffix(_) | PathMatch::Regex(_) => rest.push(rule),
                }
            }
        }
        let mut sorted: Vec<Prefix> = Vec::new();
        for (text, rules) in prefixes {
            let parent = ancestor(&sorted, sorted.len().checked_sub(1), &text);
            sorted.push(Prefix { text, parent, rules: rules.into() });
        }
        Self {
            exact: exact.into_iter().map(|(text, rules)| (text, rules.into())).collect(),
            prefixes: sorted.into(),
            rest: rest.into(),
        }
    }

    /// Every rule that `path` may be for, in no particular order; one may come twice.
    pub(crate) fn rules(&self, path: &[u8]) -> impl Iterator<Item = usize> {
        let exact = self
            .exact
            .binary_search_by(|(text, _)| (**text).cmp(path))
            .ok()
            .and_then(|at| self.exact.get(at))
            .map_or(&[][..], |(_, rules)| rules);
        let below = self.prefixes.partition_point(|prefix| *prefix.text <= *path).checked_sub(1);
        let longest = ancestor(&self.prefixes, below, path);
        let chain = core::iter::successors(longest, |at| self.prefixes.get(*at)?.parent);
        let prefixes =
            chain.filter_map(|at| self.prefixes.get(at)).flat_map(|prefix| &*prefix.rules);
        exact.iter().chain(prefixes).chain(&*self.rest).copied()
    }
}

/// The longest prefix of `path`, starting from the greatest that sorts at or before it: whatever
/// sorts between a prefix of `path` and `path` starts with that prefix too.
fn ancestor(sorted: &[Prefix], from: Option<usize>, path: &[u8]) -> Option<usize> {
    let mut candidate = from;
    while let Some(prefix) = candidate.and_then(|at| sorted.get(at)) {
        if path.starts_with(&prefix.text) {
            return candidate;
        }
        candidate = prefix.parent;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::PathIndex;
    use crate::when::PathMatch;
    use alloc::boxed::Box;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn finds_what_a_walk_finds() {
        let texts: &[&[u8]] =
            &[b"/", b"/a", b"/a/b", b"/a/c", b"/ab", b"/b", b"/a/b/c/d", b"/zz", b"/a/b", b"x"];
        let mut rules: Vec<Option<Box<[PathMatch]>>> = Vec::new();
        for text in texts {
            rules.push(Some(Box::new([PathMatch::Prefix((*text).into())])));
            rules.push(Some(Box::new([PathMatch::Exact((*text).into())])));
            rules.push(None);
        }
        let index = PathIndex::new(rules.into_iter());
        let paths: &[&[u8]] = &[
            b"",
            b"/",
            b"/a",
            b"/a/",
            b"/a/b",
            b"/a/b/c",
            b"/a/b/c/d/e",
            b"/aa",
            b"/abc",
            b"/zy",
            b"/zzz",
            b"x",
            b"\xff",
        ];
        for path in paths {
            let mut found: Vec<usize> = index.rules(path).collect();
            found.sort_unstable();
            let mut expected = vec![];
            for (i, text) in texts.iter().enumerate() {
                if path.starts_with(text) {
                    expected.push(3 * i);
                }
                if path == text {
                    expected.push(3 * i + 1);
                }
                expected.push(3 * i + 2);
            }
            expected.sort_unstable();
            assert_eq!(found, expected, "{:?}", path.escape_ascii());
        }
    }
}
