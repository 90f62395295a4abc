//! A filter that edits and replaces responses without a look at them.

use pintle_core::config::{Load, Pointer};
use pintle_core::{
    Content, Edit, FieldName, FieldValue, Filter, Host, Phases, Replacement, Response, Section,
};

pintle_core::filters! {
    /// The shipped filters and this one.
    #[derive(Debug)]
    pub(crate) enum Filters { Blind }
}

/// Sets a field, or removes it.
#[derive(Debug)]
pub(crate) struct Blind {
    field: FieldName,
    value: Option<String>,
    replaces: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    field: String,
    value: Option<String>,
    /// Gives every response other content, which tells what it has seen.
    #[serde(default)]
    replaces: bool,
}

impl Filter for Blind {
    const KIND: &'static str = "blind";
    type Fields = Fields;

    fn compile(fields: Fields, _: &Pointer<'_>, _: &mut Load) -> Option<Self> {
        let Fields { field, value, replaces } = fields;
        Some(Self { field: FieldName::parse(&field)?, value, replaces })
    }

    fn phases(&self) -> Phases {
        Phases::Response
    }

    fn replaces_content(&self) -> bool {
        self.replaces
    }

    fn on_response<H: Host>(&self, host: &mut H, response: &mut Response<'_>) {
        let value = self.value.as_ref().and_then(|value| FieldValue::new(value.as_bytes()));
        let edit = value.map_or(Edit::Remove(&self.field), |value| Edit::Set(&self.field, value));
        host.edit(Section::Response, edit);
        if self.replaces {
            response.replacement = Some(Replacement { most_bytes: 20, memo: Box::new(()) });
        }
    }

    fn on_content(&self, _: Replacement, content: Content<'_>) -> Vec<u8> {
        [b"seen ", content.bytes].concat()
    }
}
