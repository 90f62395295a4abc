//! The document's outer form: `filters`, `paths`, and what every filter has in common.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;

use super::Policy;
use super::step::{Kind, Mode, Step};
use super::steps::Shipped;
use crate::config::plugins::{self, Plugin};
use crate::config::{ConfigErrors, HashKey, Json, Load, Pointer, Refusal};
use crate::filter::{Fields, FilterSet};
use crate::problem::{DenyFields, DenyFormat};
use crate::syntax::path::EncodedSlash;
use crate::when::{When, WhenFields};

/// A stream remembers in 128 bits which filters its response is for.
pub(crate) const MAX_FILTERS: usize = 128;

/// The fields of the document itself.
const DOCUMENT: &[&str] = &["filters", "paths", "deny"];

/// How the paths of requests are judged.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "paths"))]
#[serde(deny_unknown_fields)]
pub(crate) struct PathsFields {
    /// How `%2F` and `%5C` in a request's path are judged.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "decode")))]
    encoded_slash: EncodedSlashFields,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "encoded_slash"))]
#[serde(rename_all = "snake_case")]
enum EncodedSlashFields {
    /// As a slash, and as the character that it is: upstreams do either.
    #[default]
    Decode,
    /// As they stand, no slash.
    Keep,
    /// Not at all: 400 where a filter has to judge the path.
    Reject,
}

pub(super) fn load<X: FilterSet>(document: &[u8], key: HashKey) -> Result<Policy<X>, ConfigErrors> {
    let mut load = Load::new(key);
    let policy = load.parse(document).and_then(|json| compile(&json, &mut load));
    load.finish(policy)
}

fn compile<X: FilterSet>(json: &Json, load: &mut Load) -> Option<Policy<X>> {
    let Json::Object(members) = json else {
        let expected = "an object".to_string();
        load.refuse(&Pointer::Root, Refusal::WrongType { found: json.type_name(), expected });
        return None;
    };
    if let Some(plugin) = plugins::read(json, members, load) {
        let Plugin { name, mode, filter } = plugin?;
        let step = Step::new(name.to_string(), mode, None, Kind::Shipped(filter));
        return Some(Policy::new(alloc::vec![step], load.encoded_slash, DenyFormat::Text));
    }
    let (mut filters, mut deny) = (None, DenyFields::default());
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in members {
        let at = Pointer::Root.key(key);
        if seen.contains(&key.as_str()) {
            load.refuse(&at, Refusal::DuplicateKey);
        }
        seen.push(key);
        match key.as_str() {
            "filters" => filters = Some(value),
            "paths" => {
                let paths = load.read::<PathsFields>(&at, value).unwrap_or_default();
                load.encoded_slash = match paths.encoded_slash {
                    EncodedSlashFields::Decode => EncodedSlash::Decode,
                    EncodedSlashFields::Keep => EncodedSlash::Keep,
                    EncodedSlashFields::Reject => EncodedSlash::Reject,
                };
            }
            "deny" => deny = load.read::<DenyFields>(&at, value).unwrap_or_default(),
            _ => load.refuse(&at, Refusal::Unknown { expected: DOCUMENT }),
        }
    }
    let steps = match filters {
        None => Vec::new(),
        Some(list) => steps(list, load)?,
    };
    Some(Policy::new(steps, load.encoded_slash, deny.format.unwrap_or_default()))
}

fn steps<X: FilterSet>(list: &Json, load: &mut Load) -> Option<Vec<Step<X>>> {
    let at = Pointer::Root.key("filters");
    let Json::List(filters) = list else {
        let expected = "a list of filters".to_string();
        load.refuse(&at, Refusal::WrongType { found: list.type_name(), expected });
        return None;
    };
    if filters.is_empty() {
        load.refuse(&at, Refusal::EmptyList);
    }
    if filters.len() > MAX_FILTERS {
        load.refuse(&at, Refusal::Unacceptable { expected: "at most 128 filters" });
    }
    let mut names: Vec<String> = Vec::new();
    let steps: Vec<Option<Step<X>>> = filters
        .iter()
        .take(MAX_FILTERS)
        .enumerate()
        .map(|(i, filter)| step(filter, &at.index(i), &mut names, load))
        .collect();
    steps.into_iter().collect()
}

fn step<X: FilterSet>(
    filter: &Json,
    at: &Pointer<'_>,
    names: &mut Vec<String>,
    load: &mut Load,
) -> Option<Step<X>> {
    let (kind, fields) = match filter {
        Json::Object(members) => match members.as_slice() {
            [(kind, fields)] => (kind.as_str(), fields),
            _ => {
                let expected = "an object with one member, the kind of the filter";
                load.refuse(at, Refusal::Unacceptable { expected });
                return None;
            }
        },
        other => {
            let expected = "an object with one member, the kind of the filter".to_string();
            load.refuse(at, Refusal::WrongType { found: other.type_name(), expected });
            return None;
        }
    };
    let at = at.key(kind);
    let Json::Object(members) = fields else {
        let expected = "an object".to_string();
        load.refuse(&at, Refusal::WrongType { found: fields.type_name(), expected });
        return None;
    };
    let (common, own): (Vec<_>, Vec<_>) =
        members.iter().cloned().partition(|(key, _)| COMMON.contains(&key.as_str()));
    let common = load.read::<CommonFields>(&at, &Json::Object(common));
    let own = Json::Object(own);
    let filter = match Shipped::read(kind, Fields(&own), &at, load) {
        Some(filter) => filter.map(Kind::Shipped),
        None => match X::read(kind, Fields(&own), &at, load) {
            Some(filter) => filter.map(Kind::Further),
            None => {
                load.refuse(&at, Refusal::Malformed(unknown_kind::<X>()));
                None
            }
        },
    };
    let common = common?;
    let name = name(common.name, kind, &at, names, load);
    let when = match common.when {
        None => Some(None),
        Some(when) => When::compile(when, &at.key("when"), load).map(Some),
    };
    Some(Step::new(name?, common.mode, when?, filter?))
}

fn unknown_kind<X: FilterSet>() -> String {
    let kinds: Vec<&str> = Shipped::KINDS.iter().chain(X::KINDS).copied().collect();
    format!("unknown kind of filter; expected one of: {}", kinds.join(", "))
}

/// The fields that every filter may have, whatever its kind.
pub(crate) const COMMON: &[&str] = &["when", "mode", "name"];

/// What every filter may have.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct CommonFields {
    /// The requests it is for; all of them without it.
    when: Option<WhenFields>,
    /// What it does with its verdict.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "enforce")))]
    mode: Mode,
    /// What metrics, logs and explanations call it: letters, digits, `_` and `-`, at most 64.
    /// Default: the kind, with a number from the second one on.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$")))]
    name: Option<String>,
}

fn name(
    given: Option<String>,
    kind: &str,
    at: &Pointer<'_>,
    names: &mut Vec<String>,
    load: &mut Load,
) -> Option<String> {
    let name = match given {
        Some(name) => {
            let at = at.key("name");
            let letter = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
            let fits = (1..=64).contains(&name.len()) && name.bytes().all(letter);
            load.expect(&at, fits.then_some(()), "1 to 64 letters, digits, `_` or `-`")?;
            if names.contains(&name) {
                load.refuse(&at, Refusal::DuplicateName);
                return None;
            }
            name
        }
        None => (1..)
            .map(|n| if n == 1 { kind.to_string() } else { format!("{kind}_{n}") })
            .find(|name| !names.contains(name))?,
    };
    names.push(name.clone());
    Some(name)
}
