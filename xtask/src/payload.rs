//! The content of a message, as both ends of the harness send it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{HeaderMap, header};
use pintle_core::testing::corpus::FieldLines;

/// The bytes of one piece of a body without a stated length.
const PIECE_BYTES: usize = 16 * 1024;

/// A body: some bytes, perhaps trailers.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    frames: VecDeque<Frame<Bytes>>,
    exact: Option<u64>,
    endless: bool,
}

impl Payload {
    /// One piece, its length stated.
    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let exact = Some(body.len() as u64);
        let frames = (!body.is_empty()).then(|| Frame::data(body)).into_iter().collect();
        Self { frames, exact, endless: false }
    }

    /// In pieces, its length not stated.
    pub(crate) fn pieces(body: impl Into<Bytes>) -> Self {
        let mut rest: Bytes = body.into();
        let mut frames = VecDeque::new();
        while !rest.is_empty() {
            frames.push_back(Frame::data(rest.split_to(rest.len().min(PIECE_BYTES))));
        }
        Self { frames, exact: None, endless: false }
    }

    /// With trailers at the end. HTTP/1.1 sends them behind chunks only.
    pub(crate) fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        if !trailers.is_empty() {
            self.exact = None;
            self.frames.push_back(Frame::trailers(trailers));
        }
        self
    }

    /// Never ends: more seems to come, and does not.
    pub(crate) fn stalled(mut self) -> Self {
        self.exact = None;
        self.endless = true;
        self
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            // Nothing wakes the task again; its connection is dropped as a whole.
            None if self.endless => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && !self.endless && self.exact.is_some()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.frames.iter().filter_map(|f| f.data_ref()).map(|d| d.len() as u64).sum();
        match self.exact {
            Some(_) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

/// Field lines as hyper has them.
pub(crate) fn header_map(lines: &FieldLines) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let shown = || format!("field {}: {}", name.escape_ascii(), value.escape_ascii());
        let name = header::HeaderName::from_bytes(name).with_context(shown)?;
        let value = header::HeaderValue::from_bytes(value).with_context(shown)?;
        map.try_append(name, value).context("too many fields")?;
    }
    Ok(map)
}

/// hyper's fields as lines.
pub(crate) fn field_lines(map: &HeaderMap) -> FieldLines {
    map.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::Payload;
    use http_body_util::BodyExt;
    use hyper::HeaderMap;
    use hyper::body::Body;

    #[tokio::test]
    async fn nothing_is_lost() {
        let body = vec![7; 40_000];
        assert_eq!(Payload::whole(body.clone()).size_hint().exact(), Some(40_000));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        let pieces = Payload::pieces(body.clone()).with_trailers(trailers.clone());
        assert_eq!(pieces.size_hint().exact(), None);
        let collected = pieces.collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
        assert_eq!(collected.to_bytes(), body);
    }
}
