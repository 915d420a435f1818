use std::sync::Arc;

use wire::Context;

use super::place;
use crate::api::{
    GroupRequest, ListTagsForResourceRequest, Nothing, TagLogGroupRequest, TagResourceRequest,
    Tags, TagsResponse, UntagLogGroupRequest, UntagResourceRequest,
};
use crate::engine::{Engine, Place};
use crate::fault::Fault;
use crate::names::{broken, check_group, group_of_arn};
use crate::record::Group;

/// [CloudWatch Logs API: TagResource]
const TAGS_MAX: usize = 50;
const KEY_LETTERS_MAX: usize = 128;
const VALUE_LETTERS_MAX: usize = 256;

pub(super) fn check(tags: &Tags) -> Result<(), Fault> {
    if tags.len() > TAGS_MAX {
        return Err(too_many());
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > KEY_LETTERS_MAX {
            let wanted = "Map keys must satisfy constraint: [Member must have length less than or \
                          equal to 128, Member must have length greater than or equal to 1]";
            return Err(broken("{}", "tags", wanted));
        }
        if value.chars().count() > VALUE_LETTERS_MAX {
            let wanted = "Map value must satisfy constraint: [Member must have length less than \
                          or equal to 256, Member must have length greater than or equal to 0]";
            return Err(broken("{}", "tags", wanted));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Fault::Invalid(
                "aws: prefixed tag key names are not allowed for external use.".to_owned(),
            ));
        }
    }
    Ok(())
}

fn too_many() -> Fault {
    Fault::TooManyTags("A resource can have no more than 50 tags.".to_owned())
}

fn named(at: &Place, arn: &str) -> Result<String, Fault> {
    if let Some(name) = group_of_arn(at, arn) {
        return Ok(name);
    }
    if arn.starts_with("arn:aws:logs:") {
        return Err(Fault::NoGroup);
    }
    Err(Fault::Invalid(format!("The ARN {arn} is invalid.")))
}

async fn add(engine: &Engine, at: &Place, name: &str, tags: Tags) -> Result<Nothing, Fault> {
    check(&tags)?;
    let change = |group: &mut Group| {
        group.tags.extend(tags.clone());
        (group.tags.len() <= TAGS_MAX)
            .then_some(())
            .ok_or_else(too_many)
    };
    engine.change_group(at, name, change).await?;
    Ok(Nothing {})
}

async fn remove(
    engine: &Engine,
    at: &Place,
    name: &str,
    keys: Vec<String>,
) -> Result<Nothing, Fault> {
    let change = |group: &mut Group| {
        group.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    };
    engine.change_group(at, name, change).await?;
    Ok(Nothing {})
}

pub(crate) async fn tag_resource(
    engine: Arc<Engine>,
    cx: Context,
    input: TagResourceRequest,
) -> Result<Nothing, wire::Fault> {
    let at = place(&cx);
    let name = named(&at, &input.resource_arn)?;
    Ok(add(&engine, &at, &name, input.tags).await?)
}

pub(crate) async fn untag_resource(
    engine: Arc<Engine>,
    cx: Context,
    input: UntagResourceRequest,
) -> Result<Nothing, wire::Fault> {
    let at = place(&cx);
    let name = named(&at, &input.resource_arn)?;
    Ok(remove(&engine, &at, &name, input.tag_keys).await?)
}

pub(crate) async fn list_tags(
    engine: Arc<Engine>,
    cx: Context,
    input: ListTagsForResourceRequest,
) -> Result<TagsResponse, wire::Fault> {
    let at = place(&cx);
    let group = engine.group(&at, &named(&at, &input.resource_arn)?).await?;
    Ok(TagsResponse { tags: group.tags })
}

pub(crate) async fn tag_group(
    engine: Arc<Engine>,
    cx: Context,
    input: TagLogGroupRequest,
) -> Result<Nothing, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    Ok(add(&engine, &place(&cx), &input.log_group_name, input.tags).await?)
}

pub(crate) async fn untag_group(
    engine: Arc<Engine>,
    cx: Context,
    input: UntagLogGroupRequest,
) -> Result<Nothing, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    Ok(remove(&engine, &place(&cx), &input.log_group_name, input.tags).await?)
}

pub(crate) async fn list_group_tags(
    engine: Arc<Engine>,
    cx: Context,
    input: GroupRequest,
) -> Result<TagsResponse, wire::Fault> {
    check_group(&input.log_group_name, "logGroupName")?;
    let group = engine.group(&place(&cx), &input.log_group_name).await?;
    Ok(TagsResponse { tags: group.tags })
}
