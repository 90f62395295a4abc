//! Which of many rules a path is for, at a cost that hardly grows with their number.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::when::PathMatch;

/// Rules by exact path and by prefix. Built once, never changed.
#[derive(Debug, Default)]
pub(crate) struct PathIndex {
    exact: Texts,
    /// The rules of each exact path.
    exact_rules: Box<[Box<[usize]>]>,
    prefixes: Texts,
    /// Of each prefix.
    prefix_rules: Box<[PrefixRules]>,
    /// Rules that any path may be for.
    rest: Box<[usize]>,
}

#[derive(Debug)]
struct PrefixRules {
    /// The longest other prefix that this one starts with.
    parent: Option<usize>,
    rules: Box<[usize]>,
}

/// Sorted texts, none of them twice. A search compares one number a step, not texts.
#[derive(Debug, Default)]
struct Texts {
    /// What all of them start with.
    lead: Box<[u8]>,
    /// Of each text, [`head`] of what follows the lead.
    heads: Box<[u64]>,
    texts: Box<[Box<[u8]>]>,
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
        let (exact, exact_rules): (Vec<_>, Vec<_>) = exact.into_iter().unzip();
        let (prefixes, rules): (Vec<_>, Vec<_>) = prefixes.into_iter().unzip();
        let prefixes = Texts::new(prefixes);
        let mut prefix_rules: Vec<PrefixRules> = Vec::new();
        for (place, (text, rules)) in prefixes.texts.iter().zip(rules).enumerate() {
            let parent = longest(&prefixes, &prefix_rules, place.checked_sub(1), text);
            prefix_rules.push(PrefixRules { parent, rules: rules.into() });
        }
        Self {
            exact: Texts::new(exact),
            exact_rules: exact_rules.into_iter().map(Vec::into).collect(),
            prefixes,
            prefix_rules: prefix_rules.into(),
            rest: rest.into(),
        }
    }

    /// Every rule that `path` may be for, in no particular order; one may come twice.
    pub(crate) fn rules(&self, path: &[u8]) -> impl Iterator<Item = usize> {
        let exact = self
            .exact
            .last_up_to(path)
            .filter(|at| self.exact.texts.get(*at).is_some_and(|text| **text == *path))
            .and_then(|at| self.exact_rules.get(at))
            .map_or(&[][..], |rules| rules);
        let below = self.prefixes.last_up_to(path);
        let longest = longest(&self.prefixes, &self.prefix_rules, below, path);
        let chain = core::iter::successors(longest, |at| self.prefix_rules.get(*at)?.parent);
        let prefixes = chain.filter_map(|at| self.prefix_rules.get(at)).flat_map(|of| &*of.rules);
        exact.iter().chain(prefixes).chain(&*self.rest).copied()
    }
}

/// The longest prefix of `path`, starting from the greatest that sorts at or before it: whatever
/// sorts between a prefix of `path` and `path` starts with that prefix too.
fn longest(
    prefixes: &Texts,
    rules: &[PrefixRules],
    from: Option<usize>,
    path: &[u8],
) -> Option<usize> {
    let mut candidate = from;
    while let Some(at) = candidate {
        if path.starts_with(prefixes.texts.get(at)?) {
            break;
        }
        candidate = rules.get(at)?.parent;
    }
    candidate
}

impl Texts {
    /// From texts that are sorted, none of them twice.
    fn new(texts: Vec<Box<[u8]>>) -> Self {
        // What the least and the greatest share, all share.
        let lead: Box<[u8]> = match (texts.first(), texts.last()) {
            (Some(first), Some(last)) => {
                let shared = first.iter().zip(last).take_while(|(a, b)| a == b);
                shared.map(|(byte, _)| *byte).collect()
            }
            _ => Box::default(),
        };
        let heads = texts.iter().map(|text| head(text.strip_prefix(&*lead).unwrap_or_default()));
        Self { heads: heads.collect(), lead, texts: texts.into() }
    }

