//! `pintle schema`: the JSON Schema of the configuration.

use std::io::{self, Write};

/// Writes it, as `docs/pintle.schema.json` has it.
pub fn run(output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "{:#}", pintle_core::config::schema::document().as_value())
}
