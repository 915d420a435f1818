use serde_json::json;

use crate::harness::Sqs;

const ARN: &str = "arn:aws:sqs:us-east-1:000000000000";

#[tokio::test]
async fn a_queue_is_made_found_and_survives_a_power_cut() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    assert_eq!(url, "http://127.0.0.1:4566/000000000000/q");
    assert_eq!(
        sqs.create("q").await,
        url,
        "the same again is the same queue"
    );
    let sqs = Sqs::after(sqs.crash());
    let found = sqs.ok("GetQueueUrl", json!({"QueueName": "q"})).await;
    assert_eq!(found, json!({"QueueUrl": url}));
    let all = sqs
        .ok(
            "GetQueueAttributes",
            json!({"QueueUrl": url, "AttributeNames": ["All"]}),
        )
        .await;
    let mut all = all["Attributes"].clone();
    for stamp in ["CreatedTimestamp", "LastModifiedTimestamp"] {
        let stamp = all.as_object_mut().unwrap().remove(stamp).unwrap();
        assert!(stamp.as_str().unwrap().parse::<i64>().is_ok());
    }
    assert_eq!(
        all,
        json!({
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
            "DelaySeconds": "0",
            "MaximumMessageSize": "1048576",
            "MessageRetentionPeriod": "345600",
            "QueueArn": format!("{ARN}:q"),
            "ReceiveMessageWaitTimeSeconds": "0",
            "SqsManagedSseEnabled": "true",
            "VisibilityTimeout": "30",
        })
    );
    sqs.ok("DeleteQueue", json!({"QueueUrl": url})).await;
    let gone = sqs.call("GetQueueUrl", json!({"QueueName": "q"})).await;
    assert_eq!(gone.1, "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert_eq!(gone.2["message"], "The specified queue does not exist.");
}

#[tokio::test]
async fn attributes_are_set_and_refused() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    let set = json!({"QueueUrl": url, "Attributes": {"VisibilityTimeout": "69"}});
    assert_eq!(sqs.call("SetQueueAttributes", set).await.0, 200);
    let one = json!({"QueueUrl": url, "AttributeNames": ["VisibilityTimeout"]});
    let got = sqs.ok("GetQueueAttributes", one).await;
    assert_eq!(got, json!({"Attributes": {"VisibilityTimeout": "69"}}));
    assert_eq!(
        sqs.ok("GetQueueAttributes", json!({"QueueUrl": url})).await,
        json!({})
    );
    for (operation, body, code, message) in [
        (
            "SetQueueAttributes",
            json!({"QueueUrl": url, "Attributes": {"DelaySeconds": "901"}}),
            "InvalidAttributeValue;Sender",
            "Invalid value for the parameter DelaySeconds.",
        ),
        (
            "GetQueueAttributes",
            json!({"QueueUrl": url, "AttributeNames": ["None"]}),
            "InvalidAttributeName;Sender",
            "Unknown Attribute None.",
        ),
        (
            "CreateQueue",
            json!({"QueueName": "q", "Attributes": {"VisibilityTimeout": "1"}}),
            "QueueAlreadyExists;Sender",
            "A queue already exists with the same name and a different value for attribute VisibilityTimeout",
        ),
        (
            "CreateQueue",
            json!({"QueueName": "q!"}),
            "InvalidParameterValue;Sender",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ),
        (
            "TagQueue",
            json!({"QueueUrl": "http://127.0.0.1:4566/111111111111/q", "Tags": {"a": "b"}}),
            "AWS.SimpleQueueService.NonExistentQueue;Sender",
            "The specified queue does not exist.",
        ),
    ] {
        let (status, got, json) = sqs.call(operation, body).await;
        assert_eq!((status, got.as_str()), (400, code), "{json}");
        assert_eq!(json["message"], message);
    }
}

#[tokio::test]
async fn queues_are_listed_in_pages() {
    let sqs = Sqs::new();
    assert_eq!(sqs.ok("ListQueues", json!({})).await, json!({}));
    let target = json!({"deadLetterTargetArn": format!("{ARN}:a-0"), "maxReceiveCount": 1});
    for n in 0..5 {
        let url = sqs.create(&format!("a-{n}")).await;
        if n > 2 {
            let policy = json!({"RedrivePolicy": target.to_string()});
            let set = json!({"QueueUrl": url, "Attributes": policy});
            sqs.ok("SetQueueAttributes", set).await;
        }
    }
    sqs.create("b").await;
    let urls = |list: &serde_json::Value, member: &str| -> Vec<String> {
        let all = list[member].as_array().unwrap();
        all.iter()
            .map(|url| url.as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect()
    };
    let all = sqs.ok("ListQueues", json!({"QueueNamePrefix": "a-"})).await;
    assert_eq!(urls(&all, "QueueUrls"), ["a-0", "a-1", "a-2", "a-3", "a-4"]);
    assert_eq!(all.get("NextToken"), None);
    let first = sqs.ok("ListQueues", json!({"MaxResults": 4})).await;
    let next = json!({"MaxResults": 4, "NextToken": first["NextToken"]});
    let second = sqs.ok("ListQueues", next).await;
    assert_eq!(urls(&second, "QueueUrls"), ["a-4", "b"]);
    assert_eq!(second.get("NextToken"), None);
    let url = "http://127.0.0.1:4566/000000000000/a-0";
    let sources = sqs
        .ok("ListDeadLetterSourceQueues", json!({"QueueUrl": url}))
        .await;
    assert_eq!(urls(&sources, "queueUrls"), ["a-3", "a-4"]);
}

#[tokio::test]
async fn tags_and_permissions_belong_to_the_queue() {
    let sqs = Sqs::new();
    let url = sqs.create("q").await;
    let tags = json!({"QueueUrl": url, "Tags": {"a": "1", "b": ""}});
    sqs.ok("TagQueue", tags).await;
    let untag = json!({"QueueUrl": url, "TagKeys": ["a", "none"]});
    sqs.ok("UntagQueue", untag).await;
    let left = sqs.ok("ListQueueTags", json!({"QueueUrl": url})).await;
    assert_eq!(left, json!({"Tags": {"b": ""}}));
    let permission = json!({
        "QueueUrl": url, "Label": "l", "AWSAccountIds": ["111111111111"], "Actions": ["SendMessage"],
    });
    sqs.ok("AddPermission", permission.clone()).await;
    let again = sqs.call("AddPermission", permission).await;
    assert_eq!(
        again.2["message"],
        "Value l for parameter Label is invalid. Reason: Already exists."
    );
    let policy = json!({"QueueUrl": url, "AttributeNames": ["Policy"]});
    let got = sqs.ok("GetQueueAttributes", policy.clone()).await;
    assert!(
        got["Attributes"]["Policy"]
            .as_str()
            .unwrap()
            .contains("SQS:SendMessage")
    );
    let remove = json!({"QueueUrl": url, "Label": "l"});
    sqs.ok("RemovePermission", remove).await;
    assert_eq!(sqs.ok("GetQueueAttributes", policy).await, json!({}));
}
