//! Responses: their fields, and their content where a filter replaces it.
//!
//! Envoy shows content only once the fields have gone on. So they go first, without `content-length`,
//! and the pieces of content are taken out of the message as they come. What comes in their place is
//! written at the end or, where no filter takes more of them, before it.
//!
//! Where trailers come no piece is the last one, and in the callback about trailers content can be
//! written only if the response is held. But a response that is held is lost when a piece comes that is
//! longer than the listener's buffer, though nothing else is in it. So only one is held that may well
//! have trailers: one of HTTP/2, or with a field that announces them. Of one that says how long it is
//! the last piece is known.
//!
//! A response without content ends with its fields, and Envoy lets a module add none. It is sent once
//! more as a local reply, which has its fields and takes its place.

use pintle_core::filter::FilterSet;
use pintle_core::{Passage, Section, Stream};
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType, StreamType};

use super::{Vm, answer, root, send_failure};
use crate::abi;
use crate::arena::Event;
use crate::pairs::Pairs;
use crate::streams::{Memory, Replaced};

/// The buffer of the content.
const CONTENT: BufferType = BufferType::HttpResponseBody;

impl<X: FilterSet> Vm<X> {
    /// The fields of a response have arrived, of one's own reply too. `ends`: nothing follows them.
    pub fn on_response_headers(&self, id: u32, ends: bool) -> Action {
        if self.held.end(id) {
            // Not an answer of the upstream, which has not seen the request.
            return Action::Continue;
        }
        let event = Event::begin();
        let remembered = match self.streams.borrow_mut().recall(id) {
            Some(Memory::Replied) => return Action::Continue,
            Some(Memory::Forwarded(stream)) => Some(stream),
            _ => None,
        };
        let roots = self.roots.borrow();
        let root = root(&roots, &event).filter(|root| root.policy.answers());
        let Some(root) = root else { return Action::Continue };
        let mut stream = match remembered {
            Some(stream) => stream,
            None if root.policy.remembers() => return Action::Continue,
            None => {
                let mut stream = self.streams.borrow_mut().fresh();
                stream.forward();
                stream
            }
        };
        let mut host = self.host(&event, root, id, Some(Section::Response));
        #[cfg(feature = "test-panic")]
        host.panic_if_asked(b"response");
        // As they came: they tell what follows.
        let lines = root.policy.replaces_content().then(|| host.lines());
        let passage =
            root.policy.on_response(&mut stream, &mut host, &mut self.scratch.borrow_mut(), ends);
        if let (Passage::Replace, Some(lines)) = (&passage, lines)
            && !host.failed()
        {
            let replaced = Replaced::begin(stream, lines);
            self.streams.borrow_mut().remember(id, Memory::Replacing(Box::new(replaced)));
            return Action::Continue;
        }
        self.streams.borrow_mut().retire(stream);
        // A reply takes the response's place, and this callback does not run for it.
        match passage {
            _ if host.failed() => self.refuse_response(id),
            Passage::Give(content) => match send_with(&content, &event) {
                Some(()) => Action::Pause,
                None => self.refuse_response(id),
            },
            _ => Action::Continue,
        }
    }

    /// Content of a response has arrived; so many bytes of it are there. `ends`: nothing follows them.
    pub fn on_response_body(&self, id: u32, size: usize, ends: bool) -> Action {
        let remembered = self.streams.borrow_mut().recall(id);
        let mut replaced = match remembered {
            Some(Memory::Replacing(replaced)) => replaced,
            Some(Memory::Broken) => return self.hold_back(id),
            _ => return Action::Continue,
        };
        if self.replace(&mut replaced, size, ends).is_none() {
            return self.break_off(id);
        }
        let action = if replaced.is_held { Action::Pause } else { Action::Continue };
        let mut streams = self.streams.borrow_mut();
        if ends {
            streams.retire(replaced.stream);
        } else {
            streams.remember(id, Memory::Replacing(replaced));
        }
        action
    }

