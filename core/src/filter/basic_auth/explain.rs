//! Which rules a request matches, and whether it passes them.

use alloc::vec::Vec;

use super::BasicAuth;
use crate::arrival::Arrival;
use crate::denial::Denial;
use crate::explain::RuleTurn;
use crate::host::Host;

impl BasicAuth {
    /// Each rule, in the order of the configuration.
    pub(crate) fn explain<H: Host>(&self, host: &H, arrival: &Arrival) -> Vec<RuleTurn> {
        let mut buffer = Vec::new();
        let presented = self.look_up(host, &mut buffer);
        let denial = |rule| match &presented {
            Ok(listed) if listed.by(rule) => None,
            Ok(_) => Some(Denial::WrongCredentials),
            Err(denial) => Some(*denial),
        };
        let turn = |(place, rule): (usize, &super::Rule)| {
            let when = rule.whole.as_ref();
            let when = when.map(|when| when.explain(host, arrival, arrival.path_error()));
            let applies = when.as_ref().map_or(Ok(true), |when| when.verdict);
            let denial = (applies == Ok(true)).then(|| denial(place)).flatten();
            RuleTurn { when, applies, denial }
        };
        self.rules.iter().enumerate().map(turn).collect()
    }
}
