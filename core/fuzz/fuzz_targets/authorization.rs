//! Whatever is taken for a `Basic` credential is written the same way again.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use pintle_core::syntax::authorization::basic;

fuzz_target!(|value: &[u8]| {
    let mut buffer = Vec::new();
    let Ok(credential) = basic(value, &mut buffer) else { return };
    let pair = [credential.user, b":", credential.password].concat();
    assert!(!credential.user.contains(&b':'));
    assert!(!pair.iter().any(u8::is_ascii_control));
    assert_eq!(buffer, pair, "the buffer holds user and password, and nothing else");

    let value = value.trim_ascii();
    let (scheme, token) = value.split_at(5);
    assert!(scheme.eq_ignore_ascii_case(b"basic") && token.starts_with(b" "));
    let text = STANDARD.encode(&pair);
    let token = token.trim_ascii();
    assert!(
        token == text.as_bytes() || token == text.trim_end_matches('=').as_bytes(),
        "not strict"
    );

    let mut again = Vec::new();
    let written = format!("BASIC   {text}");
    assert!(basic(written.as_bytes(), &mut again).is_ok());
    assert_eq!(again, pair);
    assert!(basic([value, b", ", value].concat().as_slice(), &mut again).is_err(), "joined values");
});
