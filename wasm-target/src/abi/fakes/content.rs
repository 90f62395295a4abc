//! The content of a response, and what Envoy does with it around the callbacks about it.

use proxy_wasm::types::Action;

use super::calls::BAD_ARGUMENT;
use super::{End, Stream, with_stream, within};

/// The content of a response on its way to the client.
#[derive(Debug)]
pub struct Content {
    /// What has gone on to the client.
    pub sent: Vec<u8>,
    /// The most that Envoy holds, in bytes; a stream of which it has to hold more is closed. 1 MiB, as
    /// `per_connection_buffer_limit_bytes` is by default.
    pub limit: usize,
    /// What is held.
    held: Vec<u8>,
    /// The piece that the callback that runs is about.
    piece: Vec<u8>,
    /// The buffer that there is for calls, in the callback that runs.
    open: Option<Open>,
    /// The callback before has paused the stream.
    is_paused: bool,
}

/// What a module sees as the buffer of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Piece,
    Held,
}

impl Default for Content {
    fn default() -> Self {
        let (sent, held, piece) = (Vec::new(), Vec::new(), Vec::new());
        Self { sent, limit: 1024 * 1024, held, piece, open: None, is_paused: false }
    }
}

impl Content {
    pub(super) fn open(&mut self) -> Option<&mut Vec<u8>> {
        match self.open? {
            Open::Piece => Some(&mut self.piece),
            Open::Held => Some(&mut self.held),
        }
    }

    /// A piece has come. While the stream is paused it joins what is held before the module sees it.
    fn begin(&mut self, piece: &[u8]) -> Option<usize> {
        self.open = Some(if self.is_paused { Open::Held } else { Open::Piece });
        let buffer = self.open()?;
        buffer.extend_from_slice(piece);
        let size = buffer.len();
        (self.open == Some(Open::Piece) || size <= self.limit).then_some(size)
    }

    /// Whether what is held now is not too much.
    fn hold(&mut self) -> bool {
        self.held.append(&mut self.piece);
        (self.open, self.is_paused) = (None, true);
        self.held.len() <= self.limit
    }

    fn let_go(&mut self) {
        self.sent.append(&mut self.held);
        self.sent.append(&mut self.piece);
        (self.open, self.is_paused) = (None, false);
    }
}

impl Stream {
    fn close(&mut self) -> End {
        self.is_closed = true;
        End::Close
    }

    fn after(&mut self, action: Action) -> End {
        self.content.open = None;
        // Fields have gone, so that a reply can only end it; but for one that it is itself.
        let late_reply = self.reply.is_some() && self.end != Some(End::Reply);
        if self.is_closed || late_reply {
            return self.close();
        }
        match action {
            Action::Pause if !self.content.hold() => return self.close(),
            Action::Pause => return End::Pause,
            _ => self.content.let_go(),
        }
        End::Continue
    }
}

/// Runs `proxy_on_response_body` of stream `id`, whose further arguments are the bytes that there are
/// in the buffer and whether nothing follows.
pub fn on_response_body(
    id: u32,
    piece: &[u8],
    ends: bool,
    callback: impl FnOnce(usize, bool) -> Action,
) -> End {
    let size = with_stream(id, |stream| {
        let size = stream.content.begin(piece).filter(|_| !stream.is_closed);
        size.ok_or_else(|| stream.close())
    });
    let size = match size {
        Some(Ok(size)) => size,
        Some(Err(end)) => return end,
        None => return End::Continue,
    };
    let action = within(id, || callback(size, ends));
    with_stream(id, |stream| stream.after(action)).unwrap_or(End::Continue)
}

/// Runs `proxy_on_response_trailers` of stream `id`. There is a buffer to write to where content has
/// come and is held, even if it was taken out.
pub fn on_response_trailers(id: u32, callback: impl FnOnce() -> Action) -> End {
    let is_closed = with_stream(id, |stream| {
        stream.content.open = stream.content.is_paused.then_some(Open::Held);
        stream.is_closed
    });
    if is_closed == Some(true) {
        return End::Close;
    }
    let action = within(id, callback);
    with_stream(id, |stream| stream.after(action)).unwrap_or(End::Continue)
}

/// What Envoy lets a module write: something in the place of the first bytes, or behind the last.
pub(super) fn write(
    buffer: &mut Vec<u8>,
    start: usize,
    size: usize,
    data: &[u8],
) -> Result<(), u32> {
    match (start, size) {
        (0, _) => drop(buffer.splice(..size.min(buffer.len()), data.iter().copied())),
        _ if start >= buffer.len() => buffer.extend_from_slice(data),
        _ => return Err(BAD_ARGUMENT),
    }
    Ok(())
}
