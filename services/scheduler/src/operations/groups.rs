use std::sync::Arc;

use store::{Expect, StoreError};
use wire::{Checks, Context, Timestamp, paging};

use crate::api::{
    CreateGroupRequest, GroupArn, GroupRequest, GroupShape, ListGroupsRequest, ListGroupsResponse,
    Nothing,
};
use crate::checks::{Names, after, limit};
use crate::engine::{DEFAULT_GROUP, Engine, Place, ScheduleRef, group_parts};
use crate::fault::Fault;
use crate::operations::tags;
use crate::record::Group;

/// [EventBridge Scheduler quotas: schedule groups]
const GROUPS_MAX: usize = 500;

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateGroupRequest,
) -> Result<GroupArn, wire::Fault> {
    let at = Place::of(&cx);
    let mut checks = Checks::default();
    checks.name(&input.name, "name");
    checks.done()?;
    let given = input.tags.unwrap_or_default();
    tags::check(&given)?;
    let known = engine.groups.all(&[&at.account, &at.region]).await;
    if known.map_err(Fault::from)?.len() >= GROUPS_MAX {
        let text = "The number of schedule groups is at its quota.";
        return Err(Fault::Quota(text.to_owned()).into());
    }
    let exists = || Fault::Exists(format!("Schedule group {}", input.name));
    if input.name == DEFAULT_GROUP {
        return Err(exists().into());
    }
    let now = engine.now_ms();
    let group = Group {
        name: input.name.clone(),
        created_ms: now,
        modified_ms: now,
        tags: tags::map(&given),
        client_token: input.client_token.clone(),
    };
    let parts = group_parts(&at, &input.name);
    match engine.groups.put(&parts, &group, Expect::Absent).await {
        Ok(_) => {}
        Err(StoreError::Conflict(_)) => {
            let known = engine.group(&at, &input.name).await?;
            if input.client_token.is_none() || known.client_token != input.client_token {
                return Err(exists().into());
            }
        }
        Err(other) => return Err(Fault::from(other).into()),
    }
    Ok(GroupArn {
        schedule_group_arn: at.group_arn(&input.name),
    })
}

fn shape(at: &Place, group: Group) -> GroupShape {
    let time = |ms: i64| (ms > 0).then_some(Timestamp(ms));
    GroupShape {
        arn: at.group_arn(&group.name),
        creation_date: time(group.created_ms),
        last_modification_date: time(group.modified_ms),
        name: group.name,
        state: "ACTIVE",
    }
}

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: GroupRequest,
) -> Result<GroupShape, wire::Fault> {
    let at = Place::of(&cx);
    let group = engine.group(&at, &input.name).await?;
    Ok(shape(&at, group))
}

/// Deletes the group with all its schedules.
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: GroupRequest,
) -> Result<Nothing, wire::Fault> {
    let at = Place::of(&cx);
    if input.name == DEFAULT_GROUP {
        let text = "The default schedule group cannot be deleted.";
        return Err(Fault::Validation(text.to_owned()).into());
    }
    engine.group(&at, &input.name).await?;
    let parts = group_parts(&at, &input.name);
    let gone = engine.groups.delete(&parts, Expect::Any).await;
    gone.map_err(Fault::from)?;
    for schedule in engine.all(&at, Some(&input.name)).await? {
        let to = ScheduleRef {
            at: at.clone(),
            group: schedule.group,
            name: schedule.name,
        };
        let gone = engine.remove(&to, Expect::Any).await;
        gone.map_err(Fault::from)?;
    }
    Ok(Nothing {})
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListGroupsRequest,
) -> Result<ListGroupsResponse, wire::Fault> {
    let at = Place::of(&cx);
    let limit = limit(input.max_results)?;
    let after = after(input.next_token.as_deref())?;
    let rows = engine.groups.all(&[&at.account, &at.region]).await;
    let rows = rows.map_err(Fault::from)?.into_iter();
    let mut groups: Vec<Group> = rows.map(|row| row.value).collect();
    if !groups.iter().any(|group| group.name == DEFAULT_GROUP) {
        groups.push(engine.group(&at, DEFAULT_GROUP).await?);
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    let prefix = input.name_prefix.unwrap_or_default();
    groups.retain(|group| {
        group.name.starts_with(&prefix) && after.as_ref().is_none_or(|after| group.name > *after)
    });
    let (groups, next_token) = paging::page(groups, limit, |group| group.name.clone());
    Ok(ListGroupsResponse {
        next_token,
        schedule_groups: groups.into_iter().map(|group| shape(&at, group)).collect(),
    })
}
