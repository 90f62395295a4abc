//! What the host does for each call, on data; [`super::raw`] has the pointers.

use proxy_wasm::types::LogLevel;

use super::{End, FakeHost, Fields, LocalReply, Root, Stream, content};
use crate::pairs::{self, Pairs};

pub(super) const NOT_FOUND: u32 = 1;
pub(super) const BAD_ARGUMENT: u32 = 2;
pub(super) const CAS_MISMATCH: u32 = 8;
pub(super) const INTERNAL_FAILURE: u32 = 10;

impl FakeHost {
    pub(super) fn log(&mut self, level: u32, message: &[u8]) -> Result<(), u32> {
        let level = match level {
            0 => LogLevel::Trace,
            1 => LogLevel::Debug,
            2 => LogLevel::Info,
            3 => LogLevel::Warn,
            4 => LogLevel::Error,
            5 => LogLevel::Critical,
            _ => return Err(BAD_ARGUMENT),
        };
        if level as u32 >= self.log_level as u32 {
            self.logs.push((level, message.to_vec()));
        }
        Ok(())
    }

    /// Ok with nothing for a map that is not there.
    pub(super) fn pairs(&mut self, map: u32) -> Result<Vec<u8>, u32> {
        let mut bytes = Vec::new();
        if let Some(fields) = self.fields(map) {
            // The limits of what a module may send do not hold for what it is sent.
            write_unbounded(fields, &mut bytes)?;
        }
        Ok(bytes)
    }

    pub(super) fn first_value(&mut self, map: u32, name: &[u8]) -> Result<Vec<u8>, u32> {
        let fields = self.fields(map).ok_or(BAD_ARGUMENT)?;
        fields.values(name).next().map(<[u8]>::to_vec).ok_or(NOT_FOUND)
    }

    pub(super) fn edit(&mut self, map: u32, edit: impl FnOnce(&mut Fields)) -> Result<(), u32> {
        self.fields(map).map(edit).ok_or(BAD_ARGUMENT)
    }

    pub(super) fn buffer(&mut self, buffer: u32, start: usize, max: usize) -> Result<Vec<u8>, u32> {
        const NOTHING: &Vec<u8> = &Vec::new();

        let bytes = match buffer {
            1 => self.effective_stream().map(|stream| stream.content.open().map_or(NOTHING, |b| b)),
            4 => self.answer.as_ref().map(|answer| &answer.body),
            6 => self.vm_configuration.as_ref(),
            7 => self.plugin_configuration.as_ref(),
            0..=8 => None,
            _ => return Err(BAD_ARGUMENT),
        };
        let bytes = bytes.ok_or(NOT_FOUND)?;
        let end = start.checked_add(max).ok_or(BAD_ARGUMENT)?.min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }

    /// Envoy writes to content alone.
    pub(super) fn set_buffer(
        &mut self,
        buffer: u32,
        start: usize,
        size: usize,
        data: &[u8],
    ) -> Result<(), u32> {
        match buffer {
            1 => match self.effective_stream().ok_or(NOT_FOUND)?.content.open() {
                Some(open) => content::write(open, start, size, data),
                None => Err(BAD_ARGUMENT),
            },
            0..=8 => Err(NOT_FOUND),
            _ => Err(BAD_ARGUMENT),
        }
    }

    pub(super) fn property(&self, path: &[u8]) -> Result<Vec<u8>, u32> {
        let context = self.context();
        let stream = context.and_then(|id| self.streams.get(&id));
        let root = stream.map(|stream| stream.root).or(context);
        let root = root.and_then(|id| self.roots.get(&id));
        stream
            .and_then(|stream| stream.property(path))
            .or_else(|| root.and_then(|root| root.properties.get(path)))
            .or_else(|| self.properties.get(path))
            .cloned()
            .ok_or(NOT_FOUND)
    }

