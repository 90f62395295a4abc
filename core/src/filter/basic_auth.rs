//! `basic_auth`: HTTP Basic authentication (RFC 7617).

#[cfg(feature = "explain")]
mod explain;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::arrival::{Arrival, Looks};
use crate::config::{Load, Pointer, Refusal};
use crate::credentials::{Credentials, Listed};
use crate::denial::Denial;
use crate::fields::{Field, FieldName, FieldValue};
use crate::filter::{Filter, Phases, Request};
use crate::flow::{Flow, Reply};
use crate::host::{Edit, Host, Repeated, Section};
use crate::path_index::PathIndex;
use crate::policy::invalid_path_reply;
use crate::problem::{DenyFields, DenyFormat};
use crate::syntax::authorization::{self, BasicError};
use crate::syntax::password_hash::{self, StoredCredential};
use crate::syntax::path::PathError;
use crate::when::{When, WhenFields};

/// The fields of `basic_auth` in the configuration.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BasicAuthFields {
    /// Every rule that a request matches must pass; a request that matches none passes.
    rules: Vec<RuleFields>,
    /// The realm of the challenge (RFC 9110 section 11.5); default `istio`.
    realm: Option<String>,
    /// Request field that tells the upstream the user; always stripped from the client's request.
    forward_user: Option<String>,
    /// Whether `authorization` is removed once it has passed.
    #[serde(default)]
    hide_credentials: bool,
    /// How replies are worded.
    #[serde(default)]
    deny: DenyFields,
}

/// One rule of `basic_auth`.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "basic_auth_rule"))]
#[serde(deny_unknown_fields)]
pub struct RuleFields {
    /// The requests it is for; all of them without it.
    pub(crate) when: Option<WhenFields>,
    /// `user:password`, its base64, or a htpasswd line `user:{SHA}...`.
    pub(crate) credentials: Vec<String>,
    /// The realm of this rule's challenge; default that of the filter.
    pub(crate) realm: Option<String>,
}

/// See [`BasicAuthFields`].
#[derive(Debug)]
pub struct BasicAuth {
    rules: Box<[Rule]>,
    index: PathIndex,
    looks: Looks,
    credentials: Credentials,
    forward_user: Option<FieldName>,
    hide_credentials: bool,
    deny_format: Option<DenyFormat>,
}

/// What the older plug-in answered, word for word.
const NO_CREDENTIALS: &[u8] =
    b"Request denied by Basic Auth check. No Basic Authentication information found.";
const WRONG_CREDENTIALS: &[u8] =
    b"Request denied by Basic Auth check. Invalid username and/or password";

/// The default realm, that of the older plug-in.
pub(crate) const REALM: &str = "istio";

/// Under which the user is noted, where it is forwarded.
const USER_NOTE: &str = "user";

impl Filter for BasicAuth {
    const KIND: &'static str = "basic_auth";
    const DENIALS: &'static [Denial] = &[
        Denial::NoCredentials,
        Denial::MalformedCredentials,
        Denial::RepeatedCredentials,
        Denial::WrongCredentials,
    ];
    type Fields = BasicAuthFields;

    fn compile(fields: BasicAuthFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let forward_user = match fields.forward_user {
            None => Some(None),
            Some(name) => {
                let at = at.key("forward_user");
                let name = FieldName::parse(&name)
                    .filter(|name| !name.belongs_to_proxy() && name != FieldName::AUTHORIZATION);
                load.expect(
                    &at,
                    name,
                    "a request field that is neither `authorization` nor the proxy's own",
                )
                .map(Some)
            }
        };
        let realm = fields.realm.as_deref().unwrap_or(REALM);
        let challenge = challenge(realm, &at.key("realm"), load);
        let list = at.key("rules");
        let take = Take { hashes: true, forwards: !matches!(forward_user, Some(None)) };
        let rules = load.each(fields.rules, &list, |rule, at, load| {
            let own = match &rule.realm {
                Some(realm) => self::challenge(realm, &at.key("realm"), load),
                None => challenge.clone(),
            };
            let when = match rule.when {
                None => Some(None),
                Some(when) => When::compile(when, &at.key("when"), load).map(Some),
            };
            let credentials = take.credentials(rule.credentials, &at.key("credentials"), load);
            Some(NewRule { when: when?, credentials: credentials?, challenge: own? })
        });
        let (rules, forward_user, _) = (rules?, forward_user?, challenge?);
        Some(Self {
            forward_user,
            hide_credentials: fields.hide_credentials,
            deny_format: fields.deny.format,
            ..Self::new(rules, load)
        })
    }

    fn phases(&self) -> Phases {
        Phases::Request
    }

    fn identity_fields(&self) -> &[FieldName] {
        self.forward_user.as_slice()
    }

    fn secret_fields(&self) -> &[FieldName] {
        core::slice::from_ref(FieldName::AUTHORIZATION)
    }

    fn looks(&self) -> Looks {
        self.looks
    }

    fn deny_format(&self) -> Option<DenyFormat> {
        self.deny_format
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        let mut presented: Option<Result<Listed<'_>, Denial>> = None;
        let mut failed: Option<(usize, Denial)> = None;
        let buffer = &mut *request.buffer;
        let judged = self.matching(host, request.arrival, |rule| {
            let presented = presented.get_or_insert_with(|| self.look_up(host, buffer));
            let denial = match presented {
                Ok(listed) if listed.by(rule) => return,
                Ok(_) => Denial::WrongCredentials,
                Err(denial) => *denial,
            };
            if failed.is_none_or(|(first, _)| rule < first) {
                failed = Some((rule, denial));
            }
        });
        if let Err(error) = judged {
            return Flow::Reply(invalid_path_reply(error));
        }
        if let Some((rule, denial)) = failed {
            return Flow::Reply(self.reply(rule, denial));
        }
        if presented.is_some() {
            self.pass_on(host, request.buffer);
        }
        Flow::Continue
    }
}

