//! What is told, for people.

use std::io::{self, Write};

use super::report::{
    Callout, Condition, Edit, Explanation, Field, Filter, Form, LogLine, OfRequest, Rule, Verdict,
    When,
};

/// How many rules are listed that are not for the request, for which one is enough mostly.
const MOST_OTHER_RULES: usize = 20;

/// Writes it. All of it is printable ASCII but for line breaks, and colours where those are wanted.
pub(super) fn write(
    explanation: &Explanation,
    colours: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    Page { colours, output }.explanation(explanation)
}

struct Page<'o> {
    colours: bool,
    output: &'o mut dyn Write,
}

/// As terminals number them (ECMA-48 section 8.3.117).
#[derive(Clone, Copy)]
enum Colour {
    Bold = 1,
    Faint = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Page<'_> {
    fn explanation(&mut self, explanation: &Explanation) -> io::Result<()> {
        let Explanation { within, request, filters, upstream, client, .. } = explanation;
        self.title(&format!("request, under {within}"))?;
        self.message(&request.fields)?;
        if !request.stripped.is_empty() {
            let names = request.stripped.join(", ");
            self.line(2, &format!("removed first, as only filters may assert it: {names}"))?;
        }
        for (filter, number) in filters.iter().zip(1..) {
            self.filter(filter, number)?;
        }
        self.title("upstream")?;
        match (upstream, client) {
            (Some(upstream), _) => self.message(&upstream.fields)?,
            (None, Some(_)) => self.line(2, "gets nothing")?,
            (None, None) => self.open()?,
        }
        self.responses(filters)?;
        self.title("client")?;
        let Some(client) = client else { return self.open() };
        let by = match &client.answered_by {
            Some(name) => format!("answered by {name}, {}", client.details),
            None => "from the upstream".to_owned(),
        };
        let is_denied = client.status >= 400 || client.answered_by.is_some();
        let colour = if is_denied { Colour::Red } else { Colour::Green };
        let status = self.coloured(colour, &client.status.to_string());
        self.line(2, &format!("{status} {by}"))?;
        for field in &client.fields {
            self.field(field)?;
        }
        let content = &client.content;
        let more = if content.cut { ", of which the start" } else { "" };
        match content.bytes {
            0 => self.line(2, "no content"),
            bytes => {
                self.line(2, &format!("content, {bytes} bytes{more}:"))?;
                lines(&content.text).into_iter().try_for_each(|line| self.line(4, line))
            }
        }
    }

    /// That nobody knows how it goes on.
    fn open(&mut self) -> io::Result<()> {
        self.line(
            2,
            "depends on what the service answers: tell it with --callout '200:a-token', \
             --callout 401, ..",
        )
    }

    fn filter(&mut self, filter: &Filter, number: usize) -> io::Result<()> {
        let observe = if filter.mode == "observe" { ", mode: observe" } else { "" };
        let place = if filter.pointer.is_empty() { "the whole document" } else { &filter.pointer };
        let kind = if filter.kind == filter.name { "" } else { filter.kind };
        let kind = if kind.is_empty() { String::new() } else { format!(" ({kind})") };
        self.title(&format!("{number}. {}{kind}{observe}, {place}", filter.name))?;
        match &filter.request {
            Some(request) => self.verdict(request)?,
            None => {
                let held = filter.when.as_ref().and_then(|when| when.holds);
                let is_for = match held {
                    Some(false) => "is for responses, not for that to this request",
                    _ => "is for responses",
                };
                let is_for = self.coloured(Colour::Faint, is_for);
                self.line(2, &is_for)?;
            }
        }
        if let Some(when) = &filter.when {
            self.when("its when", when, 2)?;
        }
        let Some(request) = &filter.request else { return Ok(()) };
        self.rules(&request.rules)?;
        request.callouts.iter().try_for_each(|callout| self.callout(callout))?;
        request.edits.iter().try_for_each(|edit| self.edit(edit, 2))?;
        for note in &request.notes {
            self.line(2, &format!("notes {} for the access log: {}", note.key, note.value))?;
        }
        self.log(&request.log, 2)
    }

    fn verdict(&mut self, request: &OfRequest) -> io::Result<()> {
        let (colour, word) = match request.verdict {
            Verdict::Allowed => (Colour::Green, "allowed"),
            Verdict::Edited => (Colour::Green, "allowed, changed"),
            Verdict::Exchanged => (Colour::Green, "allowed, with a token"),
            Verdict::Denied => (Colour::Red, "denied"),
            Verdict::Observed => (Colour::Yellow, "observed: goes on unchanged"),
            Verdict::Waits => (Colour::Yellow, "waits for the auth service"),
            Verdict::Skipped => (Colour::Faint, "not for this request"),
            Verdict::NotReached => (Colour::Faint, "not reached"),
        };
        let mut text = self.coloured(colour, word);
        if let Some(status) = request.status {
            text.push_str(&format!(" {status}"));
        }
        if let Some(slug) = &request.slug {
            text.push_str(&format!(", {slug}"));
        }
        if let Some(reason) = &request.reason {
            text.push_str(&format!(": {reason}"));
        }
        self.line(2, &text)
    }

