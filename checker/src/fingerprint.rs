//! Fingerprints: the few bits by which the search remembers a state.
//!
//! The idea: 128 bits of hash state, mixed by a step that is a bijection for every input word, so that two states can
//! only be confused in the last step, which folds them to the width that was asked for. With n states of a width of b
//! bits the probability that any two of them are confused is then about n² / 2^(b+1): see [`collision_odds`].
//!
//! Not a cryptographic hash, and not keyed: the same state has the same fingerprint in every run and process, which
//! checkpoints, spilled frontiers and several processes rely on.

use std::{
    fmt::Debug,
    hash::{Hash, Hasher},
};

/// A state's fingerprint: 64 bits as a `u64`, 128 bits as a `u128`. Never zero in any 64-bit half.
pub trait Fingerprint: Copy + Ord + Hash + Debug + Send + Sync + 'static {
    /// How many 64-bit words it has.
    const WORDS: usize;

    /// Of anything that can be hashed.
    fn of<T: Hash + ?Sized>(value: &T) -> Self {
        let mut mixer = Mixer::new();
        value.hash(&mut mixer);
        Self::from_mixer(mixer)
    }

    /// Folds a mixer's state.
    fn from_mixer(mixer: Mixer) -> Self;

    /// The word that decides the place in a table.
    fn lead(self) -> u64;

    /// The other word, if there is one.
    fn tail(self) -> u64;

    /// From its two words; the second is ignored at 64 bits.
    fn from_words(lead: u64, tail: u64) -> Self;
}

impl Fingerprint for u64 {
    const WORDS: usize = 1;

    #[inline]
    fn from_mixer(mixer: Mixer) -> u64 {
        let mixer = mixer.settled();
        fold(mixer.low ^ 0x1319_8A2E_0370_7344, mixer.high ^ 0xA409_3822_299F_31D0).max(1)
    }

    #[inline]
    fn lead(self) -> u64 {
        self
    }

    #[inline]
    fn tail(self) -> u64 {
        0
    }

    #[inline]
    fn from_words(lead: u64, _: u64) -> u64 {
        lead
    }
}

impl Fingerprint for u128 {
    const WORDS: usize = 2;

    #[inline]
    fn from_mixer(mixer: Mixer) -> u128 {
        let mixer = mixer.settled();
        // Each half is a bijection of one half of the state, given the other one: nothing is lost.
        let lead = avalanche(mixer.low ^ mixer.high.rotate_left(32));
        let tail = avalanche(mixer.high.wrapping_add(lead));
        u128::from_words(lead.max(1), tail.max(1))
    }

    #[inline]
    fn lead(self) -> u64 {
        self as u64
    }

    #[inline]
    fn tail(self) -> u64 {
        (self >> 64) as u64
    }

    #[inline]
    fn from_words(lead: u64, tail: u64) -> u128 {
        u128::from(lead) | u128::from(tail) << 64
    }
}

/// Probability that among this many states some two have the same fingerprint of this many bits.
pub fn collision_odds(states: u64, bits: u32) -> f64 {
    let states = states as f64;
    // 1 - e^(-n²/2^(b+1)), without losing the digits of small odds.
    -(-states * (states / 2.0) * (-f64::from(bits)).exp2()).exp_m1()
}

/// Hash state of 128 bits, and small values on their way into it.
///
/// States hash many small values (discriminants, flags, lengths). Up to seven of them go into one word, one byte each: a value
/// below 255 is its byte; a larger one first sends what is waiting, then itself. The eighth byte counts, so that what
/// waits can be told from what does not.
#[derive(Clone, Copy, Debug)]
pub struct Mixer {
    low: u64,
    high: u64,
    small: u64,
    waiting: u64,
}

/// An odd number without pattern: the fraction of the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Odd numbers without pattern: what SplitMix64 gives first.
const WEIGHTS: [u64; 8] = {
    let mut weights = [0; 8];
    let mut at = 0;
    while at < weights.len() {
        weights[at] = avalanche(MULTIPLIER.wrapping_mul(at as u64 + 1)) | 1;
        at += 1;
    }
    weights
};

impl Mixer {
    /// The state before any input: digits of pi.
    #[inline]
    pub const fn new() -> Mixer {
        Mixer { low: 0x243F_6A88_85A3_08D3, high: 0x0824_2EF4_1319_8A2E, small: 0, waiting: 0 }
    }

    /// Takes in a word. For a fixed word this is a bijection of the state, and for a fixed state an injection of the
    /// word: the lower product is a bijection of `low ^ word`, and the upper half is only ever added to.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let product = u128::from(self.low ^ word) * u128::from(MULTIPLIER);
        self.low = product as u64;
        self.high = self.high.rotate_left(25) ^ (product >> 64) as u64;
    }

    /// Takes in a whole packed state. Eight words at a time are multiplied with a constant each and summed up to 128 bits, so
    /// that no multiplication waits for another one; then the sum is taken in like any two words. Two blocks have the same sum only
    /// if the differences of their words, each times its constant, add up to zero modulo 2¹²⁸: impossible where one word
    /// differs, and as rare as chance where several do.
    #[inline]
    pub fn words(&mut self, words: &[u64]) {
        if let [word] = words {
            return self.word(*word);
        }
        for block in words.chunks(WEIGHTS.len()) {
            let mut sum = 0u128;
            for (word, weight) in block.iter().zip(&WEIGHTS) {
                sum = sum.wrapping_add(u128::from(*word) * u128::from(*weight));
            }
            self.word(sum as u64);
            self.word((sum >> 64) as u64);
        }
    }

    #[inline]
    fn value(&mut self, value: u64) {
        if value < 0xFF {
            self.small = self.small << 8 | value;
            self.waiting += 1;
            if self.waiting == 7 {
                self.flush();
            }
        } else {
            self.flush();
            self.word(value);
        }
    }

    #[inline]
    fn flush(&mut self) {
        if self.waiting > 0 {
            self.word(self.small | self.waiting << 56);
            (self.small, self.waiting) = (0, 0);
        }
    }

    /// All that was taken in.
    #[inline]
    fn settled(mut self) -> Mixer {
        self.flush();
        self
    }
}

