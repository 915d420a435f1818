use std::sync::Arc;

use model::FunctionRef;
use store::Expect;

use crate::functions::not_found;
use crate::index::{Entry, Key};
use crate::{Error, Functions, TagChange};

impl Functions {
    /// Changes the tags of a function.
    pub async fn tag(&self, f: &FunctionRef, change: TagChange) -> Result<(), Error> {
        self.edit_facts(f, move |entry| {
            let mut all = (*entry.tags).clone();
            change.apply(&mut all)?;
            entry.tags = Arc::new(all);
            Ok(())
        })
        .await
    }

    /// Lets loops of invocations run, or has them ended.
    pub async fn allow_recursion(&self, f: &FunctionRef, is_allowed: bool) -> Result<(), Error> {
        self.edit_facts(f, move |entry| {
            entry.allows_recursion = is_allowed;
            Ok(())
        })
        .await
    }

    /// Changes what belongs to a function but not to its versions. `$LATEST` gets a new revision.
    pub(crate) async fn edit_facts(
        &self,
        f: &FunctionRef,
        edit: impl FnOnce(&mut Entry) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (this, f) = (self.clone(), f.clone());
        self.uncancelled(async move {
            let key = Key::of(&f);
            let _writer = this.writer(&key).lock().await;
            let entry = this.0.index.get(&key).ok_or_else(|| not_found(&f))?;
            let mut next = (*entry).clone();
            edit(&mut next)?;
            let revision = this.0.tasks.ids().uuid();
            match &mut next.pending {
                Some(pending) => *pending = Arc::new(pending.revised(revision)),
                None => next.running = Arc::new(next.running.revised(revision)),
            }
            let op = this.function_op(&key, &next, Expect::At(entry.rev))?;
            next.rev = this.0.tables.functions.txn(vec![op]).await?;
            this.0.index.put(&key, next);
            Ok(())
        })
        .await
    }
}
