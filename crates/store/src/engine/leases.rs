use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tasks::Time;

use super::Shared;
use super::tables::{Which, be_u64};
use crate::{Grant, Leases, StoreError};

/// Names that are held now. Only their fences outlive the process: its end releases all.
#[derive(Default)]
pub(crate) struct Held(Mutex<HashMap<String, (u64, Time)>>);

impl Held {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, (u64, Time)>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The fence of a name that is being acquired; no grant has it.
const PENDING: u64 = 0;

#[async_trait]
impl Leases for Shared {
    async fn acquire(&self, name: &str, ttl: Duration) -> Result<Option<Grant>, StoreError> {
        let now = self.tasks.clock().now();
        let until = now + ttl;
        let free = self.held.with(|held| {
            let free = held.get(name).is_none_or(|(_, until)| *until <= now);
            if free {
                held.insert(name.to_owned(), (PENDING, until));
            }
            free
        });
        if !free {
            return Ok(None);
        }
        let key = name.as_bytes().to_vec();
        let raised = self.write(key.len(), move |batch| {
            let last = batch.tables.read(Which::Lease, &key, be_u64)?;
            let fence = last.unwrap_or(PENDING) + 1;
            batch.tables.put(Which::Lease, &key, &fence.to_be_bytes())?;
            Ok(fence)
        });
        let raised = raised.await;
        self.held.with(|held| match &raised {
            Ok(fence) => drop(held.insert(name.to_owned(), (*fence, until))),
            Err(_) => drop(held.remove(name)),
        });
        Ok(Some(Grant {
            name: name.to_owned(),
            fence: raised?,
            until,
        }))
    }

    async fn renew(&self, grant: &mut Grant, ttl: Duration) -> Result<(), StoreError> {
        let now = self.tasks.clock().now();
        self.held.with(|held| match held.get_mut(&grant.name) {
            Some((fence, until)) if *fence == grant.fence && *until > now => {
                *until = now + ttl;
                grant.until = *until;
                Ok(())
            }
            _ => Err(StoreError::Lost),
        })
    }

    async fn release(&self, grant: Grant) -> Result<(), StoreError> {
        self.held.with(|held| {
            if held
                .get(&grant.name)
                .is_some_and(|(fence, _)| *fence == grant.fence)
            {
                held.remove(&grant.name);
            }
        });
        Ok(())
    }
}
