use alloc::string::{String, ToString};

use super::*;

#[test]
fn members_stand_in_their_order() {
    let head = Head {
        problem_type: "about:blank",
        title: "T \"quoted\"",
        status: 404,
        instance: Some(b"/a?b=\xff"),
        trace_id: Some(b"id\\"),
    };
    let mut members = Vec::new();
    member(&mut members, "team", &["a", "b"]);
    let json =
        String::from_utf8(finish(head.begin(), Some("line\n\u{7f}\u{0}"), &members)).unwrap();
    assert_eq!(
        json,
        "{\"type\":\"about:blank\",\"title\":\"T \\\"quoted\\\"\",\"status\":404,\
         \"instance\":\"/a?b=\u{fffd}\",\"trace_id\":\"id\\\\\",\
         \"detail\":\"line\\n\u{7f}\\u0000\",\"team\":[\"a\",\"b\"]}"
    );
    let bare = Head { instance: None, trace_id: None, ..head };
    let json = String::from_utf8(finish(bare.begin(), None, &[])).unwrap();
    assert_eq!(json, "{\"type\":\"about:blank\",\"title\":\"T \\\"quoted\\\"\",\"status\":404}");
}

#[test]
fn every_text_is_json() {
    for code in 0..=0xff_u32 {
        let text: String =
            char::from_u32(code).into_iter().chain("x\u{2028}\u{fffe}".chars()).collect();
        let head = Head {
            problem_type: "t",
            title: &text,
            status: 500,
            instance: Some(text.as_bytes()),
            trace_id: None,
        };
        let json: serde_json::Value =
            serde_json::from_slice(&finish(head.begin(), Some(&text), &[])).unwrap();
        assert_eq!(json["title"], text);
        assert_eq!(json["instance"], text);
        assert_eq!(json["detail"], text);
    }
}

#[test]
fn every_status_has_a_type_and_a_phrase() {
    for status in 400..=599 {
        assert!(!phrase(status).is_empty());
        let class = if status < 500 { "error-4xx" } else { "error-5xx" };
        let known = status_type(status);
        assert!(
            known.contains("#section-15.") || known.contains("rfc4918") || known.ends_with(class)
        );
    }
    assert_eq!(phrase(499), "Client Error");
    assert_eq!(
        status_type(418).to_string(),
        "https://datatracker.ietf.org/doc/html/rfc9110#name-client-error-4xx"
    );
}
