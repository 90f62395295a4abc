//! A policy tells what it is made of, and what it does.

use alloc::vec::Vec;

use super::Policy;
use super::step::{Kind, Step};
use super::steps::Shipped;
use crate::arrival::Arrival;
use crate::explain::{Act, Outline, Secrets, Turn};
use crate::fields::FieldName;
use crate::filter::basic_auth::BasicAuth;
use crate::filter::headers::Headers;
use crate::filter::log_headers::LogHeaders;
use crate::filter::problem_json::ProblemJson;
use crate::filter::require_header::RequireHeader;
use crate::filter::token_exchange::TokenExchange;
use crate::filter::{Filter, FilterSet};
use crate::host::Host;
use crate::redaction::Redaction;
use crate::syntax::path::PathError;

impl<X: FilterSet> Policy<X> {
    /// The filters, in their order.
    pub fn outline(&self) -> impl Iterator<Item = Outline<'_>> {
        self.steps.iter().map(|step| Outline {
            name: &step.name,
            kind: step.kind(),
            mode: step.mode,
            phases: step.phases,
        })
    }

    /// The request fields that are removed before the first filter, as only filters may say what they
    /// say.
    pub fn identity_fields(&self) -> &[FieldName] {
        &self.identity_fields
    }

    /// Which fields hold secrets, for all filters together.
    pub fn secrets(&self) -> Secrets {
        let mut names: Vec<FieldName> = Vec::new();
        let mut patterns = Vec::new();
        for step in &self.steps {
            names.extend_from_slice(step.secret_fields());
            if let Kind::Shipped(Shipped::LogHeaders(filter)) = &step.kind {
                patterns.extend_from_slice(filter.redaction().patterns());
            }
        }
        let mut redaction = Redaction::new(patterns);
        redaction.learn(&names);
        Secrets(redaction)
    }
}

impl<X: FilterSet> Step<X> {
    fn kind(&self) -> Option<&'static str> {
        let Kind::Shipped(filter) = &self.kind else { return None };
        Some(match filter {
            Shipped::LogHeaders(_) => LogHeaders::KIND,
            Shipped::RequireHeader(_) => RequireHeader::KIND,
            Shipped::BasicAuth(_) => BasicAuth::KIND,
            Shipped::Headers(_) => Headers::KIND,
            Shipped::TokenExchange(_) => TokenExchange::KIND,
            Shipped::ProblemJson(_) => ProblemJson::KIND,
        })
    }

    /// The chain has come to this step with a request, which no step has answered if it is `open`.
    pub(super) fn explain<H: Host>(
        &self,
        host: &H,
        arrival: &Arrival,
        applies: Result<bool, PathError>,
        open: bool,
    ) {
        host.explain(|| {
            let asked = open && self.phases.request();
            // As [`Step::applies`] has it.
            let invalid = arrival.path_error().filter(|_| self.phases.request());
            let rules = match &self.kind {
                Kind::Shipped(Shipped::BasicAuth(filter)) if asked && applies == Ok(true) => {
                    filter.explain(host, arrival)
                }
                _ => Vec::new(),
            };
            let when = self.when.as_ref().map(|when| when.explain(host, arrival, invalid));
            Act::Request(Turn { step: self.index, applies, asked, when, rules })
        });
    }

    /// The chain has come to this step with a response.
    pub(super) fn explain_response<H: Host>(&self, host: &H, applies: bool) {
        if self.phases.response() {
            host.explain(|| Act::Response { step: self.index, applies });
        }
    }
}
