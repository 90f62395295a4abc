//! The foreign functions of Envoy that the module uses: CEL expressions, kept and counted per root
//! context, that of the callback that runs: the effective context plays no part.

use super::FakeHost;
use super::calls::{BAD_ARGUMENT, NOT_FOUND};

impl FakeHost {
    pub(super) fn call_foreign(&mut self, name: &[u8], arguments: &[u8]) -> Result<Vec<u8>, u32> {
        match name {
            b"expr_create" => self.create_expression(arguments),
            b"expr_evaluate" => self.evaluate_expression(arguments),
            b"expr_delete" => self.delete_expression(arguments),
            _ => Err(NOT_FOUND),
        }
    }

    fn create_expression(&mut self, text: &[u8]) -> Result<Vec<u8>, u32> {
        let starts_literal = matches!(text.first(), Some(b'"' | b'\''));
        if text.is_empty() || (starts_literal && literal(text).is_none()) {
            return Err(BAD_ARGUMENT);
        }
        let root = self.current_root()?;
        let token = root.next_expression;
        root.expressions.insert(token, text.to_vec());
        root.next_expression = token.saturating_add(1);
        Ok(token.to_le_bytes().to_vec())
    }

    fn evaluate_expression(&mut self, token: &[u8]) -> Result<Vec<u8>, u32> {
        let token = read_token(token)?;
        let text = self.current_root()?.expressions.get(&token).ok_or(NOT_FOUND)?.clone();
        literal(&text).or_else(|| self.expressions.get(&text).cloned()).ok_or(NOT_FOUND)
    }

    fn delete_expression(&mut self, token: &[u8]) -> Result<Vec<u8>, u32> {
        let token = read_token(token)?;
        self.current_root()?.expressions.remove(&token).ok_or(NOT_FOUND)?;
        Ok(Vec::new())
    }
}

fn read_token(bytes: &[u8]) -> Result<u32, u32> {
    bytes.try_into().map(u32::from_le_bytes).map_err(|_| BAD_ARGUMENT)
}

/// The content of a CEL string literal: a backslash stands before what is meant as it is.
fn literal(text: &[u8]) -> Option<Vec<u8>> {
    let quote = *text.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
    let (&last, inner) = text.get(1..)?.split_last()?;
    let mut content = Vec::new();
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => content.push(bytes.next()?),
            _ if byte == quote => return None,
            _ => content.push(byte),
        }
    }
    (last == quote).then_some(content)
}
