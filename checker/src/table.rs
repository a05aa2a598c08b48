//! The set of fingerprints: open addressing, shared by all threads without locks.
//!
//! The idea: a fingerprint's upper bits choose a segment and, in it, the slot where probing begins. The slots are one array of
//! atomic words; zero is empty, and a slot that was taken never changes again. A small table has one segment, a large one
//! [`SEGMENTS_MAX`], which grow one by one, so that growing needs hardly more memory than the new size; and since the first slot is
//! a monotone function of the fingerprint the old slots are read and the new ones written front to back. Segments are no smaller than the
//! system's huge pages, without which an access at random misses the address cache as well.
//!
//! Growing needs exclusive access; threads therefore reserve room before they insert, and stop when there is none.

use crate::fingerprint::Fingerprint;
use memmap2::MmapMut;
use std::{
    io,
    marker::PhantomData,
    ops::Range,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// How many parts of equal size a large table has.
const SEGMENTS_MAX: usize = 64;
/// A huge page, in bytes; the least size of a segment where there are several.
const HUGE: usize = 2 << 20;
/// Slots of a table to begin with.
const SLOTS_MIN: usize = 1 << 14;
/// A table of fewer bytes grows faster and has more free slots: memory does not matter, but copying does, and so does having the
/// system clear pages.
const SMALL: u64 = 64 << 20;
/// Share of the slots of a small table that may be taken before it grows. Each probe that finds another fingerprint costs a
/// misprediction: at 0.75 a search takes a third longer than at 0.4.
const LOAD_SMALL: f64 = 0.5;
/// The same for any other table.
const LOAD: f64 = 0.7;
/// The same when it cannot grow.
const LOAD_TIGHT: f64 = 0.88;

/// Something with a cache line (or the two that are fetched together) of its own.
#[repr(align(128))]
pub struct Alone<T>(pub T);

/// A set of fingerprints.
pub struct Table<F> {
    segments: Vec<Segment>,
    shape: Shape,
    /// Fingerprints in the table and room that is reserved. On a cache line of its own: all threads read its neighbours all
    /// the time.
    taken: Alone<AtomicUsize>,
    /// How much may be reserved.
    limit: usize,
    width: PhantomData<F>,
}

impl<F: Fingerprint> Table<F> {
    /// An empty table.
    ///
    /// # Errors
    /// If the system gives no memory.
    pub fn new() -> io::Result<Table<F>> {
        let shape = Shape::of::<F>(SLOTS_MIN);
        Ok(Table {
            segments: shape.build::<F>()?,
            shape,
            taken: Alone(AtomicUsize::new(0)),
            limit: shape.limit(LOAD_SMALL),
            width: PhantomData,
        })
    }

    /// How many fingerprints it holds, when nobody is inserting.
    pub fn len(&self) -> u64 {
        self.taken.0.load(Ordering::Relaxed) as u64
    }

    /// Memory, in bytes.
    pub fn bytes(&self) -> u64 {
        bytes::<F>(self.shape.slots())
    }

    /// Share of the slots that are taken, 0 to 1.
    pub fn load(&self) -> f64 {
        self.len() as f64 / self.shape.slots() as f64
    }

    /// Reserves room for so many; `false` if the table has to grow first.
    #[inline]
    pub fn reserve(&self, room: usize) -> bool {
        let fits = self.taken.0.fetch_add(room, Ordering::Relaxed) + room <= self.limit;
        if !fits {
            self.unreserve(room);
        }
        fits
    }

    /// Gives back reserved room that was not needed.
    #[inline]
    pub fn unreserve(&self, room: usize) {
        self.taken.0.fetch_sub(room, Ordering::Relaxed);
    }

    /// Asks for the memory that [`Table::insert`] will look at first.
    #[inline]
    pub fn prefetch(&self, fingerprint: F) {
        let (segment, slot) = self.shape.place(fingerprint.lead());
        self.segments[segment].prefetch(slot * F::WORDS);
    }

    /// Whether the fingerprint is new. Room must have been reserved. Of several threads that insert the same one at the
    /// same time, exactly one is told that it is new.
    #[inline]
    pub fn insert(&self, fingerprint: F) -> bool {
        let (segment, slot) = self.shape.place(fingerprint.lead());
        insert(self.segments[segment].words(), slot, self.shape.each, fingerprint)
    }

    /// Whether the fingerprint is there.
    #[cfg(test)]
    pub fn contains(&self, fingerprint: F) -> bool {
        let (segment, mut slot) = self.shape.place(fingerprint.lead());
        let words = self.segments[segment].words();
        loop {
            match words[slot * F::WORDS].load(Ordering::Acquire) {
                0 => return false,
                lead if lead == fingerprint.lead()
                    && (F::WORDS == 1
                        || words[slot * 2 + 1].load(Ordering::Acquire) == fingerprint.tail()) =>
                {
                    return true;
                }
                _ => slot = if slot + 1 == self.shape.each { 0 } else { slot + 1 },
            }
        }
    }

    /// Makes room for at least `room` more within `bytes_max` bytes, with so many threads. `false` if that is not possible.
    ///
    /// # Errors
    /// If the system gives no memory.
    pub fn grow(&mut self, room: usize, bytes_max: u64, threads: usize) -> io::Result<bool> {
        let shape = self.shape_for(room, bytes_max);
        if shape != self.shape {
            self.resize(shape, threads)?;
        }
        let needed = self.taken.0.load(Ordering::Relaxed) + room;
        self.limit = shape.limit(load::<F>(shape.slots()));
        if self.limit < needed {
            self.limit = shape.limit(LOAD_TIGHT);
        }
        Ok(self.limit >= needed)
    }

    /// What [`Table::grow`] will make of it, in bytes.
    pub fn grown_bytes(&self, room: usize, bytes_max: u64) -> u64 {
        bytes::<F>(self.shape_for(room, bytes_max).slots())
    }

    fn shape_for(&self, room: usize, bytes_max: u64) -> Shape {
        let needed = self.taken.0.load(Ordering::Relaxed) + room;
        let mut slots = self.shape.slots() * if self.bytes() < SMALL { 4 } else { 2 };
        while Shape::of::<F>(slots).limit(load::<F>(slots)) < needed {
            slots *= 2;
        }
        // The last third of what there is is taken only when nothing else helps.
        let most = |bytes: u64| (bytes / (8 * F::WORDS) as u64) as usize;
        let enough = |slots: &usize| Shape::of::<F>(*slots).limit(LOAD) >= needed;
        let modest = Some(most(bytes_max / 3 * 2)).filter(enough);
        let slots = slots.min(modest.unwrap_or_else(|| most(bytes_max)));
        // Less than a tenth more is not worth the copying.
        if slots > self.shape.slots() + self.shape.slots() / 10 { Shape::of::<F>(slots) } else { self.shape }
    }

    fn resize(&mut self, shape: Shape, threads: usize) -> io::Result<()> {
        let old = std::mem::replace(&mut self.shape, shape);
        if old.count() == 1 || old.count() != shape.count() {
            let segments = std::mem::replace(&mut self.segments, shape.build::<F>()?);
            self.take_over(segments, old, threads);
            return Ok(());
        }
        let share = self.segments.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let helpers: Vec<_> = self
                .segments
                .chunks_mut(share)
                .map(|part| {
                    scope.spawn(move || part.iter_mut().try_for_each(|one| regrow::<F>(one, old, shape)))
                })
                .collect();
            let join = |helper: std::thread::ScopedJoinHandle<'_, io::Result<()>>| {
                helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            helpers.into_iter().try_for_each(join)
        })
    }

    /// Inserts what is in these segments. Each thread takes a run of slots, so that each writes to a part of the table of its own.
    fn take_over(&self, segments: Vec<Segment>, old: Shape, threads: usize) {
        for segment in segments {
            let share = old.each.div_ceil(threads);
            std::thread::scope(|scope| {
                for begin in (0..old.each).step_by(share) {
                    let run = begin..(begin + share).min(old.each);
                    let segment = &segment;
                    scope.spawn(move || {
                        segment.pour(run, |fingerprint: F| {
                            self.insert(fingerprint);
                        });
                    });
                }
            });
        }
    }
}

