use std::sync::Arc;

use store::{Expect, Row};
use wire::{Context, Timestamp};

use super::{date, page, tags};
use crate::api::{
    AccessKeyMetadata, AccessKeyResult, AccessKeyShape, CreateUserRequest, DeleteAccessKeyRequest,
    DeleteUserRequest, ListAccessKeysRequest, ListAccessKeysResult, ListUsersRequest,
    ListUsersResult, UpdateAccessKeyRequest, UserRequest, UserResult, UserShape,
};
use crate::engine::{Engine, folded};
use crate::fault::Fault;
use crate::names::{check_name, check_path, check_path_prefix};
use crate::record::{AccessKey, User};

/// [IAM quotas]
const USER_NAME_MAX: usize = 64;
const USERS_MAX: usize = 5_000;
const KEYS_PER_USER_MAX: usize = 2;

/// Characters of a secret access key.
const SECRET_CHARS: usize = 40;

fn arn(account: &str, user: &User) -> String {
    format!("arn:aws:iam::{account}:user{}{}", user.path, user.name)
}

pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: CreateUserRequest,
) -> Result<UserResult, wire::Fault> {
    check_name("userName", &input.user_name, USER_NAME_MAX)?;
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    check_path(&path)?;
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    if input.permissions_boundary.is_some() {
        return Err(Fault::NotBuilt("permissions boundaries of users").into());
    }
    if engine.all_users(cx.account()).await?.len() >= USERS_MAX {
        return Err(Fault::over_quota("UsersPerAccount", USERS_MAX).into());
    }
    let user = User {
        name: input.user_name,
        path,
        id: engine.unique_id("AIDA"),
        created: engine.now(),
        tags,
    };
    let parts = [cx.account(), &folded(&user.name)];
    match engine.users.put(&parts, &user, Expect::Absent).await {
        Ok(_) => Ok(UserResult {
            user: shape(cx.account(), &user),
        }),
        Err(store::StoreError::Conflict(_)) => Err(Fault::EntityAlreadyExists(format!(
            "User with name {} already exists.",
            user.name
        ))
        .into()),
        Err(error) => Err(Fault::from(error).into()),
    }
}

fn shape(account: &str, user: &User) -> UserShape {
    UserShape {
        path: Some(user.path.clone()),
        user_name: Some(user.name.clone()),
        user_id: user.id.clone(),
        arn: arn(account, user),
        create_date: date(user.created),
        tags: tags::shapes_if_any(&user.tags),
    }
}

async fn user(engine: &Engine, account: &str, name: &str) -> Result<Row<User>, Fault> {
    let found = engine.users.get(&[account, &folded(name)]).await?;
    found.ok_or_else(|| Fault::no_user(name))
}

