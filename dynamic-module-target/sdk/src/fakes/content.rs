//! The content of a response, on its way through the filter.

use core::cell::{Cell, RefCell};

use super::callbacks::stream;
use super::{FakeStream, fields, raw};
use crate::abi::{
    BodyStatus, BodyType, FilterEnvoy, HeadersStatus, ModuleBuffer, RawEnvoyBuffer, TrailersStatus,
};
use crate::config::HttpFilterConfig;
use crate::hooks;

type Chunks = Vec<Vec<u8>>;

/// What the host has of it.
#[derive(Debug, Default)]
pub(super) struct Content {
    received: RefCell<Option<Chunks>>,
    /// As in Envoy it stays once it was made, empty or not.
    buffered: RefCell<Option<Chunks>>,
    /// The filter has stopped the response.
    stopped: Cell<bool>,
    /// The fields are no longer held.
    gone: Cell<bool>,
    in_trailers: Cell<bool>,
    refused: Cell<Option<ContentCallback>>,
    sent: RefCell<Vec<u8>>,
}

/// A callback about content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCallback {
    /// What lends the chunks.
    Read,
    /// What takes bytes out.
    Drain,
    /// What puts bytes in.
    Append,
}

impl<C: HttpFilterConfig> FakeStream<'_, C> {
    /// A piece of the response content arrives at the filter, in chunks.
    ///
    /// # Panics
    ///
    /// If the hook returns a number that is not a status.
    pub fn response_body(&self, chunks: &[&[u8]], end_of_stream: bool) -> BodyStatus {
        let (content, module) = (&self.host.content, self.host.module.get());
        let chunks = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        *content.received.borrow_mut() = Some(chunks);
        // SAFETY: the module's object is alive until it is destroyed, which sets the pointer to null.
        let status =
            unsafe { hooks::response_body::<C>(self.host.as_envoy(), module, end_of_stream) };
        let status = BodyStatus::from_number(status).expect("a status");
        let piece = content.received.take().unwrap_or_default();
        match status {
            _ if self.reset_details().is_some() => {}
            BodyStatus::Continue if content.stopped.get() => {
                content.keep(piece);
                content.resume();
            }
            BodyStatus::Continue => content.send(piece),
            BodyStatus::StopIterationNoBuffer => content.stopped.set(true),
            BodyStatus::StopIterationAndBuffer | BodyStatus::StopIterationAndWatermark => {
                content.stopped.set(true);
                content.keep(piece);
            }
        }
        status
    }

    /// Response trailers arrive at the filter.
    ///
    /// # Panics
    ///
    /// If the hook returns a number that is not a status.
    pub fn response_trailers<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        trailers: impl IntoIterator<Item = (K, V)>,
    ) -> TrailersStatus {
        let (content, module) = (&self.host.content, self.host.module.get());
        *self.host.trailers.borrow_mut() = Some(fields(trailers));
        content.in_trailers.set(true);
        // SAFETY: as in `response_body`.
        let status = unsafe { hooks::response_trailers::<C>(self.host.as_envoy(), module) };
        content.in_trailers.set(false);
        let status = TrailersStatus::from_number(status).expect("a status");
        if status == TrailersStatus::Continue && content.stopped.get() {
            content.resume();
        }
        status
    }

    /// Whether the fields of the response have gone on, behind the filter.
    #[must_use]
    pub fn has_gone(&self) -> bool {
        self.host.content.has_gone()
    }

    /// The content that has gone on, behind the filter.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.host.content.sent.borrow().clone()
    }

    /// An earlier filter has kept content and let it go: its buffer, which all filters share, is there.
    pub fn leave_buffer(&self) {
        self.host.content.keep(Vec::new());
    }

    /// Makes Envoy do nothing in this callback, and say so.
    pub fn refuse_content(&self, callback: ContentCallback) {
        self.host.content.refused.set(Some(callback));
    }
}

impl Content {
    fn of(&self, body: u32) -> Option<&RefCell<Option<Chunks>>> {
        match BodyType::from_number(body)? {
            BodyType::ReceivedResponseBody => Some(&self.received),
            BodyType::BufferedResponseBody => Some(&self.buffered),
            BodyType::ReceivedRequestBody | BodyType::BufferedRequestBody => None,
        }
    }

