//! Prints the JSON Schema of the configuration, as `docs/pintle.schema.json` has it.

fn main() {
    println!("{:#}", pintle_core::config::schema::document().as_value());
}
