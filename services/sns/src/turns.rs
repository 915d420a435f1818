use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::fault::Fault;

/// Lines that callers wait in.
const LINES_MAX: usize = 256;

/// Lets callers of one name go one after the other, in the order in which they came.
///
/// Two names may share a line. Whoever has a turn must not take another one.
pub(crate) struct Turns([Semaphore; LINES_MAX]);

/// The turn ends when it is dropped.
pub(crate) type Turn<'a> = SemaphorePermit<'a>;

impl Default for Turns {
    fn default() -> Turns {
        Turns(std::array::from_fn(|_| Semaphore::new(1)))
    }
}

impl Turns {
    pub(crate) async fn take(&self, name: impl Hash) -> Result<Turn<'_>, Fault> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % LINES_MAX as u64).unwrap_or(0);
        let closed = || Fault::Internal("no more turns are given".to_owned());
        let line = self.0.get(at).ok_or_else(closed)?;
        line.acquire().await.map_err(|_| closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_begins_when_the_one_before_it_ends() {
        let turns = Turns::default();
        let order = std::cell::RefCell::new(Vec::new());
        let first = turns.take("a").await.unwrap();
        let waits = async |number: u8| {
            let _turn = turns.take("a").await.unwrap();
            order.borrow_mut().push(number);
        };
        let ends = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            order.borrow_mut().push(1);
            drop(first);
        };
        tokio::join!(waits(2), waits(3), ends);
        assert_eq!(*order.borrow(), [1, 2, 3]);
    }
}