impl BasicAuth {
    /// From rules that are checked already; forwards and hides nothing.
    pub(crate) fn new(rules: Vec<NewRule>, load: &Load) -> Self {
        let listed = rules
            .iter()
            .enumerate()
            .flat_map(|(i, rule)| rule.credentials.iter().map(move |credential| (i, credential)));
        let credentials = Credentials::new(load.key, listed);
        let looks = rules.iter().filter_map(|rule| rule.when.as_ref()).map(When::looks);
        let looks = looks.fold(Looks::default(), Looks::or);
        let mut paths = Vec::with_capacity(rules.len());
        let rules = rules.into_iter().map(|rule| {
            let mut when = rule.when;
            #[cfg(feature = "explain")]
            let whole = when.clone();
            let indexed = when.as_mut().and_then(When::take_indexable_paths);
            let rule = Rule {
                when,
                #[cfg(feature = "explain")]
                whole,
                indexed: indexed.is_some(),
                challenge: [rule.challenge],
            };
            paths.push(indexed);
            rule
        });
        let rules = rules.collect();
        let index = PathIndex::new(paths.into_iter());
        Self {
            rules,
            index,
            looks,
            credentials,
            forward_user: None,
            hide_credentials: false,
            deny_format: None,
        }
    }

    /// Calls `visit` for every rule that the request matches, once or more.
    fn matching<H: Host>(
        &self,
        host: &H,
        arrival: &Arrival,
        mut visit: impl FnMut(usize),
    ) -> Result<(), PathError> {
        if self.looks.path
            && let Some(error) = arrival.path_error()
        {
            return self.matching_invalid(host, arrival, error, visit);
        }
        if !self.looks.path {
            for (index, rule) in self.rules.iter().enumerate() {
                if rule.holds(host, arrival, b"") {
                    visit(index);
                }
            }
            return Ok(());
        }
        for path in arrival.paths() {
            for index in self.index.rules(path) {
                if self.rules.get(index).is_some_and(|rule| rule.holds(host, arrival, path)) {
                    visit(index);
                }
            }
        }
        Ok(())
    }

    /// An invalid path matters to the rules that would have to judge it, and to no other.
    fn matching_invalid<H: Host>(
        &self,
        host: &H,
        arrival: &Arrival,
        error: PathError,
        mut visit: impl FnMut(usize),
    ) -> Result<(), PathError> {
        for (index, rule) in self.rules.iter().enumerate() {
            let holds = match &rule.when {
                None => true,
                Some(when) => when.holds(host, arrival, b"", Some(error))?,
            };
            if holds && rule.indexed {
                return Err(error);
            }
            if holds {
                visit(index);
            }
        }
        Ok(())
    }

