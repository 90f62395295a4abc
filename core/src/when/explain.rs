//! Which condition of a `when` does not hold.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{HeaderMatch, When};
use crate::arrival::Arrival;
use crate::explain::{Form, Found, Judgement, Part};
use crate::host::{Host, Section};
use crate::syntax::path::PathError;

/// How many forms of a path are told of, beside the one that decides: more than a path has that was not
/// made to have many.
const TOLD: usize = 8;

impl When {
    /// What [`When::judge`] finds, and why; with `invalid` the path has to be judged and cannot.
    pub(crate) fn explain<H: Host>(
        &self,
        host: &H,
        arrival: &Arrival,
        invalid: Option<PathError>,
    ) -> Judgement {
        if !self.looks.path {
            let form = self.explain_form(host, arrival, None, None);
            return Judgement { verdict: form.verdict, forms: [form].into(), judged: 1 };
        }
        let (mut forms, mut judged) = (Vec::new(), 0_usize);
        for path in arrival.paths() {
            let form = self.explain_form(host, arrival, Some(path), invalid);
            let verdict = form.verdict;
            judged = judged.saturating_add(1);
            if verdict != Ok(false) || forms.len() < TOLD {
                forms.push(form);
            }
            if verdict != Ok(false) {
                return Judgement { verdict, forms, judged };
            }
        }
        Judgement { verdict: Ok(false), forms, judged }
    }

    fn explain_form<H: Host>(
        &self,
        host: &H,
        arrival: &Arrival,
        path: Option<&[u8]>,
        invalid: Option<PathError>,
    ) -> Form {
        let (verdict, parts) = self.parts(host, arrival, path.unwrap_or_default(), invalid);
        Form { path: path.map(<[u8]>::to_vec), verdict, parts }
    }

    /// As [`When::holds`] has it: an invalid path does not matter where another condition decides.
    fn parts<H: Host>(
        &self,
        host: &H,
        arrival: &Arrival,
        path: &[u8],
        invalid: Option<PathError>,
    ) -> (Result<bool, PathError>, Vec<Part>) {
        let mut parts = Vec::new();
        if !self.hosts.is_empty() {
            let holds = self.hosts.iter().any(|pattern| pattern.matches(arrival.host()));
            parts.push(part("/hosts", Ok(holds), Found::Host(arrival.host().to_vec())));
        }
        if !self.methods.is_empty() {
            let holds = self.methods.iter().any(|method| **method == *arrival.method());
            parts.push(part("/methods", Ok(holds), Found::Method(arrival.method().to_vec())));
        }
        for (place, header) in self.headers.iter().enumerate() {
            let pointer = format!("/headers/{place}");
            parts.push(part(&pointer, Ok(header.holds(host)), header.found(host)));
        }
        if let Some(paths) = &self.paths {
            let holds = match invalid {
                Some(error) => Err(error),
                None => Ok(paths.iter().any(|wanted| wanted.matches(path))),
            };
            parts.push(part("/path", holds, Found::Path));
        }
        if let Some(not) = &self.not {
            let (holds, mut inner) = not.parts(host, arrival, path, invalid);
            inner.iter_mut().for_each(|part| part.move_below("/not"));
            parts.push(part("/not", holds.map(|holds| !holds), Found::Not(inner)));
        }
        let verdict = if parts.iter().any(|part| part.holds == Ok(false)) {
            Ok(false)
        } else {
            parts.iter().map(|part| part.holds).find(Result::is_err).unwrap_or(Ok(true))
        };
        (verdict, parts)
    }
}

impl HeaderMatch {
    fn found<H: Host>(&self, host: &H) -> Found {
        let values = host.values(Section::Request, &self.name).map(<[u8]>::to_vec);
        Found::Values(self.name.clone(), values.collect())
    }
}

impl Part {
    fn move_below(&mut self, parent: &str) {
        self.pointer.insert_str(0, parent);
        if let Found::Not(parts) = &mut self.found {
            parts.iter_mut().for_each(|part| part.move_below(parent));
        }
    }
}

fn part(pointer: &str, holds: Result<bool, PathError>, found: Found) -> Part {
    Part { pointer: pointer.to_string(), holds, found }
}