/// How the slots are divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shape {
    /// Binary logarithm of the number of segments.
    bits: u32,
    /// Slots of each segment.
    each: usize,
}

impl Shape {
    /// For about so many slots.
    fn of<F: Fingerprint>(slots: usize) -> Shape {
        let several = bytes::<F>(slots) >= (SEGMENTS_MAX * HUGE) as u64;
        let bits = if several { SEGMENTS_MAX.trailing_zeros() } else { 0 };
        Shape { bits, each: slots >> bits }
    }

    fn count(self) -> usize {
        1 << self.bits
    }

    fn slots(self) -> usize {
        self.each << self.bits
    }

    fn build<F: Fingerprint>(self) -> io::Result<Vec<Segment>> {
        (0..self.count()).map(|_| Segment::new(self.each * F::WORDS)).collect()
    }

    fn limit(self, load: f64) -> usize {
        // Segments fill evenly but for chance: six deviations of the largest stay free.
        let mean = self.each as f64 * load;
        ((mean - 6.0 * mean.sqrt()).max(mean * 0.5) * self.count() as f64) as usize
    }

    /// Segment and first slot: a monotone function of the word.
    #[inline]
    fn place(self, lead: u64) -> (usize, usize) {
        let within = lead << self.bits;
        let slot = (u128::from(within) * self.each as u128) >> 64;
        // In two steps, because a shift by 64 is none.
        ((lead >> 1 >> (63 - self.bits)) as usize, slot as usize)
    }
}

