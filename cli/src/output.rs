//! How a command says what it has found.

use std::io;
use std::process::ExitCode;

/// The form of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

/// The form, and whether it may have colours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// The form.
    pub format: Format,
    /// Whether text has colours: on a terminal, unless `NO_COLOR` is set.
    pub colours: bool,
}

impl Style {
    /// For standard output.
    pub fn of_stdout(format: Format) -> Self {
        let choice = anstream::AutoStream::choice(&io::stdout());
        let colours = format == Format::Text && choice != anstream::ColorChoice::Never;
        Self { format, colours }
    }
}

/// What came of a command, from the best to the worst; the number is its exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All is well.
    #[default]
    Good = 0,
    /// A configuration is refused.
    Refused = 1,
    /// There was nothing to judge: the command was not understood, a file cannot be read, or has no
    /// configuration in it.
    Unusable = 2,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(verdict as u8)
    }
}

/// A name for people: `?` stands for what moves a cursor or turns the direction of text (Unicode's
/// Bidi_Control), so that nothing in it looks like something else.
pub fn printable(name: &str) -> String {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    name.chars().map(|c| if c.is_control() || turns(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn names_for_people() {
        let odd =
            "\0\n\u{1b}[2J\u{7f}\u{9b}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}";
        assert_eq!(printable(odd), "???[2J?????????");
        assert_eq!(printable("\u{e9}/a b.yaml\u{200d}\u{2065}"), "\u{e9}/a b.yaml\u{200d}\u{2065}");
    }
}