impl Default for Mixer {
    fn default() -> Mixer {
        Mixer::new()
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        u64::from_mixer(*self)
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.flush();
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            // The length in the last byte tells `[0]` from `[0, 0]`.
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            last[7] = rest.len() as u8;
            self.word(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.value(u64::from(value));
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.value(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.value(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.value(value);
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.flush();
        self.word(value as u64);
        self.word((value >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.value(value as u64);
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The finaliser of SplitMix64 (Stafford's variant 13): a bijection in which every bit of the input reaches every bit.
#[inline]
const fn avalanche(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs among `values` that agree in the bits of `mask`.
    fn pairs(values: impl Iterator<Item = u64>, mask: u64) -> u64 {
        let mut seen: Vec<u64> = values.map(|value| value & mask).collect();
        seen.sort_unstable();
        seen.chunk_by(|a, b| a == b).map(|run| run.len() as u64 * (run.len() as u64 - 1) / 2).sum()
    }

    /// What chance alone would give has this mean, and about its square root as deviation.
    fn looks_random(name: &str, inputs: impl Iterator<Item = Vec<u64>> + Clone) {
        looks_random_hashed(name, inputs.clone());
        let packed = |words: &Vec<u64>| {
            let mut mixer = Mixer::new();
            mixer.words(words);
            mixer
        };
        let (narrow, wide) =
            (|words: &_| u64::from_mixer(packed(words)), |words: &_| u128::from_mixer(packed(words)));
        no_more_pairs_than_chance(name, inputs, narrow, wide);
    }

    fn looks_random_hashed<T: Hash>(name: &str, inputs: impl Iterator<Item = T> + Clone) {
        no_more_pairs_than_chance(name, inputs, u64::of, u128::of);
    }

    fn no_more_pairs_than_chance<T>(
        name: &str,
        inputs: impl Iterator<Item = T> + Clone,
        narrow_of: impl Fn(&T) -> u64,
        wide_of: impl Fn(&T) -> u128,
    ) {
        let count = inputs.clone().count() as f64;
        let mean = count * count / 2.0 / 2f64.powi(32);
        let bound = mean + 6.0 * mean.sqrt() + 3.0;
        for (half, mask, shift) in [("low", 0xFFFF_FFFFu64, 0), ("high", 0xFFFF_FFFF, 32)] {
            let narrow = pairs(inputs.clone().map(|input| narrow_of(&input) >> shift), mask) as f64;
            assert!(narrow <= bound, "{name}, {half} half: {narrow} pairs, chance gives {mean}");
            for word in [u128::lead as fn(u128) -> u64, u128::tail] {
                let wide = pairs(inputs.clone().map(|input| word(wide_of(&input)) >> shift), mask) as f64;
                assert!(wide <= bound, "{name}, {half} half of 128 bits: {wide} pairs, chance gives {mean}");
            }
        }
    }

    #[test]
    fn structured_states_collide_no_more_often_than_chance() {
        looks_random_hashed(
            "small values",
            (0..1u32 << 18).map(|n| (0..18).map(|bit| n >> bit & 1 == 1).collect::<Vec<_>>()),
        );
        looks_random_hashed(
            "around the escape",
            (0..1u32 << 18).map(|n| (0..3).map(|at| 224 + (n >> (6 * at) & 63) as u16).collect::<Vec<_>>()),
        );
        looks_random("counters", (0..1u64 << 18).map(|n| vec![n]));
        looks_random("top bits", (0..1u64 << 18).map(|n| vec![n << 46, 0, 0]));
        looks_random("two words", (0..1u64 << 18).map(|n| vec![n & 0x1FF, n >> 9]));
        looks_random("sparse words", (0..1u64 << 18).map(|n| (0..18).map(|bit| n >> bit & 1).collect()));
        looks_random("sign bits", (0..1u64 << 18).map(|n| (0..18).map(|bit| (n >> bit & 1) << 63).collect()));
    }

    #[test]
    fn lengths_and_zeros_are_told_apart() {
        let all: Vec<u64> = (0..40).map(|len| u64::of(&vec![0u8; len])).collect();
        assert_eq!(pairs(all.iter().copied(), u64::MAX), 0);
        let mut short = Mixer::new();
        short.write(&[1, 0]);
        let mut long = Mixer::new();
        long.write(&[1, 0, 0]);
        assert_ne!(short.finish(), long.finish());
    }

    #[test]
    fn odds_are_those_of_the_birthday_problem() {
        let odds = collision_odds(366_993_408, 64);
        assert!((odds - 0.003_644).abs() < 0.000_01, "{odds}");
        assert!(collision_odds(366_993_408, 128) < 1e-20);
        assert!(collision_odds(366_993_408, 128) > 0.0);
        assert!(collision_odds(1 << 40, 64) > 0.999);
    }
}
