use std::ops::Bound;
use std::sync::Arc;

use model::{Account, Region};

use super::{LayerEntry, LayerRef, LayerVersion};
use crate::policies::{Policy, Principal};
use crate::{Functions, Statement};

/// The only action that a layer's policy can allow.  [Lambda API: AddLayerVersionPermission]
const GET: &str = "lambda:GetLayerVersion";

impl Functions {
    pub fn layer_version(&self, layer: &LayerRef, number: u64) -> Option<Arc<LayerVersion>> {
        let entry = self.0.layers.get(layer)?;
        entry.versions.get(&number).cloned()
    }

    /// Newest first.
    pub fn layer_versions(&self, layer: &LayerRef) -> Vec<Arc<LayerVersion>> {
        let entry = self.0.layers.get(layer).unwrap_or_default();
        entry.versions.values().rev().cloned().collect()
    }

    /// For each layer of an account and region behind `after`, the newest version that is wanted, in
    /// the order of names; at most `max`.
    pub fn list_layers(
        &self,
        account: &Account,
        region: &Region,
        after: Option<&LayerRef>,
        max: usize,
        is_wanted: impl Fn(&LayerVersion) -> bool,
    ) -> Vec<Arc<LayerVersion>> {
        let is_ours = |l: &LayerRef| l.account == *account && l.region == *region;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0
            .layers
            .read()
            .range::<LayerRef, _>((from, Bound::Unbounded))
            .filter(|(layer, _)| is_ours(layer))
            .filter_map(|(_, entry)| entry.versions.values().rev().find(|v| is_wanted(v)))
            .take(max)
            .cloned()
            .collect()
    }

    pub fn layer_policy(&self, layer: &LayerRef, number: u64) -> Option<Arc<Policy>> {
        self.0.layers.get(layer)?.policies.get(&number).cloned()
    }

    /// Whether `account` may read and use a version: its own always, another's if that one's policy
    /// says so.
    pub fn may_use_layer(&self, account: &Account, layer: &LayerRef, number: u64) -> bool {
        *account == layer.account
            || self
                .layer_policy(layer, number)
                .is_some_and(|policy| policy.statements.iter().any(|s| admits(s, account)))
    }

    /// Zipped bytes of the versions that one account keeps in one region.
    pub(crate) fn layer_bytes(&self, account: &Account, region: &Region) -> u64 {
        let sum = |entry: &LayerEntry| entry.versions.values().map(|v| v.code.bytes()).sum::<u64>();
        self.0
            .layers
            .read()
            .iter()
            .filter(|(layer, _)| layer.account == *account && layer.region == *region)
            .map(|(_, entry)| sum(entry))
            .sum()
    }
}

/// Differs: Kiln knows no organizations, so a grant to the members of one admits nobody.
fn admits(statement: &Statement, account: &Account) -> bool {
    let is_principal = match &statement.principal {
        Principal::Anyone => true,
        Principal::Aws(arn) => *arn == format!("arn:aws:iam::{account}:root"),
        Principal::Service(_) => false,
    };
    statement.action == GET && is_principal && statement.conditions.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Condition;

    #[test]
    fn a_statement_admits_whom_it_names() {
        let statement = |principal| Statement {
            id: "s".to_owned(),
            principal,
            action: GET.to_owned(),
            conditions: Vec::new(),
            written: None,
        };
        let account: Account = "222222222222".parse().unwrap();
        let root = |a: &str| Principal::Aws(format!("arn:aws:iam::{a}:root"));
        assert!(admits(&statement(Principal::Anyone), &account));
        assert!(admits(&statement(root("222222222222")), &account));
        assert!(!admits(&statement(root("333333333333")), &account));
        let mut of_organization = statement(Principal::Anyone);
        of_organization.conditions.push(Condition {
            operator: "StringEquals".to_owned(),
            key: "aws:PrincipalOrgID".to_owned(),
            value: "o-0123456789".to_owned(),
        });
        assert!(!admits(&of_organization, &account));
    }
}
