use std::sync::Arc;

use wire::{Context, paging};

use super::topic_of;
use crate::api::{
    ListInput, ListSubscriptionsByTopicInput, ListSubscriptionsResponse, ListTopicsResponse,
    SubscriptionShape, TopicShape,
};
use crate::engine::{Engine, parts};
use crate::fault::Fault;
use crate::names::{SubscriptionRef, TopicRef};
use crate::record::Subscription;

/// [SNS API: ListTopics]
const PAGE: usize = 100;

/// What a token says: where to go on.
fn after(token: Option<&str>) -> Result<Option<String>, Fault> {
    let read = |token| paging::decode(token).ok_or_else(|| Fault::parameter("NextToken"));
    token.map(read).transpose()
}

pub(crate) async fn topics(
    engine: Arc<Engine>,
    cx: Context,
    input: ListInput,
) -> Result<ListTopicsResponse, wire::Fault> {
    let after = after(input.next_token.as_deref())?;
    let (account, region) = (cx.account(), cx.region());
    let found = engine
        .list_topics(account, region, after.as_deref(), PAGE + 1)
        .await?;
    let (page, next_token) = paging::page(found, PAGE, |topic| topic.name.clone());
    let arn = |name: String| {
        TopicRef {
            account: account.to_owned(),
            region: region.to_owned(),
            name,
        }
        .arn()
    };
    let topics = page.into_iter().map(|topic| TopicShape {
        topic_arn: arn(topic.name),
    });
    Ok(ListTopicsResponse {
        topics: topics.collect(),
        next_token,
    })
}

pub(crate) async fn subscriptions(
    engine: Arc<Engine>,
    cx: Context,
    input: ListInput,
) -> Result<ListSubscriptionsResponse, wire::Fault> {
    let scope = [cx.account(), cx.region()];
    page(&engine, &scope, input.next_token.as_deref()).await
}

pub(crate) async fn subscriptions_by_topic(
    engine: Arc<Engine>,
    cx: Context,
    input: ListSubscriptionsByTopicInput,
) -> Result<ListSubscriptionsResponse, wire::Fault> {
    let at = topic_of(&cx, input.topic_arn.as_ref())?;
    engine
        .topic_for(&cx, &at, "ListSubscriptionsByTopic")
        .await?;
    page(&engine, &parts(&at), input.next_token.as_deref()).await
}

/// The subscriptions whose key begins with `scope`: account, region and perhaps topic.
async fn page(
    engine: &Engine,
    scope: &[&str],
    token: Option<&str>,
) -> Result<ListSubscriptionsResponse, wire::Fault> {
    let (account, region) = match scope {
        [account, region, ..] => (*account, *region),
        _ => ("", ""),
    };
    let after = after(token)?;
    let after = match after.as_deref().map(|text| text.split_once('/')) {
        Some(Some((topic, id))) => Some(engine.subscriptions.key(&[account, region, topic, id])),
        Some(None) => return Err(Fault::parameter("NextToken").into()),
        None => None,
    };
    let rows = engine
        .subscriptions
        .scan(scope, after.as_ref(), PAGE + 1)
        .await
        .map_err(Fault::from)?;
    let all: Vec<Subscription> = rows.into_iter().map(|row| row.value).collect();
    let (page, next_token) = paging::page(all, PAGE, |s| format!("{}/{}", s.topic, s.id));
    let now = engine.now();
    let there = page
        .into_iter()
        .filter(|s| !s.is_deleted() && !s.is_over(now));
    let shapes = there.map(|s| shape(account, region, s));
    Ok(ListSubscriptionsResponse {
        subscriptions: shapes.collect(),
        next_token,
    })
}

fn shape(account: &str, region: &str, subscription: Subscription) -> SubscriptionShape {
    let at = SubscriptionRef {
        topic: TopicRef {
            account: account.to_owned(),
            region: region.to_owned(),
            name: subscription.topic.clone(),
        },
        id: subscription.id.clone(),
    };
    SubscriptionShape {
        subscription_arn: match subscription.is_confirmed() {
            true => at.arn(),
            false => "PendingConfirmation".to_owned(),
        },
        topic_arn: at.topic.arn(),
        owner: subscription.owner,
        protocol: subscription.protocol,
        endpoint: subscription.endpoint,
    }
}