fn bytes<F: Fingerprint>(slots: usize) -> u64 {
    (slots * 8 * F::WORDS) as u64
}

fn load<F: Fingerprint>(slots: usize) -> f64 {
    if bytes::<F>(slots) < SMALL { LOAD_SMALL } else { LOAD }
}

#[inline]
fn insert<F: Fingerprint>(words: &[AtomicU64], mut slot: usize, slots: usize, fingerprint: F) -> bool {
    loop {
        let at = slot * F::WORDS;
        let mut found = words[at].load(Ordering::Relaxed);
        if found == 0 {
            match words[at].compare_exchange(0, fingerprint.lead(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if F::WORDS == 2 {
                        words[at + 1].store(fingerprint.tail(), Ordering::Relaxed);
                    }
                    return true;
                }
                Err(other) => found = other,
            }
        }
        if found == fingerprint.lead() && (F::WORDS == 1 || tail(&words[at + 1]) == fingerprint.tail()) {
            return false;
        }
        slot = if slot + 1 == slots { 0 } else { slot + 1 };
    }
}

/// The second word of a slot that another thread may just have taken.
#[inline]
fn tail(word: &AtomicU64) -> u64 {
    loop {
        let tail = word.load(Ordering::Relaxed);
        if tail != 0 {
            return tail;
        }
        std::hint::spin_loop();
    }
}

fn regrow<F: Fingerprint>(segment: &mut Segment, old: Shape, shape: Shape) -> io::Result<()> {
    let grown = Segment::new(shape.each * F::WORDS)?;
    let to = grown.words();
    segment.pour(0..old.each, |fingerprint: F| {
        insert(to, shape.place(fingerprint.lead()).1, shape.each, fingerprint);
    });
    *segment = grown;
    Ok(())
}

/// Zeroed words straight from the system, in huge pages where it has them: a table is accessed at random, and with small
/// pages every access would also miss the address cache.
struct Segment {
    map: MmapMut,
    /// Where in the mapping the words begin, in bytes: at a boundary of huge pages.
    begin: usize,
    len: usize,
}