/// The user that is named, else the one whose access key signed; `None` for the account's root.
async fn named_or_caller(
    engine: &Engine,
    cx: &Context,
    name: Option<&str>,
) -> Result<Option<Row<User>>, Fault> {
    if let Some(name) = name {
        return user(engine, cx.account(), name).await.map(Some);
    }
    match cx.access_key().and_then(|id| engine.known_key(id)) {
        Some(key) => user(engine, &key.account, &key.user).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn get(
    engine: Arc<Engine>,
    cx: Context,
    input: UserRequest,
) -> Result<UserResult, wire::Fault> {
    let account = cx.account();
    let user = match named_or_caller(&engine, &cx, input.user_name.as_deref()).await? {
        Some(row) => shape(account, &row.value),
        None => UserShape {
            path: None,
            user_name: None,
            user_id: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:root"),
            create_date: Timestamp(0),
            tags: None,
        },
    };
    Ok(UserResult { user })
}

pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListUsersRequest,
) -> Result<ListUsersResult, wire::Fault> {
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    check_path_prefix(prefix)?;
    let users = engine.all_users(cx.account()).await?;
    let page = page(
        users
            .into_iter()
            .filter(|user| user.path.starts_with(prefix)),
        input.marker.as_deref(),
        input.max_items,
        |user| folded(&user.name),
    )?;
    Ok(ListUsersResult {
        users: page
            .items
            .iter()
            .map(|user| UserShape {
                tags: None,
                ..shape(cx.account(), user)
            })
            .collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: DeleteUserRequest,
) -> Result<(), wire::Fault> {
    let account = cx.account();
    let row = user(&engine, account, &input.user_name).await?;
    let user = row.value;
    if !keys_of(&engine, account, &user.name).await?.is_empty() {
        return Err(Fault::DeleteConflict(
            "Cannot delete entity, must delete access keys first.".to_owned(),
        )
        .into());
    }
    let parts = [account, &folded(&user.name)];
    engine
        .users
        .delete(&parts, Expect::At(row.rev))
        .await
        .map_err(Fault::from)?;
    Ok(())
}

async fn keys_of(engine: &Engine, account: &str, user: &str) -> Result<Vec<AccessKey>, Fault> {
    let rows = engine
        .keys
        .scan(&[account, &folded(user)], None, KEYS_PER_USER_MAX + 1)
        .await?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// The user whose keys an operation is about; the root of the account has none here.
async fn owner(engine: &Engine, cx: &Context, name: Option<&str>) -> Result<Row<User>, Fault> {
    named_or_caller(engine, cx, name).await?.ok_or_else(|| {
        Fault::Validation("Must specify userName when calling with non-User credentials".to_owned())
    })
}

pub(crate) async fn create_key(
    engine: Arc<Engine>,
    cx: Context,
    input: UserRequest,
) -> Result<AccessKeyResult, wire::Fault> {
    let account = cx.account();
    let row = owner(&engine, &cx, input.user_name.as_deref()).await?;
    let user = &row.value;
    if keys_of(&engine, account, &user.name).await?.len() >= KEYS_PER_USER_MAX {
        return Err(Fault::over_quota("AccessKeysPerUser", KEYS_PER_USER_MAX).into());
    }
    let key = AccessKey {
        id: format!("AKIA{}", engine.ids.upper_alphanumeric(16)),
        account: account.to_owned(),
        user: user.name.clone(),
        user_id: user.id.clone(),
        user_arn: arn(account, user),
        secret: secret(&engine.ids),
        is_active: true,
        created: engine.now(),
    };
    add_key(&engine, &row, &key).await?;
    engine.remember_key(key.clone());
    Ok(AccessKeyResult {
        access_key: AccessKeyShape {
            user_name: row.value.name,
            access_key_id: key.id,
            status: "Active",
            secret_access_key: key.secret,
            create_date: date(key.created),
        },
    })
}

/// Writes the user back unchanged, so that no key is left of a user who goes meanwhile.
async fn add_key(engine: &Engine, owner: &Row<User>, key: &AccessKey) -> Result<(), Fault> {
    let user = folded(&owner.value.name);
    let ops = vec![
        engine
            .keys
            .put_op(&[&key.account, &user, &key.id], key, Expect::Absent)?,
        engine
            .users
            .put_op(&[&key.account, &user], &owner.value, Expect::At(owner.rev))?,
    ];
    engine.keys.txn(ops).await?;
    Ok(())
}

/// Letters of equal likelihood: 6 bits of each random byte.
fn secret(ids: &tasks::Ids) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut raw = [0; SECRET_CHARS];
    ids.fill(&mut raw);
    raw.iter()
        .filter_map(|b| LETTERS.get(usize::from(b & 63)))
        .map(|b| char::from(*b))
        .collect()
}

fn no_key(id: &str) -> Fault {
    Fault::NoSuchEntity(format!("The Access Key with id {id} cannot be found."))
}

pub(crate) async fn update_key(
    engine: Arc<Engine>,
    cx: Context,
    input: UpdateAccessKeyRequest,
) -> Result<(), wire::Fault> {
    let is_active = match input.status.as_str() {
        "Active" => true,
        "Inactive" => false,
        other => {
            return Err(Fault::constraint(
                "status",
                other,
                "Member must satisfy enum value set: [Active, Inactive]",
            )
            .into());
        }
    };
    let user = owner(&engine, &cx, input.user_name.as_deref()).await?.value;
    let parts = [cx.account(), &folded(&user.name), &input.access_key_id];
    let row = engine.keys.get(&parts).await.map_err(Fault::from)?;
    let mut row = row.ok_or_else(|| no_key(&input.access_key_id))?;
    row.value.is_active = is_active;
    engine
        .keys
        .put(&parts, &row.value, Expect::At(row.rev))
        .await
        .map_err(Fault::from)?;
    engine.remember_key(row.value);
    Ok(())
}

pub(crate) async fn delete_key(
    engine: Arc<Engine>,
    cx: Context,
    input: DeleteAccessKeyRequest,
) -> Result<(), wire::Fault> {
    let user = owner(&engine, &cx, input.user_name.as_deref()).await?.value;
    let parts = [cx.account(), &folded(&user.name), &input.access_key_id];
    let row = engine.keys.get(&parts).await.map_err(Fault::from)?;
    let row = row.ok_or_else(|| no_key(&input.access_key_id))?;
    engine
        .keys
        .delete(&parts, Expect::At(row.rev))
        .await
        .map_err(Fault::from)?;
    engine.forget_key(&input.access_key_id);
    Ok(())
}

pub(crate) async fn list_keys(
    engine: Arc<Engine>,
    cx: Context,
    input: ListAccessKeysRequest,
) -> Result<ListAccessKeysResult, wire::Fault> {
    let user = owner(&engine, &cx, input.user_name.as_deref()).await?.value;
    let keys = keys_of(&engine, cx.account(), &user.name).await?;
    let page = page(keys, input.marker.as_deref(), input.max_items, |key| {
        key.id.clone()
    })?;
    Ok(ListAccessKeysResult {
        access_key_metadata: page
            .items
            .into_iter()
            .map(|key| AccessKeyMetadata {
                user_name: key.user,
                access_key_id: key.id,
                status: if key.is_active { "Active" } else { "Inactive" },
                create_date: date(key.created),
            })
            .collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}
