use super::*;

type Field = (&'static [u8], &'static [u8]);

const FIELDS: [Field; 6] = [
    (b":authority", b"example.com"),
    (b":path", b"/a?b=c"),
    (b"authorization", b"Basic YTpi"),
    (b"x-empty", b""),
    (b"authorization", b"Basic \xa1\x00\xff"),
    (b"", b"no name"),
];

fn written(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(fields.iter().copied(), &mut bytes).unwrap();
    bytes
}

/// A small generator of numbers that look random (xorshift): the same ones in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// Reads all that can be read; what was accepted must be there as a whole.
fn read_all(bytes: &[u8]) {
    let Ok(pairs) = Pairs::parse(bytes) else { return };
    assert_eq!(pairs.iter().count(), pairs.len());
    let mut seen = 0;
    for (name, value) in pairs {
        seen += name.len() + value.len() + NULS_BYTES;
        assert!(pairs.values(name).any(|other| other == value));
    }
    assert_eq!(seen, pairs.data.len());
    assert!(pairs.values(b"authorization").count() <= pairs.len());
    assert!(pairs.values(b"").count() <= pairs.len());
}

#[test]
fn the_format_is_the_abi_s() {
    let bytes = written(&[(b"ab", b"c"), (b"d", b"")]);
    assert_eq!(bytes, b"\x02\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0ab\0c\0d\0\0");
}

#[test]
fn round_trip() {
    let bytes = written(&FIELDS);
    let pairs = Pairs::parse(&bytes).unwrap();
    assert_eq!(pairs.len(), FIELDS.len());
    assert!(pairs.iter().eq(FIELDS));
    assert_eq!(pairs.iter().size_hint(), (6, Some(6)));
}

#[test]
fn values_by_name() {
    let bytes = written(&FIELDS);
    let pairs = Pairs::parse(&bytes).unwrap();
    let values = |name: &'static [u8]| pairs.values(name).collect::<Vec<_>>();
    assert_eq!(values(b"authorization"), [&b"Basic YTpi"[..], b"Basic \xa1\x00\xff"]);
    assert_eq!(values(b"x-empty"), [b""]);
    assert_eq!(values(b"x-emptz"), [b""; 0]);
    assert_eq!(values(b""), [b"no name"]);
    assert_eq!(values(b"authorizatio"), [b""; 0]);
}

#[test]
fn no_bytes_and_no_pairs_are_empty_lists() {
    for bytes in [&b""[..], b"\0\0\0\0"] {
        let pairs = Pairs::parse(bytes).unwrap();
        assert!(pairs.is_empty());
        assert_eq!(pairs.iter().next(), None);
        assert_eq!(pairs.values(b"").next(), None);
    }
}

#[test]
fn a_cut_or_longer_list_is_refused() {
    let bytes = written(&FIELDS);
    for end in 1..bytes.len() {
        assert_eq!(Pairs::parse(&bytes[..end]).unwrap_err(), Malformed, "{end}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert_eq!(Pairs::parse(&longer).unwrap_err(), Malformed);
}

#[test]
fn huge_counts_and_lengths_are_refused() {
    for bytes in [
        &b"\xff\xff\xff\xff"[..],
        b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x02\0\0\0\xff\xff\xff\xff\x01\0\0\0\xff\xff\xff\xff\x01\0\0\0",
        b"\0\0\0\x20\0\0\0\0",
        b"\x01\0\0",
    ] {
        assert_eq!(Pairs::parse(bytes).unwrap_err(), Malformed);
    }
}

#[test]
fn changed_bytes_never_panic() {
    let bytes = written(&FIELDS);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let rounds = if cfg!(miri) { 50 } else { 200_000 };
    for _ in 0..rounds {
        let mut changed = bytes.clone();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(changed.len());
            changed[at] = match numbers.below(3) {
                0 => numbers.below(256) as u8,
                1 => changed[at].wrapping_add(1),
                _ => 0xff,
            };
        }
        changed.truncate(numbers.below(4 * changed.len()));
        read_all(&changed);
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut numbers = Numbers(1);
    let rounds = if cfg!(miri) { 50 } else { 200_000 };
    for _ in 0..rounds {
        let length = numbers.below(64);
        let mut bytes: Vec<u8> = (0..length).map(|_| numbers.below(256) as u8).collect();
        // Small numbers, as else nearly all would end at the count.
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = if at % 4 == 0 { *byte % 5 } else { 0 };
        }
        read_all(&bytes);
    }
}

#[test]
fn shifted_lengths_that_sum_up_are_read_in_bounds() {
    let bytes = written(&FIELDS);
    let mut numbers = Numbers(7);
    let rounds = if cfg!(miri) { 30 } else { 20_000 };
    for _ in 0..rounds {
        // Move some bytes from one length to another: the sum stays, everything else is wrong.
        let mut changed = bytes.clone();
        let from = 4 + 4 * numbers.below(2 * FIELDS.len());
        let to = 4 + 4 * numbers.below(2 * FIELDS.len());
        let n = numbers.below(usize::from(changed[from]) + 1) as u8;
        changed[from] -= n;
        changed[to] += n;
        assert!(Pairs::parse(&changed).is_ok());
        read_all(&changed);
    }
}

#[test]
#[cfg_attr(miri, ignore = "large lists, no unsafe code")]
fn what_the_host_takes_for_empty_is_not_written() {
    let field: Field = (b"a", b"b");
    let mut bytes = vec![1];
    assert_eq!(write(std::iter::repeat_n(field, MAX_PAIRS), &mut bytes), Ok(()));
    assert_eq!(Pairs::parse(&bytes).unwrap().len(), MAX_PAIRS);
    assert_eq!(write(std::iter::repeat_n(field, MAX_PAIRS + 1), &mut bytes), Err(Oversized::Pairs));
    assert_eq!(bytes, b"");

    let value = vec![b'v'; MAX_BYTES - 4 - LENGTHS_BYTES - NULS_BYTES - 1];
    assert_eq!(write([(&b"n"[..], &value[..])].into_iter(), &mut bytes), Ok(()));
    assert_eq!(bytes.len(), MAX_BYTES);
    assert_eq!(write([(&b"nn"[..], &value[..])].into_iter(), &mut bytes), Err(Oversized::Bytes));
}