impl Segment {
    fn new(len: usize) -> io::Result<Segment> {
        let huge = len * 8 >= HUGE;
        // What is mapped and never touched costs nothing.
        let map = MmapMut::map_anon(len * 8 + if huge { HUGE } else { 0 })?;
        let begin = if huge { map.as_ptr().align_offset(HUGE) } else { 0 };
        #[cfg(target_os = "linux")]
        if huge {
            // Advice: without huge pages everything is right, only slower.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Ok(Segment { map, begin, len })
    }

    /// Gives all fingerprints of these slots, from front to back.
    fn pour<F: Fingerprint>(&self, slots: Range<usize>, mut to: impl FnMut(F)) {
        let words = self.words();
        for slot in slots {
            let lead = words[slot * F::WORDS].load(Ordering::Relaxed);
            if lead != 0 {
                let tail = if F::WORDS == 2 { words[slot * 2 + 1].load(Ordering::Relaxed) } else { 0 };
                to(F::from_words(lead, tail));
            }
        }
    }

    #[inline]
    #[allow(unsafe_code)]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is zeroed, at least `begin + len * 8` bytes long, lives as long as `self`, and is accessed in no
        // other way than through this function; `begin` is page-aligned; every bit pattern is a valid `AtomicU64`.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(self.begin).cast::<AtomicU64>(), self.len) }
    }

    #[inline]
    #[allow(unsafe_code)]
    fn prefetch(&self, at: usize) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch has no effect that a program can see, whatever the address; this one is in the mapping.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(&self.words()[at]).cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn fill<F: Fingerprint>(values: &[u64], threads: usize) -> (Table<F>, usize) {
        let mut table = Table::<F>::new().expect("memory");
        let mut fresh = 0;
        for part in values.chunks(1000) {
            if !table.reserve(part.len() * threads) {
                assert!(table.grow(part.len() * threads, u64::MAX, threads).expect("memory"));
                assert!(table.reserve(part.len() * threads));
            }
            let new: usize = std::thread::scope(|scope| {
                let table = &table;
                let insert = || part.iter().filter(|value| table.insert(F::of(*value))).count();
                let helpers: Vec<_> = (0..threads).map(|_| scope.spawn(insert)).collect();
                helpers.into_iter().map(|helper| helper.join().expect("no panic")).sum()
            });
            table.unreserve(part.len() * threads - new);
            fresh += new;
        }
        (table, fresh)
    }

    #[test]
    fn each_fingerprint_is_new_once_whatever_the_threads() {
        let values: Vec<u64> = (0..200_000u64).map(|n| n * 7919 % 90_001).collect();
        let distinct = values.iter().collect::<BTreeSet<_>>().len();
        for threads in [1, 4] {
            let (narrow, fresh) = fill::<u64>(&values, threads);
            assert_eq!((fresh, narrow.len()), (distinct, distinct as u64));
            let (wide, fresh) = fill::<u128>(&values, threads);
            assert_eq!((fresh, wide.len()), (distinct, distinct as u64));
            assert!(
                values.iter().all(|value| narrow.contains(u64::of(value)) && wide.contains(u128::of(value)))
            );
            assert!(!narrow.contains(u64::of(&90_001u64)) && !wide.contains(u128::of(&90_001u64)));
        }
    }

    #[test]
    fn a_table_that_may_not_grow_fills_up_and_then_says_so() {
        let mut table = Table::<u64>::new().expect("memory");
        let bytes = table.bytes();
        let mut inserted = 0u64;
        while table.reserve(1) || table.grow(1, bytes, 1).expect("memory") && table.reserve(1) {
            assert!(table.insert(u64::of(&inserted)));
            inserted += 1;
        }
        assert_eq!((table.len(), table.bytes()), (inserted, bytes));
        assert!(table.load() > 0.5, "{}", table.load());
        assert!((0..inserted).all(|value| table.contains(u64::of(&value))));
    }
}
