//! The filters that ship, one line each.

use crate::filter::basic_auth::BasicAuth;
use crate::filter::headers::Headers;
use crate::filter::log_headers::LogHeaders;
use crate::filter::problem_json::ProblemJson;
use crate::filter::require_header::RequireHeader;
use crate::filter::token_exchange::TokenExchange;

crate::filters! {
    /// The filters that ship.
    pub enum Shipped { LogHeaders, RequireHeader, BasicAuth, Headers, TokenExchange, ProblemJson }
}

crate::filters! {
    /// No filter: what a policy of the shipped artefacts holds beside the shipped ones.
    #[derive(Debug)]
    pub enum NoFurther {}
}
