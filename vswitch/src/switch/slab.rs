//! Small numbers for things: the lowest free one is given out.

use std::collections::BTreeSet;

/// Things indexed by number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Option<T>>,
    limit: usize,
    /// Numbers that are given out only when asked for.
    reserved: BTreeSet<u16>,
}

impl<T> Slab<T> {
    /// For numbers below `limit` (at most 65536).
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: Vec::new(), limit, reserved: BTreeSet::new() }
    }

    /// Keeps numbers for [`Self::insert_at`].
    pub(super) fn reserve(&mut self, numbers: impl IntoIterator<Item = u16>) {
        self.reserved.extend(numbers);
    }

    /// Reserved numbers that nobody has asked for are free again.
    pub(super) fn release_reserved(&mut self) {
        self.reserved.clear();
    }

    /// Puts a thing at the lowest free number; `None` if all are taken.
    pub(super) fn insert(&mut self, thing: T) -> Option<u16> {
        let is_free = |number: &usize| {
            self.entries.get(*number).is_none_or(Option::is_none)
                && !self.reserved.contains(&(*number as u16))
        };
        let number = (0..self.limit).find(is_free)? as u16;
        self.insert_at(number, thing)
    }

    /// Puts a thing at a number, reserved or not, or at the lowest free one if it is taken.
    pub(super) fn insert_at(&mut self, number: u16, thing: T) -> Option<u16> {
        let at = usize::from(number);
        if at >= self.limit || self.get(number).is_some() {
            return self.insert(thing);
        }
        if at >= self.entries.len() {
            self.entries.resize_with(at + 1, || None);
        }
        self.entries[at] = Some(thing);
        self.reserved.remove(&number);
        Some(number)
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

    #[test]
    fn reserved_numbers_are_for_those_who_ask() {
        let mut slab = Slab::new(4);
        slab.reserve([0, 2]);
        assert_eq!((slab.insert('a'), slab.insert_at(2, 'b'), slab.insert('c')), (Some(1), Some(2), Some(3)));
        assert_eq!((slab.insert('d'), slab.insert_at(2, 'd')), (None, None), "0 is kept");
        slab.release_reserved();
        assert_eq!(slab.insert_at(2, 'd'), Some(0), "2 is taken");
    }
}
