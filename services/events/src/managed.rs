//! The rules that archives show: on AWS an archive is kept by a rule of its own on the bus.  [recorded from AWS]
//!
//! They are made from the archives and not stored; archives get their events without them (`route`).

use serde_json::{Map, Value, json};
use store::Table;

use crate::engine::{Engine, named};
use crate::fault::Fault;
use crate::names::{BusRef, Place};
use crate::record::{Archive, Rule, RuleTarget, Transformer};

const PREFIX: &str = "Events-Archive-";
/// Who made such a rule.
const MANAGED_BY: &str = "prod.vhs.events.aws.internal";

/// The rule of an archive.
fn rule_of(at: &Place, archive: &Archive) -> Rule {
    let pattern = archive.pattern.as_deref();
    let pattern = pattern.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    let mut pattern = pattern.unwrap_or_default();
    pattern.insert("replay-name".to_owned(), json!([{"exists": false}]));
    let archive_arn = at.arn(&format!("archive/{}", archive.name));
    let template = format!(
        "{{\"archive-arn\": \"{archive_arn}:{}\", \"event\": <aws.events.event.json>, \
         \"ingestion-time\": <aws.events.event.ingestion-time>}}",
        archive.id
    );
    let target = RuleTarget {
        id: archive.name.clone(),
        arn: format!("arn:aws:events:{}:::", at.region),
        transformer: Some(Transformer {
            template,
            ..Transformer::default()
        }),
        ..RuleTarget::default()
    };
    Rule {
        name: format!("{PREFIX}{}", archive.name),
        bus: archive.bus.clone(),
        pattern: Some(Value::Object(pattern).to_string()),
        state: "ENABLED".to_owned(),
        managed_by: Some(MANAGED_BY.to_owned()),
        created_by: at.account.clone(),
        targets: vec![target],
        ..Rule::default()
    }
}

impl Engine {
    /// The rule of this name, if it is that of an archive.
    pub(crate) async fn managed(&self, bus: &BusRef, name: &str) -> Result<Option<Rule>, Fault> {
        let Some(archive) = name.strip_prefix(PREFIX) else {
            return Ok(None);
        };
        let archives: &Table<Archive> = &self.archives;
        let row = archives.get(&named(&bus.at, archive)).await?;
        let archive = row.map(|row| row.value).filter(|a| a.bus == bus.name);
        Ok(archive.map(|archive| rule_of(&bus.at, &archive)))
    }

    /// All rules of a bus with those of its archives, by name.
    pub(crate) async fn shown_rules_of(&self, bus: &BusRef) -> Result<Vec<Rule>, Fault> {
        let mut rules = self.rules_of(bus).await?;
        let archives = self
            .archives
            .all(&[&bus.at.account, &bus.at.region])
            .await?;
        for row in archives {
            if row.value.bus == bus.name {
                rules.push(rule_of(&bus.at, &row.value));
            }
        }
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rules)
    }
}
