//! Where in the configuration a filter, a rule and a condition stand.

use serde_json::{Value, json};

/// A configuration, to look into.
pub(super) struct Places<'d>(pub(super) &'d Value);

impl<'d> Places<'d> {
    /// The place of a filter; empty in the document of a plug-in, which is one filter as a whole.
    pub(super) fn filter(&self, place: usize, kind: &str) -> String {
        if self.is_of_plugin() { String::new() } else { format!("/filters/{place}/{kind}") }
    }

    /// The place of a rule of the `basic_auth` at `filter`.
    pub(super) fn rule(&self, filter: &str, place: usize) -> String {
        let list = if self.is_of_plugin() { "basic_auth_rules" } else { "rules" };
        format!("{filter}/{list}/{place}")
    }

    /// The place of the `when` of the filter or rule at `owner`: a rule of the plug-in is one itself.
    pub(super) fn when(&self, owner: &str) -> String {
        if self.is_of_plugin() { owner.to_owned() } else { format!("{owner}/when") }
    }

    /// The place of a condition of a `when`, and what stands there.
    pub(super) fn condition(&self, when: &str, part: &str) -> (String, Option<Value>) {
        let pointer = match part {
            "/path" if self.is_of_plugin() => return self.path_of_plugin(when),
            "/methods" if self.is_of_plugin() => format!("{when}/request_methods"),
            _ => format!("{when}{part}"),
        };
        let wanted = self.at(&pointer).cloned();
        (pointer, wanted)
    }

    fn path_of_plugin(&self, when: &str) -> (String, Option<Value>) {
        let found = ["prefix", "exact", "suffix"].into_iter().find_map(|key| {
            let pointer = format!("{when}/{key}");
            self.at(&pointer).map(|text| (pointer.clone(), Some(json!({key: text}))))
        });
        found.unwrap_or((when.to_owned(), None))
    }

    /// The text at this place.
    pub(super) fn text(&self, pointer: &str) -> Option<&'d str> {
        self.at(pointer)?.as_str()
    }

    fn at(&self, pointer: &str) -> Option<&'d Value> {
        self.0.pointer(pointer)
    }

    fn is_of_plugin(&self) -> bool {
        self.0.get("filters").is_none()
    }
}
