//! The content of a message, as both ends of the harness send it.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{HeaderMap, header};
use pintle_core::testing::corpus::FieldLines;
use tokio::sync::watch;

/// The bytes of one piece of a body without a stated length.
pub(crate) const PIECE_BYTES: usize = 16 * 1024;

/// For what was sent to arrive before the connection ends.
const BEFORE_THE_END: Duration = Duration::from_millis(50);

/// A body: some bytes, perhaps trailers.
#[derive(Default)]
pub(crate) struct Payload {
    steps: VecDeque<Step>,
    /// Whether its length is stated.
    exact: bool,
    /// Bytes that are stated and never come.
    missing: u64,
    endless: bool,
}

enum Step {
    Frame(Frame<Bytes>),
    /// So many frames of these bytes.
    Again(Bytes, u64),
    /// What was given so far goes out by itself.
    Flush,
    /// Likewise, and nothing more until this is done.
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
    Break,
}

/// Content ended before its end.
#[derive(Debug)]
pub(crate) struct BrokenOff;

/// Keeps content back until it is opened.
#[derive(Clone, Debug)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    /// That is shut.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets the content go on.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn opened(self) {
        // There is a sender: this one.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

impl Payload {
    /// One piece, its length stated.
    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let steps = (!body.is_empty()).then(|| Step::Frame(Frame::data(body)));
        Self { steps: steps.into_iter().collect(), exact: true, ..Self::default() }
    }

    /// In pieces, its length not stated.
    pub(crate) fn pieces(body: impl Into<Bytes>) -> Self {
        Self::cut(body.into(), PIECE_BYTES).collect()
    }

    /// In pieces of so many bytes, each of which goes out by itself.
    pub(crate) fn drops(body: impl Into<Bytes>, bytes: usize) -> Self {
        Self::cut(body.into(), bytes).flat_map(|piece| [piece, Step::Flush]).collect()
    }

    /// So many times the same, one behind the other.
    pub(crate) fn repeated(body: impl Into<Bytes>, times: u64) -> Self {
        [Step::Again(body.into(), times)].into_iter().collect()
    }

    /// The first half of it, the other once the gate is open.
    pub(crate) fn gated(body: impl Into<Bytes>, gate: Gate) -> Self {
        let mut rest: Bytes = body.into();
        let half = rest.split_to(rest.len() / 2);
        let steps = [
            Step::Frame(Frame::data(half)),
            Step::Wait(Box::pin(gate.opened())),
            Step::Frame(Frame::data(rest)),
        ];
        steps.into_iter().collect()
    }

    /// It, and not the end: the connection ends in its place, or the stream over HTTP/2.
    pub(crate) fn broken_off(body: impl Into<Bytes>) -> Self {
        let pause = async { tokio::time::sleep(BEFORE_THE_END).await };
        let steps =
            [Step::Frame(Frame::data(body.into())), Step::Wait(Box::pin(pause)), Step::Break];
        Self { missing: 1, ..steps.into_iter().collect() }
    }

    /// With its length stated.
    pub(crate) fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// With trailers at the end. HTTP/1.1 sends them behind chunks only.
    pub(crate) fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        if !trailers.is_empty() {
            self.exact = false;
            self.steps.push_back(Step::Frame(Frame::trailers(trailers)));
        }
        self
    }

    /// Never ends: more seems to come, and does not.
    pub(crate) fn stalled(mut self) -> Self {
        self.exact = false;
        self.missing = 1;
        self.endless = true;
        self
    }

    fn cut(mut rest: Bytes, bytes: usize) -> impl Iterator<Item = Step> {
        std::iter::from_fn(move || {
            let piece = rest.split_to(rest.len().min(bytes));
            (!piece.is_empty()).then(|| Step::Frame(Frame::data(piece)))
        })
    }
}

impl FromIterator<Step> for Payload {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }
}

impl Step {
    fn bytes(&self) -> u64 {
        match self {
            Self::Frame(frame) => frame.data_ref().map_or(0, |data| data.len() as u64),
            Self::Again(data, times) => data.len() as u64 * times,
            Self::Flush | Self::Wait(_) | Self::Break => 0,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            match self.steps.front_mut() {
                Some(Step::Again(data, times @ 2..)) => {
                    *times -= 1;
                    return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
                }
                Some(Step::Wait(done)) => ready!(done.as_mut().poll(context)),
                _ => {}
            }
            match self.steps.pop_front() {
                Some(Step::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Step::Again(data, 1..)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Step::Again(_, 0) | Step::Wait(_)) => {}
                Some(Step::Flush) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Break) => return Poll::Ready(Some(Err(BrokenOff))),
                // Nothing wakes the task again; its connection is dropped as a whole.
                None if self.endless => return Poll::Pending,
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && !self.endless && self.exact
    }

    fn size_hint(&self) -> SizeHint {
        match self.exact {
            true => {
                SizeHint::with_exact(self.steps.iter().map(Step::bytes).sum::<u64>() + self.missing)
            }
            false => SizeHint::default(),
        }
    }
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off, as planned")
    }
}

impl std::error::Error for BrokenOff {}

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
    use super::{Gate, Payload};
    use bytes::Bytes;
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
        let gate = Gate::new();
        gate.open();
        for payload in [
            Payload::drops(body.clone(), 7),
            Payload::repeated(vec![7; 400], 100),
            Payload::gated(body.clone(), gate),
        ] {
            assert_eq!(payload.size_hint().exact(), None);
            let payload = payload.exact();
            assert_eq!(payload.size_hint().exact(), Some(40_000));
            assert_eq!(payload.collect().await.unwrap().to_bytes(), body);
        }
    }

    #[tokio::test]
    async fn what_is_broken_off_has_no_end() {
        let mut payload = Payload::broken_off(Bytes::from_static(b"half")).exact();
        assert_eq!(payload.size_hint().exact(), Some(5));
        let first = payload.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "half");
        assert!(payload.frame().await.unwrap().is_err());
    }
}
