//! The document of the token-exchange plug-in of the series on writing one in Go.

use serde_json::value::RawValue;

use super::native::{Filter, NamedValue, Native, TokenExchange};
use super::{integer, text};
use crate::tree::Node;

/// Its document, which the filter has taken.
pub(super) fn convert(root: &Node<'_>, differences: &mut Vec<String>) -> Native {
    differences.extend(DIFFERENCES.map(str::to_owned));
    let cache = root.get("cache").and_then(|cache| RawValue::from_string(cache.to_json()).ok());
    let filter = TokenExchange {
        cluster: text(root, "auth_cluster_name").unwrap_or_default(),
        authority: text(root, "auth_authority").unwrap_or_default(),
        path: "/base64/RkFLRV9KV1QK",
        headers: [NamedValue { name: "accept", value: "*/*" }],
        timeout: integer(root, "auth_timeout_ms").map(|timeout| format!("{timeout}ms")),
        cache,
        mode: text(root, "mode"),
    };
    Native { filters: vec![Filter::TokenExchange(filter)] }
}

/// Of replies; what goes upstream is the same.
const DIFFERENCES: [&str; 3] = [
    "a 4xx of the service is passed on with its `www-authenticate` and a text of Pintle's, not with \
     `generated-by: My WASM plugin` and `Failed to add JWT`",
    "any other answer without a token, such as 201, 302 or 500, is a 503 with `retry-after`, not that \
     status",
    "a callout that fails is a 503 with `retry-after` and a text of Pintle's, not with `generated-by: My WASM \
     plugin` and `Failed to add JWT`",
];
