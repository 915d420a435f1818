use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Draws identifiers. Clones share one source.
#[derive(Clone)]
pub struct Ids(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<u64>>),
}

impl Ids {
    /// The kernel's random numbers.
    pub fn system() -> Ids {
        Ids(Source::System)
    }

    /// The same numbers for the same seed; for tests only, never for secrets.
    pub fn seeded(seed: u64) -> Ids {
        Ids(Source::Seeded(Arc::new(Mutex::new(seed))))
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System => {
                // The kernel's generator cannot fail once it is seeded at boot; without it no
                // identifier would be safe, so going on is worse than stopping here.
                #[allow(clippy::expect_used)]
                getrandom::fill(bytes).expect("the kernel gives random bytes");
            }
            Source::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in bytes.chunks_mut(8) {
                    // splitmix64
                    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let mut z = *state;
                    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                    z ^= z >> 31;
                    chunk
                        .iter_mut()
                        .zip(z.to_le_bytes())
                        .for_each(|(to, from)| *to = from);
                }
            }
        }
    }

    pub fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Lower-case hexadecimal of `bytes` random bytes.
    pub fn hex(&self, bytes: usize) -> String {
        let mut raw = vec![0; bytes];
        self.fill(&mut raw);
        raw.iter()
            .fold(String::with_capacity(bytes * 2), |mut text, b| {
                let _ = write!(text, "{b:02x}");
                text
            })
    }

    /// `count` characters of `A-Z0-9`, as in AWS's unique ids.
    pub fn upper_alphanumeric(&self, count: usize) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut raw = vec![0; count];
        self.fill(&mut raw);
        raw.iter()
            .filter_map(|b| LETTERS.get(usize::from(b % 32)))
            .map(|b| char::from(*b))
            .collect()
    }

    /// A version 4 UUID.
    pub fn uuid(&self) -> String {
        let mut b = [0; 16];
        self.fill(&mut b);
        let [.., v, _, n, _, _, _, _, _, _, _] = &mut b;
        *v = (*v & 0x0f) | 0x40;
        *n = (*n & 0x3f) | 0x80;
        let mut text = String::with_capacity(36);
        for (i, byte) in b.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_version_and_variant() {
        let id = Ids::seeded(7).uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        assert_eq!(Ids::seeded(1).hex(20), Ids::seeded(1).hex(20));
        assert_ne!(Ids::seeded(1).hex(20), Ids::seeded(2).hex(20));
        assert_ne!(Ids::system().hex(20), Ids::system().hex(20));
    }
}