    fn read<R>(&self, body: u32, work: impl FnOnce(&Chunks) -> R) -> Option<R> {
        self.of(body)?.borrow().as_ref().map(work)
    }

    /// Changes it, and moves all of it, so that nothing lent before is valid.
    fn edit(&self, body: u32, change: impl FnOnce(&mut Chunks)) -> bool {
        let Some(mut place) = self.of(body).map(|place| place.borrow_mut()) else { return false };
        let Some(chunks) = place.as_mut() else { return false };
        let mut moved = chunks.clone();
        change(&mut moved);
        *chunks = moved;
        true
    }

    fn refuses(&self, callback: ContentCallback) -> bool {
        self.refused.get() == Some(callback)
    }

    fn keep(&self, piece: Chunks) {
        self.buffered.borrow_mut().get_or_insert_default().extend(piece);
    }

    fn send(&self, piece: Chunks) {
        self.sent.borrow_mut().extend(piece.into_iter().flatten());
    }

    /// What becomes of the fields.
    pub(super) fn begin(&self, status: HeadersStatus, end_of_stream: bool) {
        match status {
            HeadersStatus::Continue | HeadersStatus::ContinueAndDontEndStream => {
                self.gone.set(true);
            }
            _ => self.stopped.set(true),
        }
        if end_of_stream && status == HeadersStatus::Continue {
            self.flush();
        }
    }

    pub(super) fn has_gone(&self) -> bool {
        self.gone.get()
    }

    /// The response goes on, with all that was kept.
    fn resume(&self) {
        self.stopped.set(false);
        self.gone.set(true);
        self.flush();
    }

    fn flush(&self) {
        let kept = self.buffered.borrow_mut().as_mut().map(core::mem::take);
        self.send(kept.unwrap_or_default());
    }
}

pub(super) unsafe extern "C" fn get_body_size(filter: FilterEnvoy, body: u32) -> usize {
    // SAFETY: see the callbacks.
    let content = &unsafe { stream(filter) }.content;
    content.read(body, |chunks| chunks.iter().map(Vec::len).sum()).unwrap_or(0)
}

pub(super) unsafe extern "C" fn get_body_chunks_size(filter: FilterEnvoy, body: u32) -> usize {
    // SAFETY: see the callbacks.
    unsafe { stream(filter) }.content.read(body, Vec::len).unwrap_or(0)
}

pub(super) unsafe extern "C" fn get_body_chunks(
    filter: FilterEnvoy,
    body: u32,
    result: *mut RawEnvoyBuffer,
) -> bool {
    // SAFETY: see the callbacks.
    let content = &unsafe { stream(filter) }.content;
    if content.refuses(ContentCallback::Read) {
        return false;
    }
    let written = content.read(body, |chunks| {
        for (index, chunk) in chunks.iter().enumerate() {
            // SAFETY: the caller has room for as many as `get_body_chunks_size` said.
            unsafe { result.add(index).write(raw(chunk)) };
        }
    });
    written.is_some()
}

pub(super) unsafe extern "C" fn append_body(
    filter: FilterEnvoy,
    body: u32,
    data: ModuleBuffer<'_>,
) -> bool {
    // SAFETY: see the callbacks.
    let content = &unsafe { stream(filter) }.content;
    let data = data.bytes().unwrap_or_default().to_vec();
    // Envoy to 1.40 loses it or crashes, by what other filters do.
    assert!(!content.in_trailers.get() || content.stopped.get(), "content in a response that runs");
    if content.refuses(ContentCallback::Append) {
        return false;
    }
    let is_buffered = body == BodyType::BufferedResponseBody.number();
    if is_buffered && content.buffered.borrow().is_none() {
        content.keep(vec![data]);
        return true;
    }
    content.edit(body, |chunks| chunks.push(data))
}

pub(super) unsafe extern "C" fn drain_body(filter: FilterEnvoy, body: u32, bytes: usize) -> bool {
    // SAFETY: see the callbacks.
    let content = &unsafe { stream(filter) }.content;
    if content.refuses(ContentCallback::Drain) {
        return false;
    }
    content.edit(body, |chunks| {
        let mut left = bytes;
        for chunk in chunks.iter_mut() {
            let taken = left.min(chunk.len());
            chunk.drain(..taken);
            left -= taken;
        }
        chunks.retain(|chunk| !chunk.is_empty());
    })
}
