use alloc::format;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;

use super::*;

/// SHA-1 of `password`, as `htpasswd -s` writes it.
const SHA: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
const DIGEST: [u8; 20] = [
    0x5b, 0xaa, 0x61, 0xe4, 0xc9, 0xb9, 0x3f, 0x3f, 0x06, 0x82, 0x25, 0x0b, 0x6c, 0xf8, 0x33, 0x1b,
    0x7e, 0xe6, 0x8f, 0xd8,
];

fn plain(user: &str, password: &str) -> StoredCredential {
    StoredCredential { user: user.into(), password: StoredPassword::Plain(password.into()) }
}

#[test]
fn reads_plain_credentials_in_clear_and_in_base64() {
    for (text, user, password) in [
        ("ok:test", "ok", "test"),
        ("a:b:c", "a", "b:c"),
        (":p", "", "p"),
        ("u:", "u", ""),
        ("u:\u{a3}\u{20ac}", "u", "\u{a3}\u{20ac}"),
        ("u:dTpw", "u", "dTpw"),
    ] {
        for plain_sha in [false, true] {
            assert_eq!(parse_credential(text, plain_sha), Ok(plain(user, password)), "{text}");
            let encoded = STANDARD.encode(text);
            assert_eq!(parse_credential(&encoded, plain_sha), Ok(plain(user, password)), "{text}");
            assert_eq!(
                parse_credential(encoded.trim_end_matches('='), plain_sha),
                Ok(plain(user, password)),
                "{text}"
            );
        }
    }
}

#[test]
fn reads_a_htpasswd_line() {
    for line in [
        format!("u:{SHA}"),
        format!("u:{}", SHA.replace("SHA", "sha")),
        STANDARD.encode(format!("u:{SHA}")),
    ] {
        let expected =
            StoredCredential { user: "u".into(), password: StoredPassword::Sha1(DIGEST) };
        assert_eq!(parse_credential(&line, false), Ok(expected), "{line}");
    }
    assert_eq!(parse_credential(&format!("u:{SHA}"), true), Ok(plain("u", SHA)));
    for digest in [
        "",
        "W6ph",
        "W6ph5Mm5Pz8GgiULbPgzG37mj9h=",
        "W6ph5Mm5Pz8GgiULbPgzG37mj9g=:x",
        "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
    ] {
        let error = Err(CredentialError::InvalidShaDigest);
        assert_eq!(parse_credential(&format!("u:{{SHA}}{digest}"), false), error, "{digest}");
    }
}

#[test]
fn never_takes_another_hash_for_a_password() {
    for hash in [
        "$2y$05$abc",
        "$2b$05$abc",
        "$2a$05$abc",
        "$apr1$salt$abc",
        "$1$salt$abc",
        "$5$salt$abc",
        "$6$rounds=5000$salt$abc",
        "$y$j9T$abc",
        "$7$abc",
        "$argon2id$v=19$m=1$abc",
        "$pbkdf2-sha256$1$abc",
        "$md5,rounds=904$abc$$d",
        "{SSHA}abc",
        "{ssha}abc",
        "{SHA256}abc",
        "{SHA512.HEX}abc",
        "{BLF-CRYPT}$2y$05$abc",
        "{MD5}abc",
        "{CRYPT}abc",
        "{PLAIN}abc",
        "{plain}",
    ] {
        let line = format!("u:{hash}");
        assert_eq!(parse_credential(&line, false), Err(CredentialError::UnsupportedHash), "{hash}");
        assert_eq!(
            parse_credential(&STANDARD.encode(&line), false),
            Err(CredentialError::UnsupportedHash),
            "{hash}"
        );
        assert_eq!(parse_credential(&line, true), Ok(plain("u", hash)), "{hash}");
    }
}

#[test]
fn leaves_passwords_alone_that_only_begin_like_one() {
    for password in [
        "$",
        "$$",
        "$$a$",
        "$5",
        "$5 $x",
        "$pa\u{e9}$",
        "{",
        "{}",
        "{}x",
        "{SHA",
        "{a b}",
        "x{SHA}",
        "x$5$",
        " $5$",
        "SHA}",
    ] {
        assert_eq!(
            parse_credential(&format!("u:{password}"), false),
            Ok(plain("u", password)),
            "{password}"
        );
    }
}

#[test]
fn says_what_is_wrong() {
    for (text, error) in [
        ("", CredentialError::NoColon),
        ("dXNlcg==", CredentialError::NoColon),
        ("user", CredentialError::NotUtf8), // four letters are base64
        ("users", CredentialError::NotBase64),
        ("$2y$05$abc", CredentialError::NotBase64),
        ("dTpw\n", CredentialError::NotBase64),
        ("dTpw=", CredentialError::NotBase64),
        ("dTr/", CredentialError::NotUtf8),
        ("u:p\n", CredentialError::ControlCharacter),
        ("u\0:p", CredentialError::ControlCharacter),
        ("dTpwCg==", CredentialError::ControlCharacter), // echo u:p | base64
    ] {
        for plain_sha in [false, true] {
            assert_eq!(parse_credential(text, plain_sha), Err(error), "{text:?}");
        }
    }
}

#[test]
fn debug_shows_no_secret() {
    let stored = parse_credential("root:hunter2", false).unwrap();
    assert_eq!(format!("{stored:?}"), "StoredCredential(4 bytes, Plain(7 bytes))");
    let stored = parse_credential(&format!("root:{SHA}"), false).unwrap();
    assert_eq!(format!("{stored:?}"), "StoredCredential(4 bytes, Sha1(20 bytes))");
}

#[test]
fn every_short_password_is_plain_or_refused() {
    let alphabet = ["$", "{", "}", "S", "5", "SHA", ":", "-", "\u{e9}", "\r"];
    let (mut taken, mut refused) = (0, 0);
    for mut number in 0..alphabet.len().pow(5) {
        let mut password = String::new();
        for _ in 0..5 {
            password.push_str(alphabet[number % alphabet.len()]);
            number /= alphabet.len();
        }
        match parse_credential(&format!("u:{password}"), false) {
            Ok(stored) => {
                taken += 1;
                assert_eq!(stored, plain("u", &password));
                assert!(
                    !password.starts_with("{SHA}") && !password.starts_with("$5$"),
                    "{password}"
                );
            }
            Err(error) => {
                refused += 1;
                assert!(!matches!(
                    error,
                    CredentialError::NoColon
                        | CredentialError::NotBase64
                        | CredentialError::NotUtf8
                ));
            }
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
}
