use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

/// Draws identifiers. Clones share one source.
#[derive(Clone)]
pub struct Ids(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<u64>>),
}

thread_local! {
    static SYSTEM: RefCell<Stock> = const { RefCell::new(Stock { bytes: [0; STOCK_BYTES], used: STOCK_BYTES }) };
}

/// What is fetched from the kernel at once: several ids are drawn for each call, and each fetch is a
/// system call.
const STOCK_BYTES: usize = 512;

/// Random bytes of the kernel that were not given out yet. Kiln never forks a process that draws
/// ids, so no two processes share a stock.
struct Stock {
    bytes: [u8; STOCK_BYTES],
    used: usize,
}

impl Stock {
    fn fill(&mut self, wanted: &mut [u8]) {
        for chunk in wanted.chunks_mut(STOCK_BYTES) {
            if STOCK_BYTES - self.used < chunk.len() {
                // The kernel's generator cannot fail once it is seeded at boot; without it no
                // identifier would be safe, so going on is worse than stopping here.
                #[allow(clippy::expect_used)]
                getrandom::fill(&mut self.bytes).expect("the kernel gives random bytes");
                self.used = 0;
            }
            let given = self.bytes.iter_mut().skip(self.used);
            // Wiped as they go out: secrets are made of them.
            chunk
                .iter_mut()
                .zip(given)
                .for_each(|(to, from)| *to = std::mem::take(from));
            self.used += chunk.len();
        }
    }
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
            Source::System => SYSTEM.with_borrow_mut(|stock| stock.fill(bytes)),
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
        let mut text = String::with_capacity(bytes * 2);
        let mut raw = [0; 32];
        let mut left = bytes;
        while left > 0 {
            let chunk = raw.len().min(left);
            let some = raw.get_mut(..chunk).unwrap_or_default();
            self.fill(some);
            some.iter().for_each(|byte| push_hex(&mut text, *byte));
            left -= chunk;
        }
        text
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
            push_hex(&mut text, *byte);
        }
        text
    }
}

/// Two digits. Several ids are written for each call, and the formatter takes ten times as long.
fn push_hex(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for nibble in [byte >> 4, byte & 15] {
        let digit = DIGITS.get(usize::from(nibble)).copied();
        text.push(char::from(digit.unwrap_or_default()));
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
    fn numbers_of_the_system_never_repeat_over_the_edge_of_a_fetch() {
        let ids = Ids::system();
        let drawn: std::collections::HashSet<String> = (0..1_000).map(|_| ids.hex(12)).collect();
        assert_eq!(drawn.len(), 1_000);
        let mut long = vec![0; 3 * STOCK_BYTES];
        ids.fill(&mut long);
        assert!(long.windows(16).all(|w| w != [0; 16]));
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        assert_eq!(Ids::seeded(1).hex(20), Ids::seeded(1).hex(20));
        assert_ne!(Ids::seeded(1).hex(20), Ids::seeded(2).hex(20));
        assert_ne!(Ids::system().hex(20), Ids::system().hex(20));
    }
}
