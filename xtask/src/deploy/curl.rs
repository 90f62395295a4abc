//! Command lines of curl, as far as documents use them.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::http::uri::Uri;
use pintle_core::testing::corpus::{Http, Message, Request};

use crate::client::Reply;

/// A request, and what curl shows of the reply.
#[derive(Debug, PartialEq)]
pub(super) struct Curl {
    /// The port of the URL; the host is `localhost`.
    pub(super) port: u16,
    /// What is sent.
    pub(super) request: Request,
    /// What is shown.
    shows: Shows,
}

/// What curl shows of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// The content.
    Content,
    /// `-i`: the status line and the fields before it.
    All,
    /// `-o /dev/null -w '%{http_code}\n'`: the status.
    Status,
}

impl Curl {
    /// Reads the arguments.
    pub(super) fn parse(words: &[String]) -> Result<Self> {
        let mut url = None;
        let mut method = None;
        let mut message = Message::default();
        let (mut all, mut written, mut hidden) = (false, false, false);
        let mut host = None;
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} without a value"));
            match word {
                "-s" | "-S" | "-sS" => {}
                "-i" | "-si" | "-sSi" => all = true,
                "-X" => method = Some(value()?.to_owned()),
                "-o" => hidden = value()? == "/dev/null",
                "-w" => written = value()? == r"%{http_code}\n",
                "-u" => {
                    let credentials = format!("Basic {}", STANDARD.encode(value()?));
                    message.fields.push((b"authorization".to_vec(), credentials.into_bytes()));
                }
                "-H" => {
                    let field = value()?;
                    let (name, value) = field.split_once(':').context("a field without a colon")?;
                    let (name, value) = (name.to_ascii_lowercase(), value.trim());
                    match name.as_str() {
                        "host" => host = Some(value.to_owned()),
                        _ => message.fields.push((name.into_bytes(), value.as_bytes().to_vec())),
                    }
                }
                _ if word.starts_with("http://") && url.is_none() => url = Some(word),
                _ => bail!("{word}: an argument that is not known here"),
            }
        }
        let url: Uri = url.context("no URL")?.parse().context("the URL")?;
        ensure!(url.host() == Some("localhost"), "{url} is not on localhost");
        let shows = match (all, hidden && written) {
            (true, false) => Shows::All,
            (false, true) => Shows::Status,
            (false, false) if !hidden && !written => Shows::Content,
            _ => bail!("what it shows is not known here"),
        };
        let request = Request {
            method: method.unwrap_or_else(|| "GET".to_owned()),
            path: url.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            authority: host
                .or_else(|| url.authority().map(ToString::to_string))
                .unwrap_or_default(),
            http: Http::One,
            message,
        };
        Ok(Self { port: url.port_u16().unwrap_or(80), request, shows })
    }

    /// What curl prints.
    pub(super) fn printed(&self, reply: &Reply) -> Printed {
        let text = String::from_utf8_lossy(&reply.body);
        let content = text.lines().map(str::to_owned).collect();
        match self.shows {
            Shows::Content => Printed { head: None, content },
            Shows::Status => Printed { head: None, content: vec![reply.status.to_string()] },
            Shows::All => {
                let phrase = StatusCode::from_u16(reply.status).ok();
                let phrase = phrase.and_then(|status| status.canonical_reason());
                let status = format!("HTTP/1.1 {} {}", reply.status, phrase.unwrap_or_default());
                let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
                    let [name, value] = [name, value].map(|bytes| String::from_utf8_lossy(bytes));
                    format!("{name}: {value}")
                };
                let head = (status.trim_end().to_owned(), reply.fields.iter().map(line).collect());
                Printed { head: Some(head), content }
            }
        }
    }
}

/// What curl prints.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Printed {
    /// With `-i`: the status line, and the fields.
    pub(super) head: Option<(String, Vec<String>)>,
    /// The lines of the content.
    pub(super) content: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::{Curl, Printed};
    use crate::client::Reply;

    fn parse(line: &str) -> anyhow::Result<Curl> {
        Curl::parse(&shlex::split(line).unwrap())
    }

    fn reply() -> Reply {
        Reply {
            status: 401,
            fields: vec![(b"hello".to_vec(), b"world".to_vec())],
            body: "no\n".into(),
            trailers: Vec::new(),
        }
    }

    #[test]
    fn a_request() {
        let curl =
            parse("-si http://localhost:10000/a?b -u alice:wonderland -H 'X-A: b c'").unwrap();
        assert_eq!((curl.port, curl.request.path.as_str()), (10000, "/a?b"));
        assert_eq!(curl.request.authority, "localhost:10000");
        let fields = [
            (b"authorization".to_vec(), b"Basic YWxpY2U6d29uZGVybGFuZA==".to_vec()),
            (b"x-a".to_vec(), b"b c".to_vec()),
        ];
        assert_eq!(curl.request.message.fields, fields);
        let head = ("HTTP/1.1 401 Unauthorized".to_owned(), vec!["hello: world".to_owned()]);
        let printed = Printed { head: Some(head), content: vec!["no".to_owned()] };
        assert_eq!(curl.printed(&reply()), printed);
    }

    #[test]
    fn the_status_alone() {
        let curl =
            parse(r"-s -o /dev/null -w '%{http_code}\n' http://localhost:1 -H 'host: a'").unwrap();
        assert_eq!((curl.request.authority.as_str(), curl.request.path.as_str()), ("a", "/"));
        assert_eq!(curl.printed(&reply()).content, ["401"]);
    }

    #[test]
    fn what_is_not_known() {
        for line in [
            "",
            "-s",
            "http://example.com/",
            "http://localhost:1 -k",
            "http://localhost:1 -H a",
            "http://localhost:1 -o /dev/null",
            "http://localhost:1 -H",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
