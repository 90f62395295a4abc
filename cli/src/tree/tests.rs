use super::{MAX_DEPTH, Node, Syntax, Value, read};
use crate::find::Unreadable;
use crate::place::{Position, Text};

fn at(line: usize, column: usize) -> Position {
    Position { line, column }
}

fn refused(source: &str, syntax: Syntax) -> Unreadable {
    let read = read(&Text::of_file(source), syntax).map(|nodes| nodes.len());
    read.expect_err(&source.chars().take(40).collect::<String>())
}

/// As JSON, one line for each document.
fn json(source: &str) -> String {
    let text = Text::of_file(source);
    let nodes = read(&text, Syntax::Any).unwrap_or_else(|error| panic!("{error}\n{source}"));
    nodes.iter().map(Node::to_json).collect::<Vec<_>>().join("\n")
}

#[test]
fn yaml_is_what_its_readers_take_it_for() {
    for (yaml, expected) in [
        ("a: b", r#"{"a":"b"}"#),
        (
            "a: true\nb: 'true'\nc: \"true\"\nd: !!str true",
            r#"{"a":true,"b":"true","c":"true","d":"true"}"#,
        ),
        ("[yes, No, ON, off, y, N, oN, yess]", r#"[true,false,true,false,true,false,"oN","yess"]"#),
        ("[~, null, Null, NULL, nUll, '']", r#"[null,null,null,null,"nUll",""]"#),
        ("a:\nb: ", r#"{"a":null,"b":null}"#),
        ("[1, -2, +3, 0, 403.0, 1e3, -.5, 1_000]", "[1,-2,3,0,403.0,1000.0,-0.5,1000]"),
        ("[0x1F, 0o17, 017, 0b101, 089, -08]", r#"[31,15,15,5,89,-8]"#),
        ("[1.2.3, 1-2, 12:30, 150ms, e3, '1']", r#"["1.2.3","1-2","12:30","150ms","e3","1"]"#),
        ("yes: 1\n2: b\n~: c", r#"{"yes":1,"2":"b","~":"c"}"#),
        ("a: |\n  x\n   y\n\nb: >-\n  x\n  y", r#"{"a":"x\n y\n","b":"x y"}"#),
        ("a: &x {b: 1}\nc: *x\nd: [*x, *x]", r#"{"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]}"#),
        ("a\n---\nb\n...\n---\n", "\"a\"\n\"b\"\nnull"),
        ("{a: 1, # why\n 'b': [x,],}", r#"{"a":1,"b":["x"]}"#),
        ("{\"a\": \"\\ud83d\\ude00\\u000a\\/\"}", "{\"a\":\"\u{1f600}\\n/\"}"),
        ("{\n\t\"a\":\t1\n}", r#"{"a":1}"#),
        ("a: 1\r\nb: 2\r\n", r#"{"a":1,"b":2}"#),
        ("\u{feff}a: 1", r#"{"a":1}"#),
        ("\u{feff}{\"a\": 1}", r#"{"a":1}"#),
        ("# nothing\n", ""),
        ("", ""),
    ] {
        assert_eq!(json(yaml), expected, "{yaml}");
    }
}

#[test]
fn what_is_neither() {
    for (source, place, reason) in [
        ("a: [1", None, "not YAML"),
        ("a:\n\t- b", None, "not YAML"),
        ("{\"a\": 1,\n \"b\" 2}", Some(at(2, 6)), "not JSON: expected `:`"),
        ("[1] x", None, "not JSON: trailing characters"),
        ("{\"a\": \"\\ud800\"}", Some(at(1, 7)), "not JSON"),
        ("? [a]\n: b", Some(at(1, 3)), "a key that is no text"),
        ("a: &x [*x]", Some(at(1, 8)), "alias"),
        ("a: *x", None, "not YAML"),
        ("{---", None, "not YAML"),
        ("{{- if .Values.a }}\na: b", None, "not YAML"),
    ] {
        let error = refused(source, Syntax::Any);
        assert!(error.reason.contains(reason), "{source:?}: {error}");
        if let Some(at) = place {
            assert_eq!(
                at,
                Position { line: error.line, column: error.column },
                "{source:?}: {error}"
            );
        }
    }
    // A line break in quotes is one of YAML.
    assert_eq!(json("{\"a\": \"\u{e9}\n\"}"), "{\"a\":\"\u{e9} \"}");
    let error = refused("{\"a\": \"\u{e9}\n\"}", Syntax::Json);
    assert!(error.reason.contains("control character"), "{error}");
    assert!(refused("{a: 1}", Syntax::Json).reason.starts_with("not JSON"));
    assert!(refused("a: 1", Syntax::Json).reason.starts_with("not JSON"));
    assert!(refused("", Syntax::Json).reason.starts_with("not JSON"));
}

#[test]
fn no_reason_quotes_the_text() {
    for source in [
        "a: s3cret: b",
        "password: \"s3cret",
        "password: 's3cret\n---",
        "password: !s3cret!x y",
        "password: *s3cret",
        "- s3cret\n\tb: - s3cret",
        "{\"password\": \"s3cret\n\"}",
        "{\"password\": s3cret}",
        "{\"password\": \"s3cret\"",
        "%s3cret s3cret\n---\n%TAG",
        "a: |s3cret\n  b",
        "&s3cret &s3cret a",
        "\"\\s3cret\"",
    ] {
        if let Err(error) = read(&Text::of_file(source), Syntax::Any) {
            assert!(!error.to_string().contains("s3cret"), "{source:?}: {error}");
        }
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close, content) in [("[", "]", ""), ("{\"a\":", "}", "1")] {
        let around = |depth| {
            nested(open, close, depth).replacen(
                &format!("{open}{close}"),
                &format!("{open}{content}{close}"),
                1,
            )
        };
        assert!(read(&Text::of_file(&around(MAX_DEPTH)), Syntax::Any).is_ok());
        for depth in [MAX_DEPTH + 1, 100_000] {
            let error = refused(&around(depth), Syntax::Any);
            assert!(error.reason.contains("levels deep"), "{error}");
        }
    }
    let flow = "[x, ".repeat(1000);
    refused(&flow, Syntax::Any);
    let block: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let error = refused(&block, Syntax::Any);
    assert!(error.reason.contains("levels deep"), "{error}");
    refused(&"- ".repeat(10_000), Syntax::Any);
}

#[test]
fn copies_are_bounded() {
    let mut laughs = "a0: &a0 [lol, lol, lol]\n".to_owned();
    for n in 1..30 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    let error = refused(&laughs, Syntax::Any);
    assert!(error.reason.contains("aliases"), "{error}");
    let long = format!("a: &x {}\nb: [{}]", "x".repeat(1 << 20), vec!["*x"; 100].join(", "));
    assert!(refused(&long, Syntax::Any).reason.contains("aliases"));
}

/// The place of each part of a text that has `@` and a digit in it, by that digit.
#[test]
fn each_style_keeps_places() {
    let quoted = "\"{\\\"a\\\":\\n  \\u0040\\x31, \\\n    @2 \\t@3}\"";
    for (yaml, expected) in [
        ("k: |\n  {\n    @1,\n\n  @2}\n", vec![at(3, 5), at(5, 3)]),
        ("k: |2-  # @9\n    @1\n   @2", vec![at(2, 5), at(3, 4)]),
        ("k: >\n  {@1\n   @2\n\n  @3}\n", vec![at(2, 4), at(3, 4), at(5, 3)]),
        ("k: '{''@1'', \n   @2}'", vec![at(1, 8), at(2, 4)]),
        ("k: @9 @1\n   @2", vec![]),
        ("k: x @1\n   @2", vec![at(1, 6), at(2, 4)]),
        ("k: \"\u{e9} @1 \u{1f600}@2\"", vec![at(1, 7), at(1, 11)]),
        (&format!("k: {quoted}"), vec![at(1, 16), at(2, 5), at(2, 10)]),
        ("k: |\r\n  {\r\n  @1}\r\n", vec![at(3, 3)]),
        ("- - k: |\n      @1\n", vec![at(2, 7)]),
    ] {
        let text = Text::of_file(yaml);
        let Ok(nodes) = read(&text, Syntax::Any) else {
            assert!(expected.is_empty(), "{yaml}");
            continue;
        };
        let mut node = &nodes[0];
        while let Some(inner) = node.elements().first() {
            node = inner;
        }
        let inner = node.get("k").unwrap().scalar().unwrap().as_text();
        let places: Vec<Position> =
            inner.content().match_indices('@').map(|(place, _)| inner.position(place)).collect();
        assert_eq!(places, expected, "{yaml}");
    }
}

#[test]
fn keys_and_values_have_places() {
    for source in [
        "{\n  \"a\": {\"b\": [1,\n   \"x\"]}\n}",
        "# first\n  a: {'b': [1,\n   x]}\n",
        "a :\n  b:\n  - 1\n  - x\n",
    ] {
        let text = Text::of_file(source);
        let nodes = read(&text, Syntax::Any).unwrap();
        let lines: Vec<&str> = source.lines().collect();
        let char_at = |at: Position| lines[at.line - 1].chars().nth(at.column - 1).unwrap();
        let [a] = nodes[0].members() else { panic!("{source}") };
        let [b] = a.value.members() else { panic!("{source}") };
        let [one, x] = b.value.elements() else { panic!("{source}") };
        assert!(['"', 'a'].contains(&char_at(a.at)), "{source}");
        assert!(['"', '\'', 'b'].contains(&char_at(b.at)), "{source}");
        assert_eq!(char_at(one.at), '1', "{source}");
        assert!(['"', 'x'].contains(&char_at(x.at)), "{source}");
    }
}

#[test]
fn merges() {
    let source = "base: &b {a: 1, b: 2}\nx: {<<: *b, b: 3}\ny: {<<: [*b, {c: 4}]}\n";
    let text = Text::of_file(source);
    let mut nodes = read(&text, Syntax::Any).unwrap();
    nodes[0].merge();
    let expected = r#"{"base":{"a":1,"b":2},"x":{"b":3,"a":1},"y":{"a":1,"b":2,"c":4}}"#;
    assert_eq!(nodes[0].to_json(), expected);
}

#[test]
fn duplicates_are_found() {
    for (source, place) in [
        ("{\"a\": 1, \"b\": {\"c\": 1,\n \"c\": 2}}", Some(at(2, 2))),
        ("a: 1\nb: 2\na: 3", Some(at(3, 1))),
        ("- a: 1\n- a: 2", None),
    ] {
        let text = Text::of_file(source);
        let found = read(&text, Syntax::Any);
        // A reader of YAML may refuse them by itself.
        let place_found = match &found {
            Ok(nodes) => nodes[0].duplicate().map(|member| member.at),
            Err(error) => Some(Position { line: error.line, column: error.column }),
        };
        assert_eq!(place_found, place, "{source}");
    }
}

#[test]
fn what_is_written_reads_as_the_same() {
    let source = "{\"a b\": [], \"yes\": {}, \"c\": [[1, [2]], {\"d\": \"x\\u0000\\u2028\\\"\\\\: #\", \"e\": [{\"f\": null}]}], \"\": -1.5, \"\\u007f\": true}";
    let text = Text::of_file(source);
    let nodes = read(&text, Syntax::Any).unwrap();
    let compact = nodes[0].to_json();
    for written in [nodes[0].to_pretty_json(), nodes[0].to_yaml(), compact.clone()] {
        assert_eq!(json(&written), compact, "{written}");
    }
    assert!(matches!(nodes[0].value, Value::Object(_)));
    let yaml = nodes[0].to_yaml();
    assert!(
        yaml.starts_with("\"a b\": []\n\"yes\": {}\nc:\n  - - 1\n    - - 2\n  - d: "),
        "{yaml}"
    );
}

#[test]
fn names_of_protobuf() {
    let text = Text::of_file("{dynamicModuleConfig: {do_not_close: true}, filter_config: 1}");
    let nodes = read(&text, Syntax::Any).unwrap();
    assert!(nodes[0].fields(&["dynamic_module_config", "do_not_close"]).unwrap().is_true());
    assert!(nodes[0].field("filter_config").is_some());
    assert!(nodes[0].field("filter_name").is_none());
}
