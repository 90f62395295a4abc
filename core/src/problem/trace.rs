//! By what an error is found in traces and logs.

/// The `trace_id` of a problem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceId<'a> {
    /// `traceparent` as it came, and not the trace id that it has.
    pub(crate) whole: bool,
    /// Where the request has neither `traceparent` nor `x-request-id`.
    pub(crate) otherwise: Option<&'a [u8]>,
}

impl<'a> TraceId<'a> {
    /// Chooses between what a request has.
    pub(crate) fn choose(
        self,
        traceparent: impl Iterator<Item = &'a [u8]>,
        mut x_request_id: impl Iterator<Item = &'a [u8]>,
    ) -> Option<&'a [u8]> {
        let parent = sole(traceparent).filter(|value| !value.is_empty());
        let parent = if self.whole { parent } else { parent.and_then(trace_id) };
        let request = || x_request_id.find(|value| !value.is_empty());
        parent.or_else(request).or(self.otherwise)
    }
}

/// Of several `traceparent` fields none counts (W3C Trace Context section 3.2.1).
fn sole<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

/// The trace id of a `traceparent` (W3C Trace Context section 3.2.2): 16 bytes in lower-case
/// hexadecimal digits, not all of them zero. Later versions may have more behind their flags.
fn trace_id(value: &[u8]) -> Option<&[u8]> {
    let mut parts = value.split(|byte| *byte == b'-');
    let [version, trace, parent, flags] = core::array::from_fn(|_| parts.next());
    let version = hex(version?, 2).filter(|version| *version != b"ff")?;
    let trace = hex(trace?, 32).filter(|id| id.iter().any(|digit| *digit != b'0'))?;
    hex(parent?, 16).filter(|id| id.iter().any(|digit| *digit != b'0'))?;
    hex(flags?, 2)?;
    (version != b"00" || parts.next().is_none()).then_some(trace)
}

fn hex(digits: &[u8], length: usize) -> Option<&[u8]> {
    let fits = digits.len() == length
        && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    fits.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const ID: &[u8] = b"4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_id_is_read_by_the_grammar() {
        assert_eq!(trace_id(PARENT), Some(ID));
        assert_eq!(
            trace_id(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"),
            Some(ID)
        );
        for odd in [
            &b""[..],
            b"00",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            b"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            b"<script>",
        ] {
            assert_eq!(trace_id(odd), None, "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn the_order_is_traceparent_x_request_id_constant() {
        let choose = |whole, parents: &[&'static [u8]], ids: &[&'static [u8]]| {
            TraceId { whole, otherwise: Some(b"constant") }
                .choose(parents.iter().copied(), ids.iter().copied())
                .unwrap()
        };
        assert_eq!(choose(false, &[PARENT], &[b"r"]), ID);
        assert_eq!(choose(true, &[PARENT], &[b"r"]), PARENT);
        assert_eq!(choose(true, &[b"odd"], &[b"r"]), b"odd");
        assert_eq!(choose(false, &[b"odd"], &[b"r"]), b"r");
        assert_eq!(choose(true, &[PARENT, PARENT], &[b"r"]), b"r");
        assert_eq!(choose(true, &[b""], &[b"", b"s"]), b"s");
        assert_eq!(choose(false, &[], &[]), b"constant");
        let none = TraceId { whole: false, otherwise: None };
        assert_eq!(none.choose([].into_iter(), [].into_iter()), None);
    }
}
