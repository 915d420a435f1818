use std::collections::BTreeSet;
use std::sync::Arc;

use wire::Context;

use super::page;
use crate::api::{
    ListOfPolicyRequest, ListOfRoleRequest, ListTagsResult, Tag, TagPolicyRequest, TagRoleRequest,
    UntagPolicyRequest, UntagRoleRequest,
};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::names::check_name;
use crate::operations::policies::{ROLE_NAME_MAX, local};
use crate::record::Tags;

/// [IAM quotas]
const TAGS_MAX: usize = 50;
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 256;

pub(crate) async fn tag_role(
    engine: Arc<Engine>,
    cx: Context,
    input: TagRoleRequest,
) -> Result<(), wire::Fault> {
    check_name("roleName", &input.role_name, ROLE_NAME_MAX)?;
    let new = checked(input.tags)?;
    engine
        .change_role(cx.account(), &input.role_name, |role| {
            merge(&mut role.tags, &new)
        })
        .await?;
    Ok(())
}

pub(crate) async fn untag_role(
    engine: Arc<Engine>,
    cx: Context,
    input: UntagRoleRequest,
) -> Result<(), wire::Fault> {
    engine
        .change_role(cx.account(), &input.role_name, |role| {
            remove(&mut role.tags, &input.tag_keys);
            Ok(())
        })
        .await?;
    Ok(())
}

pub(crate) async fn list_role_tags(
    engine: Arc<Engine>,
    cx: Context,
    input: ListOfRoleRequest,
) -> Result<ListTagsResult, wire::Fault> {
    let role = engine.role(cx.account(), &input.role_name).await?.value;
    list(&role.tags, input.marker.as_deref(), input.max_items)
}

pub(crate) async fn tag_policy(
    engine: Arc<Engine>,
    cx: Context,
    input: TagPolicyRequest,
) -> Result<(), wire::Fault> {
    let new = checked(input.tags)?;
    engine
        .change_policy(cx.account(), &input.policy_arn, |policy| {
            merge(&mut policy.tags, &new)
        })
        .await?;
    Ok(())
}

pub(crate) async fn untag_policy(
    engine: Arc<Engine>,
    cx: Context,
    input: UntagPolicyRequest,
) -> Result<(), wire::Fault> {
    engine
        .change_policy(cx.account(), &input.policy_arn, |policy| {
            remove(&mut policy.tags, &input.tag_keys);
            Ok(())
        })
        .await?;
    Ok(())
}

pub(crate) async fn list_policy_tags(
    engine: Arc<Engine>,
    cx: Context,
    input: ListOfPolicyRequest,
) -> Result<ListTagsResult, wire::Fault> {
    let row = local(&engine, cx.account(), &input.policy_arn).await?;
    list(&row.value.tags, input.marker.as_deref(), input.max_items)
}

fn list(
    tags: &Tags,
    marker: Option<&str>,
    max_items: Option<i64>,
) -> Result<ListTagsResult, wire::Fault> {
    let mut sorted = tags.clone();
    sorted.sort();
    let page = page(sorted, marker, max_items, |(key, _)| key.clone())?;
    Ok(ListTagsResult {
        tags: shapes(&page.items),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(crate) fn shapes(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}

/// For the answers that leave out an empty list.
pub(crate) fn shapes_if_any(tags: &Tags) -> Option<Vec<Tag>> {
    (!tags.is_empty()).then(|| shapes(tags))
}

/// The tags of a request, if each keeps the rules and no key comes twice.
pub(crate) fn checked(tags: Vec<Tag>) -> Result<Tags, Fault> {
    let mut keys = BTreeSet::new();
    for (i, tag) in tags.iter().enumerate() {
        check_text(&format!("tags.{}.member.key", i + 1), &tag.key, 1, KEY_MAX)?;
        check_text(
            &format!("tags.{}.member.value", i + 1),
            &tag.value,
            0,
            VALUE_MAX,
        )?;
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Fault::InvalidInput(
                "Tag keys starting with 'aws:' are reserved for system use.".to_owned(),
            ));
        }
        if !keys.insert(tag.key.to_lowercase()) {
            return Err(Fault::InvalidInput(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive."
                    .to_owned(),
            ));
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(too_many());
    }
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

fn check_text(member: &str, text: &str, min: usize, max: usize) -> Result<(), Fault> {
    let length = text.chars().count();
    let broken = if length < min {
        format!("Member must have length greater than or equal to {min}")
    } else if length > max {
        format!("Member must have length less than or equal to {max}")
    } else if text
        .chars()
        .all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c))
    {
        return Ok(());
    } else {
        let count = if min == 0 { '*' } else { '+' };
        format!(
            r"Member must satisfy regular expression pattern: [\p{{L}}\p{{Z}}\p{{N}}_.:/=+\-@]{count}"
        )
    };
    Err(Fault::constraint(member, text, &broken))
}

fn too_many() -> Fault {
    Fault::LimitExceeded(format!(
        "The number of tags has reached the maximum limit of {TAGS_MAX}."
    ))
}

/// A key that is there already gets the new value; keys differ without case.
fn merge(tags: &mut Tags, new: &Tags) -> Result<(), Fault> {
    for (key, value) in new {
        tags.retain(|(old, _)| !old.eq_ignore_ascii_case(key));
        tags.push((key.clone(), value.clone()));
    }
    if tags.len() > TAGS_MAX {
        return Err(too_many());
    }
    Ok(())
}

fn remove(tags: &mut Tags, keys: &[String]) {
    tags.retain(|(key, _)| !keys.iter().any(|k| k.eq_ignore_ascii_case(key)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(keys: &[&str]) -> Vec<Tag> {
        keys.iter()
            .map(|k| Tag {
                key: (*k).to_owned(),
                value: "v".to_owned(),
            })
            .collect()
    }

    #[test]
    fn tag_keys_are_one_without_case() {
        assert!(checked(tags(&["a", "A"])).is_err());
        let mut have = checked(tags(&["Team"])).unwrap();
        merge(&mut have, &vec![("team".to_owned(), "new".to_owned())]).unwrap();
        assert_eq!(have, [("team".to_owned(), "new".to_owned())]);
        remove(&mut have, &["TEAM".to_owned()]);
        assert!(have.is_empty());
    }

    #[test]
    fn tags_keep_their_limits() {
        let many: Vec<String> = (0..51).map(|i| format!("k{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(checked(tags(many.get(..50).unwrap())).is_ok());
        assert!(checked(tags(&many)).is_err());
        assert!(checked(tags(&[""])).is_err());
        assert!(checked(tags(&["aws:x"])).is_err());
        assert!(checked(tags(&["a*"])).is_err());
        assert!(checked(tags(&[&"k".repeat(129)])).is_err());
    }
}
