//! A header map as Envoy keeps it.

/// Field lines in order of arrival, repeats kept, names lower-case; `host` is `:authority`.
///
/// Envoy joins the repeats of some fields with a comma before a filter sees them; a test that wants
/// that adds the joined value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    lines: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Fields {
    /// Adds a line after those that there are.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> &mut Self {
        self.lines.push((normal(name), value.to_vec()));
        self
    }

    /// Sets a field to one line, in the place of the first.
    pub fn replace(&mut self, name: &[u8], value: &[u8]) -> &mut Self {
        let name = normal(name);
        let first = self.lines.iter().position(|(other, _)| *other == name);
        let mut at = 0..;
        self.lines.retain(|(other, _)| at.next() == first || *other != name);
        match self.lines.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.lines.push((name, value.to_vec())),
        }
        self
    }

    /// Removes all lines of a field.
    pub fn remove(&mut self, name: &[u8]) -> &mut Self {
        let name = normal(name);
        self.lines.retain(|(other, _)| *other != name);
        self
    }

    /// All lines in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.lines.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// The values of a field, in order.
    pub fn values(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        let name = normal(name);
        self.lines.iter().filter(move |(other, _)| *other == name).map(|(_, value)| &value[..])
    }

    /// There are no lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        let mut fields = Self::default();
        for (name, value) in lines {
            fields.add(name.as_ref(), value.as_ref());
        }
        fields
    }
}

fn normal(name: &[u8]) -> Vec<u8> {
    let name = name.to_ascii_lowercase();
    if name == b"host" { b":authority".to_vec() } else { name }
}
