//! Regular expressions of the configuration: linear time, bounded size.

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

use crate::config::{Load, Pointer, Refusal};

/// Compiled size of one expression, in bytes: enough for any sensible condition on a path, small
/// enough that a fleet of workers does not notice it.
const SIZE_LIMIT_BYTES: usize = 1 << 20;

/// Compiles `pattern`, which may match anywhere in bytes that need not be UTF-8.
pub(crate) fn compile(pattern: &str, at: &Pointer<'_>, load: &mut Load) -> Option<Regex> {
    Regex::builder()
        .configure(
            Config::new()
                .nfa_size_limit(Some(SIZE_LIMIT_BYTES))
                .onepass_size_limit(Some(SIZE_LIMIT_BYTES))
                .hybrid_cache_capacity(SIZE_LIMIT_BYTES)
                .utf8_empty(false),
        )
        .syntax(syntax::Config::new().utf8(false))
        .build(pattern)
        // The engine's own message quotes the pattern.
        .map_err(|_| {
            load.refuse(
                at,
                Refusal::Unacceptable {
                    expected: "a regular expression without look-around or back-references, of at most 1 MiB compiled",
                },
            );
        })
        .ok()
}
