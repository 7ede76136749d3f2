//! Small numbers for things: the lowest free one is given out.

/// Things indexed by number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Option<T>>,
    limit: usize,
}

impl<T> Slab<T> {
    /// For numbers below `limit` (at most 65536).
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: Vec::new(), limit }
    }

    /// Puts a thing at the lowest free number; `None` if all are taken.
    pub(super) fn insert(&mut self, thing: T) -> Option<u16> {
        let number = match self.entries.iter().position(Option::is_none) {
            Some(free) => free,
            None if self.entries.len() < self.limit => {
                self.entries.push(None);
                self.entries.len() - 1
            }
            None => return None,
        };
        self.entries[number] = Some(thing);
        u16::try_from(number).ok()
    }

    /// Takes a thing out; its number is free.
    pub(super) fn remove(&mut self, number: u16) -> Option<T> {
        self.entries.get_mut(usize::from(number))?.take()
    }

    /// The thing at a number.
    pub(super) fn get(&self, number: u16) -> Option<&T> {
        self.entries.get(usize::from(number))?.as_ref()
    }

    /// How many numbers are taken.
    pub(super) fn len(&self) -> usize {
        self.entries.iter().flatten().count()
    }

    /// How many more things fit.
    pub(super) fn free(&self) -> usize {
        self.limit - self.len()
    }

    /// All numbers ever given out, with what is there.
    pub(super) fn slots(&self) -> &[Option<T>] {
        &self.entries
    }

    /// The thing at a number, to be changed.
    pub(super) fn get_mut(&mut self, number: u16) -> Option<&mut T> {
        self.entries.get_mut(usize::from(number))?.as_mut()
    }

    /// What is there, with its number, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut T)> {
        self.entries.iter_mut().enumerate().filter_map(|(n, thing)| Some((n as u16, thing.as_mut()?)))
    }

    /// What is there, with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &T)> {
        self.entries.iter().enumerate().filter_map(|(n, thing)| Some((n as u16, thing.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_free_number_and_limit() {
        let mut slab = Slab::new(2);
        assert_eq!((slab.insert('a'), slab.insert('b'), slab.insert('c')), (Some(0), Some(1), None));
        assert_eq!((slab.remove(0), slab.remove(0), slab.free()), (Some('a'), None, 1));
        assert_eq!((slab.insert('d'), slab.get(0)), (Some(0), Some(&'d')));
        assert_eq!(slab.iter().map(|(n, c)| (n, *c)).collect::<Vec<_>>(), [(0, 'd'), (1, 'b')]);
    }
}
