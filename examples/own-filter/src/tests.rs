//! The filter, in a policy, on a host in memory.

use pintle_core::config::HashKey;
use pintle_core::testing::MemoryHost;
use pintle_core::{Answer, Policy, Scratch, Stream};

use super::Mine;

const HEADER: &[u8] = b"x-client-identity";

/// What became of a request: the identity that the upstream sees, or status and details of a reply.
type Seen = Result<Option<String>, (u16, String)>;

/// Sends a request that brings a forged identity, over a connection with a certificate for `uri`.
fn send(config: &str, uri: Option<&str>) -> Seen {
    let policy = Policy::<Mine>::load(config.as_bytes(), HashKey::new([0; 16])).unwrap();
    let lines: [(&[u8], &[u8]); 4] =
        [(b":method", b"GET"), (b":path", b"/"), (b":authority", b"shop"), (HEADER, b"forged")];
    let mut host = MemoryHost::new(lines.map(|(n, v)| (n.to_vec(), v.to_vec())).to_vec());
    if let Some(uri) = uri {
        host.attributes.insert("connection.uri_san_peer_certificate".into(), uri.into());
    }
    match policy.on_request(&mut Stream::default(), &mut host, &mut Scratch::default()) {
        Answer::Continue => {
            let mut values = host.request.into_iter().filter(|(name, _)| name == HEADER);
            let value = values.next().map(|(_, value)| String::from_utf8(value).unwrap());
            assert_eq!(values.next(), None);
            Ok(value)
        }
        Answer::Wait => panic!("held"),
        Answer::Reply(reply) => Err((reply.status, reply.details.into_owned())),
    }
}

const ASKED: &str = r#"{"filters": [{"client_identity": {}}]}"#;
const REQUIRED: &str = r#"{"filters": [{"client_identity": {"required": true}}]}"#;
const CART: Option<&str> = Some("spiffe://cluster.local/ns/shop/sa/cart");

#[test]
fn the_certificate_says_who_the_client_is() {
    for config in [ASKED, REQUIRED] {
        assert_eq!(send(config, CART), Ok(Some("shop/cart".into())));
    }
}

#[test]
fn without_a_certificate_nobody_does() {
    assert_eq!(send(ASKED, None), Ok(None));
    assert_eq!(send(REQUIRED, None), Err((403, "pintle_no_client_certificate".into())));
}

#[test]
fn only_a_service_account_of_this_mesh_is_one() {
    for uri in [
        "spiffe://elsewhere.example/ns/shop/sa/cart",
        "spiffe://cluster.local/ns/shop",
        "spiffe://cluster.local/ns/shop/sa/cart/more",
        "spiffe://cluster.local/ns/shop/sa/ca\nrt",
        "https://example.com/",
        "",
    ] {
        assert_eq!(send(ASKED, Some(uri)), Ok(None), "{uri}");
    }
}

#[test]
fn when_and_mode_are_those_of_every_filter() {
    let elsewhere = r#"{"filters": [{"client_identity": {"required": true, "when": {"path": {"prefix": "/admin"}}}}]}"#;
    assert_eq!(send(elsewhere, None), Ok(None), "the forged header goes all the same");
    let observed = r#"{"filters": [{"client_identity": {"required": true, "mode": "observe"}}]}"#;
    assert_eq!(send(observed, CART), Ok(Some("forged".into())), "nothing changes");
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_at_load() {
    let config = br#"{"filters": [{"client_identity": {"header": "host"}}]}"#;
    let Err(errors) = Policy::<Mine>::load(config, HashKey::new([0; 16])) else {
        panic!("it was taken")
    };
    assert!(errors.to_string().starts_with("/filters/0/client_identity/header:"), "{errors}");
}
