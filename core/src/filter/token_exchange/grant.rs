//! The token exchange grant of OAuth 2.0 (RFC 8693), as far as its request.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::answer::REFRESH_TOKEN_TYPE;
use crate::config::{Load, Pointer};
use crate::fields::{Field, FieldName};
use crate::syntax::form;

/// By which grant of OAuth 2.0 the token is asked for. The request is a `POST` with a form.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "grant"))]
#[serde(deny_unknown_fields)]
pub struct GrantFields {
    /// Token exchange (RFC 8693). The subject token is the caller's: what follows `Bearer` in the
    /// first of `request_headers`.
    token_exchange: TokenExchangeFields,
}

/// The parameters of RFC 8693 section 2.1.
#[derive(Clone, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(
        rename = "grant_token_exchange",
        extend("anyOf" = [{"required": ["actor_token"]}, {"not": {"required": ["actor_token_type"]}}])
    )
)]
#[serde(deny_unknown_fields)]
struct TokenExchangeFields {
    /// Who we are to the authorization server; it is not told without it.
    client: Option<ClientFields>,
    /// What kind of token the caller has, as a URI. Default: an access token
    /// (`urn:ietf:params:oauth:token-type:access_token`), which is what a bearer presents.
    #[cfg_attr(feature = "schema", schemars(extend("default" = ACCESS_TOKEN_TYPE)))]
    subject_token_type: Option<String>,
    /// What kind of token is wanted, as a URI, not that of a refresh token. Without it the
    /// authorization server chooses.
    requested_token_type: Option<String>,
    /// The name of the service that the token is for, or a list of several.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::config::schema::OneOrMany<String>>")
    )]
    audience: Option<Texts>,
    /// What the token is to be good for: scopes with one space between (RFC 6749 section 3.3).
    scope: Option<String>,
    /// The absolute URI, without a fragment, of where the token is for, or a list of several.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::config::schema::OneOrMany<String>>")
    )]
    resource: Option<Texts>,
    /// Where the request has the token of who acts for the subject; no actor without it.
    actor_token: Option<ActorTokenFields>,
    /// What kind of token the actor has, as a URI. Default: an access token, as for the subject.
    #[cfg_attr(feature = "schema", schemars(extend("default" = ACCESS_TOKEN_TYPE)))]
    actor_token_type: Option<String>,
}

/// Client authentication (RFC 6749 section 2.3.1).
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "grant_client"))]
#[serde(deny_unknown_fields)]
struct ClientFields {
    /// Printable ASCII, at least one character.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[ -~]+$")))]
    id: String,
    /// Printable ASCII, at least one character.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[ -~]+$")))]
    secret: String,
    /// How they are sent. Default: `basic`, which every authorization server takes.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "basic")))]
    authentication: AuthenticationFields,
}

/// How a client says who it is.
#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "grant_client_authentication")
)]
#[serde(rename_all = "snake_case")]
enum AuthenticationFields {
    /// With the `Basic` scheme, id and secret form-encoded.
    #[default]
    Basic,
    /// With the parameters `client_id` and `client_secret`.
    Body,
}

/// Where the request has the actor's token.
#[derive(Clone, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "grant_actor_token")
)]
#[serde(deny_unknown_fields)]
struct ActorTokenFields {
    /// The request field whose value it is.
    header: String,
}

/// See [`GrantFields`]. Client id and secret are in it.
pub(crate) struct Grant {
    fields: Box<[Field]>,
    /// The parameters that are the same for every request.
    form: Box<[u8]>,
    actor: Option<Actor>,
}

struct Actor {
    field: FieldName,
    token_type: String,
}

/// RFC 8693 section 2.1.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// RFC 8693 section 3.
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

impl GrantFields {
    /// What stands in every request is put together here; `None` where something was refused.
    pub(crate) fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<Grant> {
        let at = &at.key("token_exchange");
        let fields = self.token_exchange;
        let client = match fields.client {
            None => Some(None),
            Some(client) => client.compile(&at.key("client"), load).map(Some),
        };
        let subject_token_type = fields.subject_token_type.unwrap_or(ACCESS_TOKEN_TYPE.into());
        let subject_token_type =
            token_type(subject_token_type, &at.key("subject_token_type"), load);
        let requested_token_type = given(fields.requested_token_type, |text| {
            let at = at.key("requested_token_type");
            let sendable = (text != REFRESH_TOKEN_TYPE).then_some(());
            load.expect(&at, sendable, "another type: a refresh token is sent to no upstream")?;
            token_type(text, &at, load)
        });
        let audience = Texts::compile(fields.audience, &at.key("audience"), load, |text| {
            (!text.is_empty()).then_some(()).ok_or("text that is not empty")
        });
        let resource = Texts::compile(fields.resource, &at.key("resource"), load, |text| {
            is_absolute_uri(text)
                .then_some(())
                .ok_or("an absolute URI without a fragment (RFC 3986 section 4.3)")
        });
        let scope = given(fields.scope, |text| {
            let expected = "scopes with one space between (RFC 6749 section 3.3)";
            load.expect(&at.key("scope"), is_scope(&text).then_some(text), expected)
        });
        let actor = match (fields.actor_token, fields.actor_token_type) {
            (None, None) => Some(None),
            (None, Some(_)) => {
                load.expect(&at.key("actor_token_type"), None, "`actor_token` beside it")
            }
            (Some(actor), kind) => {
                let field = load.expect(
                    &at.key("actor_token").key("header"),
                    FieldName::parse(&actor.header),
                    "the name of a request field (RFC 9110 section 5.1)",
                );
                let kind = kind.unwrap_or(ACCESS_TOKEN_TYPE.into());
                let token_type = token_type(kind, &at.key("actor_token_type"), load);
                field.zip(token_type).map(|(field, token_type)| Some(Actor { field, token_type }))
            }
        };

        let mut client = client?.unwrap_or_default();
        let mut form = Vec::new();
        let mut add = |name, value: &str| form::append(name, value.as_bytes(), &mut form);
        add("grant_type", GRANT_TYPE);
        client.parameters.iter().for_each(|(name, value)| add(name, value));
        add("subject_token_type", &subject_token_type?);
        requested_token_type?.iter().for_each(|text| add("requested_token_type", text));
        audience?.iter().for_each(|text| add("audience", text));
        resource?.iter().for_each(|text| add("resource", text));
        scope?.iter().for_each(|text| add("scope", text));
        let mut fields = Vec::new();
        fields.extend(Field::new(FieldName::CONTENT_TYPE.clone(), form::MEDIA_TYPE));
        fields.extend(Field::new(FieldName::parse("accept")?, "application/json"));
        fields.extend(client.authorization.take());
        Some(Grant { fields: fields.into(), form: form.into(), actor: actor? })
    }
}

