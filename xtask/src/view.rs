//! What can be seen of one exchange, for the eye and for comparison.

use pintle_core::testing::corpus::FieldLines;

use crate::mesh::Exchange;
use crate::script::{FORWARDED, SHOWN};
use crate::upstream::CASE;

/// One exchange, seen from outside the proxy.
pub(crate) struct View(Exchange);

impl View {
    /// All that came of the exchange.
    pub(crate) fn of(mut done: Exchange) -> Self {
        // These differ from one request to the next.
        done.reply.fields.retain(|(name, _)| name != b"date");
        for arrival in &mut done.arrivals {
            arrival.seen.fields.retain(|(name, _)| name != CASE.as_bytes());
        }
        for line in &mut done.logs {
            line.message = line.message.replace(&done.case, "exchange");
        }
        Self(done)
    }

    /// The status that the client saw.
    pub(crate) fn status(&self) -> u16 {
        self.0.reply.status
    }

    /// The answer, in short.
    pub(crate) fn answer(&self) -> String {
        let mut text = self.status().to_string();
        if let Some(slug) = self.0.entry.details.strip_prefix("pintle_") {
            text = format!("{text} {slug}");
        }
        text + &lines(&self.0.reply.fields, &SHOWN)
    }

    /// The answer in short, and its content: of a problem each member on a line of its own.
    pub(crate) fn answer_with_content(&self) -> String {
        let content = String::from_utf8_lossy(&self.0.reply.body);
        let problem = self.0.reply.field("content-type") == Some(b"application/problem+json");
        let content = match problem {
            true => content.replace(",\"", ",\n\""),
            false => content.into_owned(),
        };
        format!("{}\n{content}", self.answer()).trim_end().to_owned()
    }

    /// What reached the upstream, in short.
    pub(crate) fn forwarded(&self) -> String {
        match self.0.arrivals.as_slice() {
            [] => "-".to_owned(),
            [arrival] => {
                let (seen, fields) = (&arrival.seen, lines(&arrival.seen.fields, &FORWARDED));
                format!("{} {}{fields}", seen.method, seen.path.escape_ascii())
            }
            more => format!("{} requests", more.len()),
        }
    }

    /// How many lines the filters logged.
    pub(crate) fn logged(&self) -> String {
        match self.0.logs.len() {
            1 => "1 line".to_owned(),
            n => format!("{n} lines"),
        }
    }

    /// Everything, one line each, in an order that does not depend on the host.
    pub(crate) fn facts(&self) -> Vec<String> {
        let Self(done) = self;
        let mut facts = vec![
            format!("status {}", done.reply.status),
            format!("body {}", done.reply.body.escape_ascii()),
            format!("details {}", done.entry.details),
        ];
        facts.extend(
            done.entry.notes.iter().map(|(key, v)| format!("note {key}: {}", v.escape_ascii())),
        );
        facts.extend(sorted("response", &done.reply.fields));
        for arrival in &done.arrivals {
            let seen = &arrival.seen;
            facts.push(format!("upstream {} {}", seen.method, seen.path.escape_ascii()));
            facts.extend(sorted("upstream", &seen.fields));
        }
        facts.extend(done.logs.iter().map(|line| format!("log {}: {}", line.level, line.message)));
        facts
    }
}

/// Field lines by name; those of one name stay in their order.
fn sorted(of: &str, fields: &FieldLines) -> Vec<String> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| name);
    let line =
        |(n, v): &(Vec<u8>, Vec<u8>)| format!("{of} {}: {}", n.escape_ascii(), v.escape_ascii());
    fields.into_iter().map(line).collect()
}

/// Each field of these names on a line of its own.
fn lines(fields: &FieldLines, names: &[&str]) -> String {
    let fields = fields.iter().filter(|(name, _)| names.iter().any(|n| n.as_bytes() == name));
    fields.map(|(n, v)| format!("\n{}: {}", n.escape_ascii(), v.escape_ascii())).collect()
}