    pub(super) fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), u32> {
        let stream = self.effective_stream().ok_or(NOT_FOUND)?;
        stream.filter_state.insert([b"wasm.", path].concat(), value.to_vec());
        Ok(())
    }

    /// The first reply counts. A list that is too long is an empty one, to Envoy.
    pub(super) fn reply(&mut self, mut reply: LocalReply, list: &[u8]) -> Result<(), u32> {
        let stream = self.effective_stream().ok_or(BAD_ARGUMENT)?;
        let pairs = Pairs::parse(list).unwrap_or_default();
        if list.len() <= pairs::MAX_BYTES && pairs.len() <= pairs::MAX_PAIRS {
            reply.fields = pairs.iter().collect();
        }
        stream.reply.get_or_insert(reply);
        if self.context() != self.current {
            // No callback of this stream runs that would end with it.
            self.effective_stream().ok_or(BAD_ARGUMENT)?.take_reply();
        }
        Ok(())
    }

    /// The fields of a request that goes on are gone at once.
    pub(super) fn continue_stream(&mut self, stream: u32) -> Result<(), u32> {
        if stream > 3 {
            return Err(BAD_ARGUMENT);
        }
        let held = self.effective_stream().ok_or(BAD_ARGUMENT)?;
        if stream == 0 {
            held.continues = held.continues.saturating_add(1);
            held.request_open = false;
            if held.end == Some(End::Pause) {
                held.end = Some(End::Continue);
            }
        }
        Ok(())
    }

    /// Takes effect when the callback returns.
    pub(super) fn close_stream(&mut self, stream: u32) -> Result<(), u32> {
        if stream > 3 {
            return Err(BAD_ARGUMENT);
        }
        self.effective_stream().ok_or(BAD_ARGUMENT)?.is_closed = true;
        Ok(())
    }

    pub(super) fn set_tick_period(&mut self, milliseconds: u32) -> Result<(), u32> {
        self.effective_root()?.tick_milliseconds = milliseconds;
        Ok(())
    }

    pub(super) fn set_effective(&mut self, id: u32) -> Result<(), u32> {
        if !self.has_context(id) {
            return Err(BAD_ARGUMENT);
        }
        self.effective = Some(id);
        Ok(())
    }

    /// The root context of the callback that runs.
    pub(super) fn current_root(&mut self) -> Result<&mut Root, u32> {
        self.root_of(self.current)
    }

    /// The root context of the context that calls are about.
    pub(super) fn effective_root_id(&self) -> Result<u32, u32> {
        let id = self.context().ok_or(BAD_ARGUMENT)?;
        let root = self.streams.get(&id).map_or(id, |stream| stream.root);
        self.roots.contains_key(&root).then_some(root).ok_or(BAD_ARGUMENT)
    }

    fn effective_root(&mut self) -> Result<&mut Root, u32> {
        self.root_of(self.context())
    }

    /// A context may be a stream of its root.
    fn root_of(&mut self, context: Option<u32>) -> Result<&mut Root, u32> {
        let id = context.ok_or(BAD_ARGUMENT)?;
        let root = self.streams.get(&id).map_or(id, |stream| stream.root);
        self.roots.get_mut(&root).ok_or(BAD_ARGUMENT)
    }

    fn effective_stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.context()?)
    }

    /// The context that calls are about: the effective one, while it is there.
    fn context(&self) -> Option<u32> {
        self.effective.filter(|id| self.has_context(*id)).or(self.current)
    }

    fn has_context(&self, id: u32) -> bool {
        self.roots.contains_key(&id) || self.streams.contains_key(&id)
    }

    fn fields(&mut self, map: u32) -> Option<&mut Fields> {
        match map {
            6 => return self.answer.as_mut().map(|answer| &mut answer.fields),
            7 => return self.answer.as_mut().map(|answer| &mut answer.trailers),
            _ => {}
        }
        let stream = self.effective_stream()?;
        match map {
            0 if stream.request_open => Some(&mut stream.request),
            2 if stream.response_open => Some(&mut stream.response),
            _ => None,
        }
    }
}

impl Stream {
    /// Filter state that a wasm filter has set goes by its own name, and by its full one.
    fn property(&self, path: &[u8]) -> Option<&Vec<u8>> {
        let own = || self.filter_state.get(&[b"wasm.", path].concat());
        let full = || self.filter_state.get(path.strip_prefix(b"filter_state\0")?);
        self.properties.get(path).or_else(own).or_else(full)
    }
}

/// Like [`pairs::write`], without its limits, which are for the other direction.
fn write_unbounded(fields: &Fields, bytes: &mut Vec<u8>) -> Result<(), u32> {
    let number = |n: usize| u32::try_from(n).map(u32::to_le_bytes).map_err(|_| INTERNAL_FAILURE);
    bytes.extend(number(fields.iter().count())?);
    for (name, value) in fields.iter() {
        bytes.extend(number(name.len())?);
        bytes.extend(number(value.len())?);
    }
    for (name, value) in fields.iter() {
        bytes.extend([name, b"\0", value, b"\0"].concat());
    }
    Ok(())
}