    /// The trailers of a response have arrived, after which nothing follows.
    pub fn on_response_trailers(&self, id: u32) -> Action {
        let remembered = self.streams.borrow_mut().recall(id);
        let mut replaced = match remembered {
            Some(Memory::Replacing(replaced)) => replaced,
            Some(Memory::Broken) => return self.hold_back(id),
            _ => return Action::Continue,
        };
        // Where it is not held either all is done, or Envoy has no buffer now: it ends as it is, which is
        // without content.
        if replaced.is_held && self.replace(&mut replaced, 0, true).is_none() {
            return self.break_off(id);
        }
        self.streams.borrow_mut().retire(replaced.stream);
        Action::Continue
    }

    /// Takes the `size` bytes in the buffer, and leaves there what is to go on; `None` where the host
    /// fails.
    fn replace(&self, replaced: &mut Replaced, size: usize, ends: bool) -> Option<()> {
        let Replaced { stream, left, .. } = replaced;
        if !stream.is_replacing() {
            return write(size, &[]);
        }
        let event = Event::begin();
        let wants = stream.wants();
        let most = wants.saturating_add(1).min(size);
        if most > 0 {
            let piece = abi::buffer_bytes(&event, CONTENT, 0, most).ok()?;
            stream.take((piece.len() == most).then_some(piece)?);
        }
        *left = left.map(|left| left.saturating_sub(size));
        if !ends && size <= wants && *left != Some(0) {
            replaced.is_held = replaced.may_have_trailers;
            return write(size, &[]);
        }
        let roots = self.roots.borrow();
        let content = root(&roots, &event)?.policy.content(stream);
        replaced.is_held = false;
        write(size, &content)
    }

    /// Fails closed. Where not even that can be sent, nothing of the response goes on.
    #[cold]
    fn refuse_response(&self, id: u32) -> Action {
        if send_failure() { Action::Pause } else { self.hold_back(id) }
    }

    /// Ends a response whose fields have gone on, rather than send them with content that is not theirs.
    #[cold]
    fn break_off(&self, id: u32) -> Action {
        let why = match abi::close_stream(StreamType::HttpResponse) {
            Ok(()) => "so it is closed",
            Err(_) => "nor closed, so it is held",
        };
        let line = format!("pintle: the content of a response could not be replaced, {why}");
        abi::log(LogLevel::Error, line.as_bytes());
        self.hold_back(id)
    }

    #[cold]
    fn hold_back(&self, id: u32) -> Action {
        self.streams.borrow_mut().remember(id, Memory::Broken);
        Action::Pause
    }
}

impl Replaced {
    /// `lines`: the fields of the response, as they came.
    fn begin(stream: Box<Stream>, lines: Pairs<'_>) -> Self {
        let has = |name| lines.values(name).next().is_some();
        let mut lengths = lines.values(b"content-length");
        let left = lengths.next().and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        // Envoy keeps `transfer-encoding` in sight here, which only HTTP/1.1 has.
        let may_have_trailers = left.is_none() && (has(b"trailer") || !has(b"transfer-encoding"));
        Self { stream, left, may_have_trailers, is_held: false }
    }
}

/// Puts `content` in the place of the `size` bytes in the buffer.
fn write(size: usize, content: &[u8]) -> Option<()> {
    if size == 0 && content.is_empty() {
        return Some(());
    }
    abi::replace_buffer(CONTENT, content).ok()
}

/// Sends the response that has no content as a reply that has, with the status, the fields and the
/// response-code details that it has now. `None` where the host fails.
fn send_with(content: &[u8], event: &Event) -> Option<()> {
    let lines = abi::header_map_pairs(event, MapType::HttpResponseHeaders).ok()?;
    let lines = Pairs::parse(lines).ok()?;
    let status = answer::status(lines.values(b":status").next()?)?;
    let details = abi::property(event, b"response\0code_details").ok()?.unwrap_or_default();
    let fields = lines.iter().filter(|(name, _)| !name.starts_with(b":"));
    // The host writes its own.
    let fields = fields.filter(|(name, _)| *name != b"content-length");
    abi::send_local_response(status, details, content, fields).ok()
}