    /// `whose`: `its when`.
    fn when(&mut self, whose: &str, when: &When, indent: usize) -> io::Result<()> {
        let (Some(first), Some(last)) = (when.forms.first(), when.forms.last()) else {
            return Ok(());
        };
        let inner = indent + 2;
        match (when.holds, &when.invalid) {
            (Some(true), _) => {
                let form = match &last.path {
                    Some(path) if when.judged > 1 => format!(", for the path as {path}"),
                    _ => String::new(),
                };
                self.line(indent, &format!("{whose} holds{form}"))?;
                self.conditions(last, inner)
            }
            (None, Some(why)) => {
                self.line(indent, &format!("{whose} cannot be judged: {why}"))?;
                self.conditions(first, inner)
            }
            _ => {
                let forms = match when.judged {
                    1 => String::new(),
                    count => format!(", for none of {count} forms of the path"),
                };
                self.line(indent, &format!("{whose} does not hold{forms}"))?;
                self.conditions(first, inner)?;
                for form in when.forms.iter().skip(1) {
                    let path = form.path.as_deref().unwrap_or_default();
                    self.line(inner, &format!("nor for the path as {path}"))?;
                }
                Ok(())
            }
        }
    }

    fn conditions(&mut self, form: &Form, indent: usize) -> io::Result<()> {
        form.conditions.iter().try_for_each(|condition| self.condition(condition, indent))
    }

    fn condition(&mut self, condition: &Condition, indent: usize) -> io::Result<()> {
        let (colour, holds) = match condition.holds {
            Some(true) => (Colour::Green, "holds"),
            Some(false) => (Colour::Red, "does not hold"),
            None => (Colour::Yellow, "cannot be judged"),
        };
        let holds = self.coloured(colour, holds);
        let pointer = &condition.pointer;
        if !condition.conditions.is_empty() {
            self.line(indent, &format!("{pointer} {holds}; in it:"))?;
            let inner = &condition.conditions;
            return inner.iter().try_for_each(|inner| self.condition(inner, indent + 2));
        }
        let wanted = condition.wanted.as_ref().map(|wanted| format!(", wants {wanted}"));
        let wanted = wanted.unwrap_or_default();
        let found: Vec<String> = condition.found.iter().map(Field::to_string).collect();
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        self.line(indent, &format!("{pointer} {holds}{wanted}, is {found}"))
    }

    fn rules(&mut self, rules: &[Rule]) -> io::Result<()> {
        let mut others = 0;
        for rule in rules {
            if rule.applies == Some(false) {
                others += 1;
                if others > MOST_OTHER_RULES {
                    continue;
                }
            }
            let is = match (rule.applies, rule.passes, &rule.slug) {
                (Some(false), ..) => self.coloured(Colour::Faint, "is not for this request"),
                (None, ..) => self.coloured(Colour::Yellow, "cannot be judged"),
                (_, Some(true), _) => self.coloured(Colour::Green, "passes"),
                (_, _, slug) => {
                    let slug = slug.as_deref().unwrap_or_default();
                    let is = self.coloured(Colour::Red, "does not pass");
                    format!("{is}: {slug}")
                }
            };
            self.line(2, &format!("{} {is}", rule.pointer))?;
            if let Some(when) = &rule.when {
                self.when("its when", when, 4)?;
            }
        }
        match others.checked_sub(MOST_OTHER_RULES) {
            None | Some(0) => Ok(()),
            Some(more) => self.line(2, &format!("{more} more rules are not for this request")),
        }
    }

    fn callout(&mut self, callout: &Callout) -> io::Result<()> {
        let end = callout.end.as_deref().unwrap_or("not told");
        if callout.fields.is_empty() {
            return self.line(2, &format!("cannot ask the service: {end}"));
        }
        let Callout { cluster, timeout_ms, .. } = callout;
        self.line(2, &format!("asks cluster {cluster}, for {timeout_ms} ms at most:"))?;
        let value = |name: &str| {
            let field = callout.fields.iter().find(|field| field.name == name);
            field.map(Field::to_string).unwrap_or_default()
        };
        let (method, host, path) = (value(":method"), value(":authority"), value(":path"));
        self.line(4, &format!("{method} {path} of {host}"))?;
        for field in callout.fields.iter().filter(|field| !field.name.starts_with(':')) {
            self.line(4, &format!("{}: {field}", field.name))?;
        }
        if callout.content_bytes > 0 {
            self.line(4, &format!("content, {} bytes", callout.content_bytes))?;
        }
        self.line(4, &format!("answer: {end}"))
    }