    /// Reads `authorization`; `buffer` is for the decoded credential, should that be needed.
    fn look_up<H: Host>(&self, host: &H, buffer: &mut Vec<u8>) -> Result<Listed<'_>, Denial> {
        let value = match host.sole(Section::Request, FieldName::AUTHORIZATION) {
            Ok(value) => value.ok_or(Denial::NoCredentials)?,
            Err(Repeated) => return Err(Self::repeated(host, buffer)),
        };
        let known =
            authorization::basic_token(value).map(|token| self.credentials.look_up_token(token));
        if let Ok(Some(listed)) = known {
            return Ok(listed);
        }
        match authorization::basic(value, buffer) {
            Ok(credential) => Ok(self.credentials.look_up(&credential)),
            Err(BasicError::OtherScheme) => Err(Denial::NoCredentials),
            Err(BasicError::Malformed) => Err(Denial::MalformedCredentials),
            Err(BasicError::Repeated) => Err(Denial::RepeatedCredentials),
        }
    }

    /// The reason for several values: the one that they would have, joined with a comma as some
    /// versions of Envoy join them.
    fn repeated<H: Host>(host: &H, buffer: &mut Vec<u8>) -> Denial {
        let first = host.values(Section::Request, FieldName::AUTHORIZATION).next();
        match authorization::basic(first.unwrap_or_default(), buffer) {
            Err(BasicError::OtherScheme) => Denial::NoCredentials,
            _ => Denial::RepeatedCredentials,
        }
    }

    fn reply(&self, rule: usize, denial: Denial) -> Reply<'_> {
        let body = match denial {
            Denial::NoCredentials => NO_CREDENTIALS,
            _ => WRONG_CREDENTIALS,
        };
        let fields = self.rules.get(rule).map_or(&[][..], |rule| &rule.challenge);
        Reply { denial, status: denial.status(), fields: fields.into(), body: body.into() }
    }

    /// Tells the upstream who it is.
    fn pass_on<H: Host>(&self, host: &mut H, buffer: &mut Vec<u8>) {
        if let Some(name) = &self.forward_user {
            let value =
                host.values(Section::Request, FieldName::AUTHORIZATION).next().unwrap_or_default();
            let credential = authorization::basic(value, buffer).ok();
            // Users that do not fit were refused when the configuration was loaded.
            if let Some(user) = credential.and_then(|credential| FieldValue::new(credential.user)) {
                host.edit(Section::Request, Edit::Set(name, user));
                host.note(USER_NOTE, user.as_bytes());
            }
        }
        if self.hide_credentials {
            host.edit(Section::Request, Edit::Remove(FieldName::AUTHORIZATION));
        }
    }
}

#[derive(Debug)]
struct Rule {
    when: Option<When>,
    /// With all of its conditions.
    #[cfg(feature = "explain")]
    whole: Option<When>,
    /// Whether the conditions on the path are in the index, not in `when`.
    indexed: bool,
    challenge: [Field; 1],
}

impl Rule {
    /// Whether it is for a request with this form of a valid path.
    #[inline]
    fn holds<H: Host>(&self, host: &H, arrival: &Arrival, path: &[u8]) -> bool {
        // Of a valid path nothing but true or false comes back.
        self.when.as_ref().is_none_or(|when| when.holds(host, arrival, path, None) == Ok(true))
    }
}

/// A rule that is checked, and not yet in its filter.
pub(crate) struct NewRule {
    pub(crate) when: Option<When>,
    pub(crate) credentials: Vec<StoredCredential>,
    pub(crate) challenge: Field,
}

/// Which credentials are taken.
#[derive(Clone, Copy)]
pub(crate) struct Take {
    /// `{SHA}` is a hash, and other hashes are refused; else they are passwords as they stand.
    pub(crate) hashes: bool,
    /// Users must be fit for a field.
    pub(crate) forwards: bool,
}

impl Take {
    pub(crate) fn credentials(
        self,
        credentials: Vec<String>,
        at: &Pointer<'_>,
        load: &mut Load,
    ) -> Option<Vec<StoredCredential>> {
        load.each(credentials, at, |text, at, load| {
            let credential = password_hash::parse_credential(&text, !self.hashes)
                .map_err(|error| load.refuse(at, Refusal::malformed(error)))
                .ok()?;
            let fits = !self.forwards || FieldValue::new(credential.user.as_bytes()).is_some();
            load.expect(
                at,
                fits.then_some(()),
                "a user that can be a field value, for `forward_user`",
            )?;
            Some(credential)
        })
    }
}

pub(crate) fn challenge(realm: &str, at: &Pointer<'_>, load: &mut Load) -> Option<Field> {
    authorization::challenge(realm)
        .map_err(|error| load.refuse(at, Refusal::malformed(error)))
        .ok()
        .and_then(|value| Field::new(FieldName::WWW_AUTHENTICATE.clone(), value))
}
