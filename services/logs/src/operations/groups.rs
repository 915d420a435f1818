use std::collections::BTreeMap;
use std::sync::Arc;

use wire::{Context, paging};

use super::{page_start, place, tags};
use crate::api::{
    CreateLogGroupRequest, DescribeLogGroupsRequest, DescribeLogGroupsResponse, GroupRequest,
    ListLogGroupsRequest, ListLogGroupsResponse, LogGroup, LogGroupSummary, Nothing,
    PutLogGroupDeletionProtectionRequest, PutRetentionPolicyRequest,
};
use crate::engine::{Engine, Place};
use crate::fault::Fault;
use crate::names::{check_choice, check_group, check_limit, check_retention, group_arn, group_of};
use crate::record::Group;

const CLASSES: [&str; 3] = ["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"];
const DESCRIBED_MAX: i64 = 50;
const LISTED_DEFAULT: i64 = 50;
const LISTED_MAX: i64 = 1_000;

impl Engine {
    /// A group as it is when nobody said more than its name.
    pub(crate) fn new_group(&self, name: &str) -> Group {
        Group {
            name: name.to_owned(),
            id: self.tasks.ids().u64(),
            created_ms: self.now_ms(),
            retention_days: None,
            kms_key: None,
            class: "STANDARD".to_owned(),
            is_protected: false,
            tags: BTreeMap::new(),
        }
    }
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateLogGroupRequest,
) -> Result<Nothing, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    let class = input.log_group_class.as_deref().unwrap_or("STANDARD");
    check_choice(class, "logGroupClass", &CLASSES)?;
    tags::check(&input.tags)?;
    let group = Group {
        kms_key: input.kms_key_id,
        class: class.to_owned(),
        is_protected: input.deletion_protection_enabled.unwrap_or(false),
        tags: input.tags,
        ..engine.new_group(&input.log_group_name)
    };
    engine.create_group(&place(&cx), &group).await?;
    Ok(Nothing {})
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: GroupRequest,
) -> Result<Nothing, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    // What was printed before the deletion goes with the group.
    engine.flush().await;
    engine
        .delete_group(&place(&cx), &input.log_group_name)
        .await?;
    Ok(Nothing {})
}

/// Which groups a listing is about.
struct Wanted {
    prefix: String,
    pattern: String,
    class: Option<String>,
    names: Option<Vec<String>>,
    after: Option<String>,
}

impl Wanted {
    fn has(&self, group: &Group) -> bool {
        let name = group.name.as_str();
        name.starts_with(&self.prefix)
            && name.contains(&self.pattern)
            && self
                .class
                .as_ref()
                .is_none_or(|class| *class == group.class)
            && self
                .names
                .as_ref()
                .is_none_or(|n| n.iter().any(|n| n == name))
            && self.after.as_deref().is_none_or(|after| name > after)
    }
}

async fn wanted_groups(
    engine: &Engine,
    at: &Place,
    wanted: &Wanted,
    limit: usize,
) -> Result<(Vec<Group>, Option<String>), Fault> {
    engine.flush().await;
    let mut groups = engine.all_groups(at).await?;
    groups.retain(|group| wanted.has(group));
    Ok(paging::page(groups, limit, |group| group.name.clone()))
}

