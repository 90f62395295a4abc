//! Queries in PromQL: whether they are any, and what they ask for.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Result, anyhow};
use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};

use super::page::Series;

/// A query, and what it asks for.
#[derive(Debug)]
pub(super) struct Query {
    /// Where it stands, for people.
    pub(super) at: String,
    /// The name under which a rule records it.
    pub(super) records: Option<String>,
    /// What it selects.
    pub(super) selectors: Vec<Selector>,
    /// The labels that it groups by.
    pub(super) labels: BTreeSet<String>,
}

/// What is between braces, with the name before it.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    name: Option<String>,
    matchers: Matchers,
}

impl Query {
    /// Reads one.
    pub(super) fn parse(at: String, text: &str) -> Result<Self> {
        let expression = parser::parse(text).map_err(|error| anyhow!("{at}: {error}:\n{text}"))?;
        let mut query = Self { at, records: None, selectors: Vec::new(), labels: BTreeSet::new() };
        query.walk(&expression);
        Ok(query)
    }

    fn walk(&mut self, expression: &Expr) {
        match expression {
            Expr::Aggregate(aggregate) => {
                if let Some(LabelModifier::Include(labels)) = &aggregate.modifier {
                    self.labels.extend(labels.labels.iter().cloned());
                }
                aggregate.param.iter().for_each(|parameter| self.walk(parameter));
                self.walk(&aggregate.expr);
            }
            Expr::Unary(unary) => self.walk(&unary.expr),
            Expr::Binary(binary) => {
                self.walk(&binary.lhs);
                self.walk(&binary.rhs);
            }
            Expr::Paren(inner) => self.walk(&inner.expr),
            Expr::Subquery(subquery) => self.walk(&subquery.expr),
            Expr::Call(call) => call.args.args.iter().for_each(|argument| self.walk(argument)),
            Expr::VectorSelector(selector) => self.select(selector),
            Expr::MatrixSelector(selector) => self.select(&selector.vs),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
    }

    fn select(&mut self, selector: &VectorSelector) {
        let (name, matchers) = (selector.name.clone(), selector.matchers.clone());
        self.selectors.push(Selector { name, matchers });
    }
}

impl Selector {
    /// The one name that it has.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether a series is among what it selects, labels that only Prometheus knows left aside.
    pub(super) fn finds(&self, series: &Series, aside: &[&str]) -> bool {
        self.name.as_ref().is_none_or(|name| *name == series.name) && self.suits(series, aside)
    }

    /// Likewise, whatever the series is called.
    pub(super) fn suits(&self, series: &Series, aside: &[&str]) -> bool {
        self.matchers.matchers.iter().all(|matcher| match matcher.name.as_str() {
            "__name__" => matcher.is_match(&series.name),
            name if aside.contains(&name) => true,
            // A label that a selector names has to be there.
            name => series.labels.get(name).is_some_and(|value| matcher.is_match(value)),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or_default())?;
        let shown = |op: &MatchOp| match op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Re(_) => "=~",
            MatchOp::NotRe(_) => "!~",
        };
        let matchers = self.matchers.matchers.iter();
        let matchers = matchers.map(|m| format!("{}{}\"{}\"", m.name, shown(&m.op), m.value));
        write!(f, "{{{}}}", matchers.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::deploy::monitoring::page::Page;

    #[test]
    fn what_a_query_asks_for() {
        let text = r#"sum by (b) (rate(x{b="1", job=~"j"}[5m])) / (y + {__name__=~"z_.+_w"}) > 0
            and increase(sum by (c) (v)[15m:1m]) > topk(2, u)"#;
        let query = Query::parse("here".to_owned(), text).unwrap();
        let shown: Vec<String> = query.selectors.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 5, "{shown:?}");
        assert!(query.labels.iter().eq(["b", "c"]));
        let page = Page::read("x{b=\"1\"} 1\nx{b=\"2\"} 1\nz_a_w 0\nz_a_wx 0\n").unwrap();
        let found = |at: usize| -> Vec<bool> {
            page.series().map(|series| query.selectors[at].finds(series, &["job"])).collect()
        };
        assert_eq!(found(0), [true, false, false, false]);
        assert_eq!(found(2), [false, false, true, false]);
    }

    #[test]
    fn what_is_no_query() {
        for text in ["", "sum by (a", "rate(x)", "x{a=1}", "x[5m] +", "nothing(x)"] {
            assert!(Query::parse("here".to_owned(), text).is_err(), "{text}");
        }
    }
}