    /// Where the greatest text stands that is `path` or sorts before it. None also where no text
    /// starts as `path` does.
    fn last_up_to(&self, path: &[u8]) -> Option<usize> {
        let head = head(path.strip_prefix(&*self.lead)?);
        let end = self.heads.partition_point(|other| *other <= head);
        let start = self.heads.get(..end)?.partition_point(|other| *other < head);
        let same = self.texts.get(start..end)?;
        let up_to = same.partition_point(|text| **text <= *path);
        start.saturating_add(up_to).checked_sub(1)
    }
}

/// The first eight bytes as a number that sorts as they do; a text that ends sooner is filled up
/// with zeros.
fn head(text: &[u8]) -> u64 {
    if let Some(whole) = text.first_chunk() {
        return u64::from_be_bytes(*whole);
    }
    let mut filled = [0; 8];
    filled.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(filled)
}

#[cfg(test)]
mod tests {
    use super::PathIndex;
    use crate::when::PathMatch;
    use alloc::boxed::Box;
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    const PATHS: &[&[u8]] = &[
        b"",
        b"/",
        b"/a",
        b"/a/",
        b"/a/b",
        b"/a/b/c",
        b"/a/b/c/d/e",
        b"/aa",
        b"/abc",
        b"/ap",
        b"/api/v1/",
        b"/api/v1/users",
        b"/api/v1/users/7",
        b"/api/v1/usage",
        b"/api/v1/users\0",
        b"/api/v2",
        b"/zy",
        b"/zzz",
        b"x",
        b"\xff",
    ];

    #[test]
    fn finds_what_a_walk_finds() {
        for texts in [
            &[
                b"/".as_slice(),
                b"/a",
                b"/a/b",
                b"/a/c",
                b"/ab",
                b"/b",
                b"/a/b/c/d",
                b"/zz",
                b"/a/b",
                b"x",
            ][..],
            // More than eight bytes in common, before and behind the lead; a zero at the end.
            &[
                b"/api/v1/users",
                b"/api/v1/users/",
                b"/api/v1/usage",
                b"/api/v1/users\0",
                b"/api/v1/",
            ],
            &[b"/aaaaaaaaaaaa/b", b"/aaaaaaaaaaaa/c", b"/b", b"/aaaaaaaaaaaa"],
            &[b"/a"],
            &[b""],
            &[],
        ] {
            finds(texts);
        }
    }

    #[test]
    fn finds_among_all_short_texts() {
        const LETTERS: [u8; 4] = [0, 1, b'/', 0xff];
        let mut short: Vec<Vec<u8>> = vec![vec![]];
        let mut from = 0;
        for _ in 0..3 {
            let to = short.len();
            for n in from..to {
                for letter in LETTERS {
                    short.push([&short[n][..], &[letter]].concat());
                }
            }
            from = to;
        }
        // Texts that differ around the eighth byte, where a head ends.
        for lead in ["", "/", "/area5x", "/area56x", "/area567x"] {
            let texts: Vec<Vec<u8>> =
                short.iter().map(|text| [lead.as_bytes(), text].concat()).collect();
            let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            finds(&texts);
            // Gaps, and another common lead.
            for (n, one) in texts.iter().enumerate().step_by(3) {
                for other in &texts[n..] {
                    finds(&[one, b"/b", other]);
                }
            }
        }
    }

    fn finds(texts: &[&[u8]]) {
        let mut rules: Vec<Option<Box<[PathMatch]>>> = Vec::new();
        for text in texts {
            rules.push(Some(Box::new([PathMatch::Prefix((*text).into())])));
            rules.push(Some(Box::new([PathMatch::Exact((*text).into())])));
            rules.push(None);
        }
        let index = PathIndex::new(rules.into_iter());
        for path in PATHS.iter().chain(texts) {
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
            assert_eq!(found, expected, "{:?}", path.escape_ascii().to_string());
        }
    }
}