pub(crate) async fn describe(
    engine: Arc<Engine>,
    cx: Context,
    input: DescribeLogGroupsRequest,
) -> Result<DescribeLogGroupsResponse, wire::Fault> {
    let at = place(&cx);
    let limit = check_limit(input.limit, DESCRIBED_MAX, DESCRIBED_MAX)?;
    if let Some(prefix) = &input.log_group_name_prefix {
        check_group(prefix, "logGroupNamePrefix")?;
        if input.log_group_name_pattern.is_some() {
            let text = "LogGroup name prefix and LogGroup name pattern are mutually exclusive \
                        parameters.";
            return Err(Fault::Invalid(text.to_owned()).into());
        }
    }
    let names = input.log_group_identifiers.map(|identifiers| {
        let names = identifiers.iter().map(|i| group_of(&at, None, Some(i)));
        names.collect::<Result<Vec<String>, Fault>>()
    });
    let wanted = Wanted {
        prefix: input.log_group_name_prefix.unwrap_or_default(),
        pattern: input.log_group_name_pattern.unwrap_or_default(),
        class: input.log_group_class,
        names: names.transpose()?,
        after: page_start(input.next_token.as_deref())?,
    };
    let (groups, next_token) = wanted_groups(&engine, &at, &wanted, limit).await?;
    let mut log_groups = Vec::with_capacity(groups.len());
    for group in groups {
        let stored_bytes = engine.bytes(&at, &group).await?;
        log_groups.push(shape(&at, group, stored_bytes));
    }
    Ok(DescribeLogGroupsResponse {
        log_groups,
        next_token,
    })
}

fn shape(at: &Place, group: Group, stored_bytes: u64) -> LogGroup {
    let log_group_arn = group_arn(at, &group.name);
    LogGroup {
        log_group_name: group.name,
        creation_time: group.created_ms,
        retention_in_days: group.retention_days,
        metric_filter_count: 0,
        arn: format!("{log_group_arn}:*"),
        stored_bytes,
        kms_key_id: group.kms_key,
        log_group_class: group.class,
        log_group_arn,
        deletion_protection_enabled: group.is_protected,
    }
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListLogGroupsRequest,
) -> Result<ListLogGroupsResponse, wire::Fault> {
    let at = place(&cx);
    let limit = check_limit(input.limit, LISTED_MAX, LISTED_DEFAULT)?;
    let pattern = input.log_group_name_pattern.unwrap_or_default();
    // The model allows alternatives and an anchor in front of each; here each is tried as it is.
    engine.flush().await;
    let mut groups = engine.all_groups(&at).await?;
    let after = page_start(input.next_token.as_deref())?;
    groups.retain(|group| {
        let named = pattern.split('|').any(|part| match part.strip_prefix('^') {
            Some(start) => group.name.starts_with(start),
            None => group.name.contains(part),
        });
        let class = input.log_group_class.as_ref();
        named
            && class.is_none_or(|class| *class == group.class)
            && after
                .as_deref()
                .is_none_or(|after| group.name.as_str() > after)
    });
    let (groups, next_token) = paging::page(groups, limit, |group| group.name.clone());
    let summaries = groups.into_iter().map(|group| LogGroupSummary {
        log_group_arn: group_arn(&at, &group.name),
        log_group_name: group.name,
        log_group_class: group.class,
    });
    Ok(ListLogGroupsResponse {
        log_groups: summaries.collect(),
        next_token,
    })
}

pub(crate) async fn put_retention(
    engine: Arc<Engine>,
    cx: Context,
    input: PutRetentionPolicyRequest,
) -> Result<Nothing, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    let days = check_retention(input.retention_in_days)?;
    let change = |group: &mut Group| {
        group.retention_days = Some(days);
        Ok(())
    };
    engine
        .change_group(&place(&cx), &input.log_group_name, change)
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn delete_retention(
    engine: Arc<Engine>,
    cx: Context,
    input: GroupRequest,
) -> Result<Nothing, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    let change = |group: &mut Group| {
        group.retention_days = None;
        Ok(())
    };
    engine
        .change_group(&place(&cx), &input.log_group_name, change)
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn put_deletion_protection(
    engine: Arc<Engine>,
    cx: Context,
    input: PutLogGroupDeletionProtectionRequest,
) -> Result<Nothing, wire::Fault> {
    let at = place(&cx);
    let name = group_of(&at, None, Some(&input.log_group_identifier))?;
    let change = |group: &mut Group| {
        group.is_protected = input.deletion_protection_enabled;
        Ok(())
    };
    engine.change_group(&at, &name, change).await?;
    Ok(Nothing {})
}