impl Grant {
    /// Fields of the callout, `authorization` only where the client says by it who it is.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The request field that has the actor's token.
    pub(crate) fn actor_field(&self) -> Option<&FieldName> {
        self.actor.as_ref().map(|actor| &actor.field)
    }

    /// Writes the content of the callout into `out`, which is cleared first. An actor's token is sent
    /// with its type, and neither without the other (RFC 8693 section 2.1).
    pub(crate) fn write_body(
        &self,
        subject_token: &[u8],
        actor_token: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.extend_from_slice(&self.form);
        form::append("subject_token", subject_token, out);
        if let (Some(actor), Some(token)) = (&self.actor, actor_token) {
            form::append("actor_token", token, out);
            form::append("actor_token_type", actor.token_type.as_bytes(), out);
        }
    }

    /// All that decides what is asked, tokens aside, client id and secret included: always five
    /// parts, of which each may be empty and none may be joined to the next without its length.
    pub(crate) fn fingerprint_parts(&self, part: &mut dyn FnMut(&[u8])) {
        let authorization = self.fields.iter().find(|f| f.name() == FieldName::AUTHORIZATION);
        part(GRANT_TYPE.as_bytes());
        part(&self.form);
        part(authorization.map_or(b"", |field| field.value().as_bytes()));
        part(self.actor.as_ref().map_or(b"", |actor| actor.field.as_bytes()));
        part(self.actor.as_ref().map_or(b"", |actor| actor.token_type.as_bytes()));
    }
}

/// The client's secret is in it.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grant(token_exchange)")
    }
}

/// What a request has of its client: one of the two, or neither.
#[derive(Default)]
struct Client {
    authorization: Option<Field>,
    parameters: Vec<(&'static str, String)>,
}

impl ClientFields {
    fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<Client> {
        // RFC 6749 appendices A.1 and A.2. A line break from the end of some file would be refused by
        // the server, and so would a secret that was left empty.
        let mut sendable = |name, text: &str| {
            let sendable = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            load.expect(&at.key(name), sendable.then_some(()), "printable ASCII that is not empty")
        };
        let (id, secret) = (sendable("id", &self.id), sendable("secret", &self.secret));
        id.and(secret)?;
        Some(match self.authentication {
            AuthenticationFields::Body => Client {
                parameters: [("client_id", self.id), ("client_secret", self.secret)].into(),
                ..Client::default()
            },
            AuthenticationFields::Basic => {
                let mut credential = Vec::new();
                form::encode(self.id.as_bytes(), &mut credential);
                credential.push(b':');
                form::encode(self.secret.as_bytes(), &mut credential);
                let value = ["Basic ", &STANDARD.encode(credential)].concat();
                let authorization = Field::new(FieldName::AUTHORIZATION.clone(), value);
                Client { authorization: Some(authorization?), ..Client::default() }
            }
        })
    }
}

/// One text, or a list of them that is not empty.
#[derive(Clone)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    /// `check` says what was expected.
    fn compile(
        given: Option<Self>,
        at: &Pointer<'_>,
        load: &mut Load,
        check: impl Fn(&str) -> Result<(), &'static str>,
    ) -> Option<Vec<String>> {
        let one = |text: String, at: &Pointer<'_>, load: &mut Load| match check(&text) {
            Ok(()) => Some(text),
            Err(expected) => load.expect(at, None, expected),
        };
        match given {
            None => Some(Vec::new()),
            Some(Self::One(text)) => one(text, at, load).map(|text| [text].into()),
            Some(Self::Many(list)) => load.each(list, at, one),
        }
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts::One(text.into()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Texts, A::Error> {
                let list = serde::de::value::SeqAccessDeserializer::new(list);
                Vec::deserialize(list).map(Texts::Many)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `None` where something is given and refused.
fn given<T, U>(value: Option<T>, compile: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match value {
        None => Some(None),
        Some(value) => compile(value).map(Some),
    }
}

/// RFC 8693 section 3.
fn token_type(text: String, at: &Pointer<'_>, load: &mut Load) -> Option<String> {
    let text = is_absolute_uri(&text).then_some(text);
    load.expect(
        at,
        text,
        "a URI, such as urn:ietf:params:oauth:token-type:jwt (RFC 8693 section 3)",
    )
}

/// Whether `text` is an `absolute-URI` as far as its scheme and its characters (RFC 3986 sections 2,
/// 3.1 and 4.3); it has no fragment.
fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte))
}

/// RFC 6749 section 3.3.
fn is_scope(text: &str) -> bool {
    let scope_token = |token: &str| {
        let plain = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        !token.is_empty() && token.bytes().all(plain)
    };
    text.split(' ').all(scope_token)
}

#[cfg(test)]
mod tests;
