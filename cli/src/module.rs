//! The export table of a wasm module.
//!
//! The `proxy-wasm` crate exports the ABI's names itself (`proxy_on_request_headers`, ...), and a
//! second definition of a name does not link. So the module's own functions have names of their own,
//! `pintle_on_request_headers`, and this gives them the ABI's name once the module is linked. What
//! the crate exports goes. The table matters by itself: Envoy enters the module for every callback
//! that it finds there.
//!
//! Then all goes that neither an export nor the function table reaches. The table keeps some of the
//! crate's code in the file, the methods of its trait objects, as the linker has put them there and a
//! linked module does not tell which entries are still in use. No export leads to it.
//!
//! There are two tables. The one for headers alone has neither of the callbacks about the content of
//! responses, which Envoy would make for each piece of it, and has the module start with
//! `pintle_initialize_headers`, by which it knows that it sees none.
//!
//! The same input gives the same output. A module whose exports are written already is refused: it
//! has nothing left to rename, and neither has a module that is not Pintle's.

use std::collections::BTreeMap;
use std::fmt;

use walrus::{ExportItem, Module, ModuleConfig, ValType};

mod callbacks;

use callbacks::Callback;

/// The start of the names that the module's own functions have.
const OWN: &str = "pintle_";

/// The start of the ABI's names.
const ABI: &str = "proxy_";

/// What the host calls first. Without a function of this name the linker would have wrapped each export
/// to run constructors every time.
const INITIALIZE: &str = "_initialize";

/// What it is to call in a module that sees no content.
const INITIALIZE_HEADERS: &str = "pintle_initialize_headers";

/// How the host reaches the module's bytes.
const MEMORY: &str = "memory";

/// What Envoy does not load a module without, and what a module with filters cannot do without.
const NEEDED: [&str; 5] = [
    MEMORY,
    INITIALIZE,
    "pintle_abi_version_0_2_1",
    "pintle_on_memory_allocate",
    "pintle_on_configure",
];

/// The callbacks about the content of responses.
const OF_CONTENT: [&str; 2] = ["proxy_on_response_body", "proxy_on_response_trailers"];

/// Which of the module's functions are exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Table {
    /// All of them.
    #[default]
    Whole,
    /// Those about header sections: the module sees no content, and refuses what needs it.
    Headers,
}

/// What becomes of the names of functions, which Envoy prints in the backtrace of a trap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// They stay, in the custom section `name`.
    #[default]
    Keep,
    /// They go.
    Strip,
}

/// Why a module's exports were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleError {
    /// Not a wasm module at all.
    NotWasm,
    /// A wasm module that is broken, in the words of the parser.
    Invalid(String),
    /// No function of Pintle's to export, and the ABI's names are there: they are written already,
    /// or the module is somebody else's.
    Written,
    /// An export that has to be there is not.
    Missing(&'static str),
    /// A name of Pintle's that the ABI has no callback for: Envoy would never call it.
    Unknown(String),
    /// An export that is not a function of the type that the ABI has for it.
    Mistyped(String),
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWasm => f.write_str("not a wasm module"),
            Self::Invalid(why) => write!(f, "not a valid wasm module: {why}"),
            Self::Written => f.write_str(
                "there is no `pintle_*` export: the exports are written already, \
                 or this is not a module of Pintle",
            ),
            Self::Missing(name) => write!(f, "the module does not export `{name}`"),
            Self::Unknown(name) => write!(f, "the ABI has no callback for `{name}`"),
            Self::Mistyped(name) => {
                write!(f, "`{name}` is not of the type that the ABI has for it")
            }
        }
    }
}

impl std::error::Error for ModuleError {}

/// Writes the exports of a module, all of them, names of functions kept.
pub fn write_exports(input: &[u8]) -> Result<Vec<u8>, ModuleError> {
    write_exports_with(input, Table::Whole, Names::Keep)
}

/// Writes the exports of a module.
pub fn write_exports_with(
    input: &[u8],
    table: Table,
    names: Names,
) -> Result<Vec<u8>, ModuleError> {
    let mut module = parse(input, names)?;
    let table = exports_of(&module, table)?;
    let old: Vec<_> = module.exports.iter().map(walrus::Export::id).collect();
    for id in old {
        module.exports.delete(id);
    }
    for (name, item) in table {
        module.exports.add(&name, item);
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// The names of a module's exports, in their order.
pub fn exports(module: &[u8]) -> Result<Vec<String>, ModuleError> {
    let module = parse(module, Names::Keep)?;
    Ok(module.exports.iter().map(|export| export.name.clone()).collect())
}

fn parse(input: &[u8], names: Names) -> Result<Module, ModuleError> {
    /// The magic number and the version of a core module; a component has another version.
    const START: &[u8] = b"\0asm\x01\0\0\0";

    if !input.starts_with(START) {
        return Err(ModuleError::NotWasm);
    }
    ModuleConfig::new()
        .generate_name_section(names == Names::Keep)
        .parse(input)
        .map_err(|error| ModuleError::Invalid(format!("{error:#}")))
}

/// The exports to be: by name, so that their order does not hang on the linker's. Names cannot
/// clash, as the input's are unique by the rules of wasm and one prefix replaces another.
fn exports_of(module: &Module, kind: Table) -> Result<BTreeMap<String, ExportItem>, ModuleError> {
    let has = |name: &str| module.exports.iter().any(|export| export.name == name);
    let own = module.exports.iter().any(|export| export.name.starts_with(OWN));
    if !own && has("proxy_abi_version_0_2_1") {
        return Err(ModuleError::Written);
    }
    let initialize = match kind {
        Table::Whole => INITIALIZE,
        Table::Headers => INITIALIZE_HEADERS,
    };
    if let Some(name) = NEEDED.into_iter().chain([initialize]).find(|name| !has(name)) {
        return Err(ModuleError::Missing(name));
    }
    let mut table = BTreeMap::new();
    for export in module.exports.iter() {
        let name = export.name.as_str();
        let callback = if name == initialize {
            callbacks::INITIALIZE
        } else if name == MEMORY {
            table.insert(name.to_owned(), export.item);
            continue;
        } else if let Some(rest) = name.strip_prefix(OWN).filter(|_| name != INITIALIZE_HEADERS) {
            callbacks::find(&format!("{ABI}{rest}"))
                .ok_or_else(|| ModuleError::Unknown(name.to_owned()))?
        } else {
            continue;
        };
        if !has_type(module, export.item, callback) {
            return Err(ModuleError::Mistyped(name.to_owned()));
        }
        if kind == Table::Whole || !OF_CONTENT.contains(&callback.name) {
            table.insert(callback.name.to_owned(), export.item);
        }
    }
    Ok(table)
}

/// All parameters and results of the ABI are 32 bits wide.
fn has_type(module: &Module, item: ExportItem, callback: &Callback) -> bool {
    let ExportItem::Function(id) = item else {
        return false;
    };
    let (parameters, results) = module.types.params_results(module.funcs.get(id).ty());
    parameters.len() == callback.parameters
        && results.len() == callback.results
        && parameters.iter().chain(results).all(|kind| *kind == ValType::I32)
}

#[cfg(test)]
mod tests;