    fn edit(&mut self, edit: &Edit, indent: usize) -> io::Result<()> {
        let would = if edit.carried_out { "" } else { "would " };
        let Edit { change, name, .. } = edit;
        match &edit.field {
            Some(field) => self.line(indent, &format!("{would}{change} {name}: {field}")),
            None => self.line(indent, &format!("{would}{change} {name}")),
        }
    }

    fn log(&mut self, lines: &[LogLine], indent: usize) -> io::Result<()> {
        lines.iter().try_for_each(|line| {
            self.line(indent, &format!("logs at {}: {}", line.level, line.message))
        })
    }

    /// In the order in which filters see a response.
    fn responses(&mut self, filters: &[Filter]) -> io::Result<()> {
        let come = filters.iter().zip(1..).filter(|(filter, _)| filter.response.is_some());
        let come: Vec<(&Filter, usize)> = come.collect();
        if come.is_empty() {
            return Ok(());
        }
        self.title("response, from the last filter to the first")?;
        for (filter, number) in come.into_iter().rev() {
            let Some(response) = &filter.response else { continue };
            let done = !response.edits.is_empty() || response.replaces_content;
            let does = match (response.applies, done) {
                (false, _) => self.coloured(Colour::Faint, "not for this response"),
                (true, false) => match &response.reason {
                    Some(reason) => format!("changes nothing: {reason}"),
                    None => "changes nothing".to_owned(),
                },
                (true, true) if response.carried_out => "changes it".to_owned(),
                (true, true) => self.coloured(Colour::Yellow, "observed: changes nothing"),
            };
            self.line(2, &format!("{number}. {}: {does}", filter.name))?;
            response.edits.iter().try_for_each(|edit| self.edit(edit, 4))?;
            if response.replaces_content {
                let would = if response.carried_out { "" } else { "would " };
                self.line(4, &format!("{would}replace the content"))?;
            }
            self.log(&response.log, 4)?;
        }
        Ok(())
    }

    /// The fields of a request, the line that begins it first.
    fn message(&mut self, fields: &[Field]) -> io::Result<()> {
        let value = |name: &str| {
            let field = fields.iter().find(|field| field.name == name);
            field.map(Field::to_string).unwrap_or_default()
        };
        let (method, scheme) = (value(":method"), value(":scheme"));
        let line = format!("{method} {scheme}://{}{}", value(":authority"), value(":path"));
        self.line(2, &line)?;
        fields
            .iter()
            .filter(|field| !field.name.starts_with(':'))
            .try_for_each(|field| self.field(field))
    }

    fn field(&mut self, field: &Field) -> io::Result<()> {
        self.line(2, &format!("{}: {field}", field.name))
    }

    fn title(&mut self, text: &str) -> io::Result<()> {
        let text = self.coloured(Colour::Bold, text);
        writeln!(self.output, "{text}")
    }

    fn line(&mut self, indent: usize, text: &str) -> io::Result<()> {
        writeln!(self.output, "{:indent$}{text}", "")
    }

    fn coloured(&self, colour: Colour, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{}m{text}\x1b[0m", colour as u8),
            false => text.to_owned(),
        }
    }
}

/// The lines of an escaped text. An escaped backslash is two of them, and begins no line break.
fn lines(escaped: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(place) = escaped[at..].find('\\') {
        let end = at + place;
        if escaped[end..].starts_with("\\x0a") {
            lines.push(&escaped[start..end]);
            start = end + 4;
            at = start;
        } else {
            at = end + 2;
        }
    }
    lines.push(&escaped[start..]);
    lines
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn lines_of_a_content() {
        for (escaped, expected) in [
            ("", &[""][..]),
            ("a", &["a"]),
            (r"a\x0ab\x0a", &["a", "b", ""]),
            (r"\x0a\x0a", &["", "", ""]),
            // A backslash and `x0a`; the same and a line break.
            (r"a\\x0ab", &[r"a\\x0ab"]),
            (r"a\\\x0ab", &[r"a\\", "b"]),
            (r"a\\\\x0ab\x0d\x0ac", &[r"a\\\\x0ab\x0d", "c"]),
            (r"\\", &[r"\\"]),
        ] {
            assert_eq!(lines(escaped), expected, "{escaped}");
        }
    }
}
