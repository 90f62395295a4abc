//! From the JSON document to a [`Policy`](crate::Policy): raw types mirror the JSON, each compiles
//! into what it becomes, and every refusal names its place and never quotes a value.

mod deserialize;
mod error;
mod json;
pub(crate) mod plugins;
mod pointer;
#[cfg(feature = "schema")]
pub mod schema;
mod structure;

use alloc::vec::Vec;

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use error::{ConfigError, ConfigErrors, Refusal};
pub(crate) use json::Json;
pub use plugins::{PLUGIN_KEYS, PluginDocument};
pub use pointer::Pointer;

use crate::fields::FieldName;
use crate::filter::FilterSet;
use crate::policy::steps::Shipped;
use crate::syntax::path::EncodedSlash;

/// The kinds of the filters that ship.
pub const KINDS: &[&str] = <Shipped as FilterSet>::KINDS;

/// Key of every keyed hash of a policy: random per process or VM, so that nobody outside can choose
/// what collides.
#[derive(Clone, Copy)]
pub struct HashKey(pub(crate) [u8; 16]);

impl HashKey {
    /// Takes 16 bytes from the system's random generator.
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl core::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashKey(16 bytes)")
    }
}

/// What compiling a part of the configuration needs, and where its refusals gather.
#[derive(Debug)]
pub struct Load {
    pub(crate) key: HashKey,
    pub(crate) encoded_slash: EncodedSlash,
    errors: Vec<ConfigError>,
}

impl Load {
    pub(crate) fn new(key: HashKey) -> Self {
        Self { key, encoded_slash: EncodedSlash::default(), errors: Vec::new() }
    }

    /// Notes that the value at `at` is refused; the load goes on, to find the others too.
    pub fn refuse(&mut self, at: &Pointer<'_>, refusal: Refusal) {
        self.errors.push(ConfigError { pointer: at.render(), refusal });
    }

    /// Says what was expected at `at` and gives `None`, where `value` is `None`.
    pub fn expect<T>(
        &mut self,
        at: &Pointer<'_>,
        value: Option<T>,
        expected: &'static str,
    ) -> Option<T> {
        if value.is_none() {
            self.refuse(at, Refusal::Unacceptable { expected });
        }
        value
    }

    /// A name of a field that a filter may read, pseudo-headers included.
    pub fn readable_field(&mut self, at: &Pointer<'_>, name: &str) -> Option<FieldName> {
        self.expect(at, FieldName::parse_readable(name), "a field name (RFC 9110 section 5.1)")
    }

    /// A name of a field that a filter may write.
    pub fn writable_field(&mut self, at: &Pointer<'_>, name: &str) -> Option<FieldName> {
        let name = FieldName::parse(name).filter(|name| !name.belongs_to_proxy());
        self.expect(
            at,
            name,
            "the name of a field that is neither a pseudo-header, `host`, `content-length` nor hop-by-hop",
        )
    }

    /// Compiles every element of a list, which must not be empty; `None` where one was refused.
    pub fn each<T, U, C: FromIterator<U>>(
        &mut self,
        list: Vec<T>,
        at: &Pointer<'_>,
        compile: impl FnMut(T, &Pointer<'_>, &mut Self) -> Option<U>,
    ) -> Option<C> {
        if list.is_empty() {
            self.refuse(at, Refusal::EmptyList);
            return None;
        }
        self.any(Some(list), at, compile)
    }

    /// Like [`Load::each`]; the list may also be left out, and is empty then.
    pub fn each_given<T, U, C: FromIterator<U>>(
        &mut self,
        list: Option<Vec<T>>,
        at: &Pointer<'_>,
        compile: impl FnMut(T, &Pointer<'_>, &mut Self) -> Option<U>,
    ) -> Option<C> {
        match list {
            Some(list) => self.each(list, at, compile),
            None => self.any(None, at, compile),
        }
    }

    /// Like [`Load::each`]; the list may also be empty, or left out.
    pub fn any<T, U, C: FromIterator<U>>(
        &mut self,
        list: Option<Vec<T>>,
        at: &Pointer<'_>,
        mut compile: impl FnMut(T, &Pointer<'_>, &mut Self) -> Option<U>,
    ) -> Option<C> {
        // To the end of the list, past the first refusal: all of them are reported.
        let compiled: Vec<Option<U>> = list
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(i, element)| compile(element, &at.index(i), self))
            .collect();
        compiled.into_iter().collect()
    }

    /// Deserializes one part of the document, as far as its first structural error.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, at: &Pointer<'_>, json: &Json) -> Option<T> {
        self.read_beside(at, json, &[])
    }

    /// Like [`Load::read`], for an object that has further fields of these names.
    pub(crate) fn read_beside<T: DeserializeOwned>(
        &mut self,
        at: &Pointer<'_>,
        json: &Json,
        others: &[&str],
    ) -> Option<T> {
        T::deserialize(deserialize::Part(json))
            .map_err(|error| self.errors.push(error.also(others).below(at)))
            .ok()
    }

    pub(crate) fn parse(&mut self, document: &[u8]) -> Option<Json> {
        if document.is_empty() {
            self.refuse(&Pointer::Root, Refusal::NoConfiguration);
            return None;
        }
        let error = match serde_json::from_slice(document) {
            Ok(json) => return Some(json),
            Err(error) => error,
        };
        let structure = structure::read(document);
        if structure.is_none() {
            let (line, column) = (error.line(), error.column());
            self.refuse(&Pointer::Root, Refusal::Syntax { line, column });
        }
        structure
    }

    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(ConfigErrors(self.errors)),
        }
    }
}

/// One value, or a list of them that is not empty.
#[derive(Clone, Debug)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// Like [`Load::each`]; one alone stands at `at` itself.
    pub(crate) fn compile_each<U, C: FromIterator<U>>(
        self,
        at: &Pointer<'_>,
        load: &mut Load,
        mut compile: impl FnMut(T, &Pointer<'_>, &mut Load) -> Option<U>,
    ) -> Option<C> {
        match self {
            Self::One(one) => compile(one, at, load).map(|one| core::iter::once(one).collect()),
            Self::Many(list) => load.each(list, at, compile),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(core::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object or a list of objects")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let one = T::deserialize(serde::de::value::MapAccessDeserializer::new(&mut map))?;
                // As an enum it takes one member, and leaves further ones where they are.
                match map.next_key::<serde::de::IgnoredAny>()? {
                    None => Ok(OneOrMany::One(one)),
                    Some(_) => {
                        Err(serde::de::Error::invalid_length(2, &"an object with one member"))
                    }
                }
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                seq: A,
            ) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
                    .map(OneOrMany::Many)
            }
        }
        deserializer.deserialize_any(Visitor(core::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests;
