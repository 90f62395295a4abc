//! Regular expressions of the configuration: linear time, bounded size.

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

use crate::config::{Load, Pointer, Refusal};

/// Compiled size of one expression, in bytes: enough for any sensible condition on a path, small
/// enough that a fleet of workers does not notice it.
const SIZE_LIMIT_BYTES: usize = 1 << 20;

/// Compiles `pattern`, which may match anywhere in bytes that need not be UTF-8.
///
/// Of these `.` and `[^/]` match each, where Unicode is not asked for with `(?u:..)`: else one byte
/// that is not UTF-8 would be a way around a condition on what stands behind it.
pub(crate) fn compile(pattern: &str, at: &Pointer<'_>, load: &mut Load) -> Option<Regex> {
    Regex::builder()
        .configure(
            Config::new()
                .nfa_size_limit(Some(SIZE_LIMIT_BYTES))
                .onepass_size_limit(Some(SIZE_LIMIT_BYTES))
                .hybrid_cache_capacity(SIZE_LIMIT_BYTES)
                .utf8_empty(false),
        )
        .syntax(syntax::Config::new().utf8(false).unicode(false))
        .build(pattern)
        // The engine's own message quotes the pattern.
        .map_err(|_| {
            load.refuse(
                at,
                Refusal::Unacceptable {
                    expected: "a regular expression on bytes (`(?u:..)` for Unicode), without look-around or back-references, of at most 1 MiB compiled",
                },
            );
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::compile;
    use crate::config::{HashKey, Load, Pointer};

    #[test]
    fn any_byte_is_matched() {
        let mut load = Load::new(HashKey::new([0; 16]));
        for pattern in ["^/a/.*/b$", "^/a/[^/]+/b$", "^/a/\\S+/b$"] {
            let regex = compile(pattern, &Pointer::Root, &mut load).unwrap();
            for path in [&b"/a/x/b"[..], b"/a/\xff/b", b"/a/\xc3\xa9/b", b"/a/\xc3/b"] {
                assert!(regex.is_match(path), "{pattern} {:?}", path.escape_ascii());
            }
        }
        let regex = compile("^/caf(?u:[\u{e9}\u{e8}])$", &Pointer::Root, &mut load).unwrap();
        assert!(regex.is_match("/caf\u{e8}".as_bytes()));
        assert!(!regex.is_match(b"/caf\xe8"));
    }
}
