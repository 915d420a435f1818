//! The policies that AWS manages and that functions and their tools attach.
//! Documents, versions and dates are those of the [Managed policy reference].
//!
//! Differs: where AWS does not publish the `PolicyId`, Kiln has one of its own (`ANPAZKAPJZG4KILN…`).

/// One policy of AWS; the same in every account, never changed by a caller.
pub(crate) struct Managed {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) description: &'static str,
    pub(crate) version: &'static str,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) document: &'static str,
}

impl Managed {
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:iam::aws:policy{}{}", self.path, self.name)
    }
}

/// The policy with this ARN, if it is one of AWS's.
pub(crate) fn find(arn: &str) -> Option<&'static Managed> {
    let rest = arn.strip_prefix("arn:aws:iam::aws:policy")?;
    ALL.iter()
        .find(|m| rest.strip_prefix(m.path).is_some_and(|name| name == m.name))
}

/// In the order of their names.
pub(crate) static ALL: [Managed; 13] = [
    Managed {
        name: "AWSLambdaBasicDurableExecutionRolePolicy",
        path: "/service-role/",
        id: "ANPAZKAPJZG4KILNDURAB",
        description: "Provides write permissions to CloudWatch Logs and permissions to read and checkpoint durable executions.",
        version: "v1",
        created_ms: 1_764_687_852_000, // 2025-12-02T15:04:12Z
        updated_ms: 1_764_687_852_000, // 2025-12-02T15:04:12Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents","lambda:CheckpointDurableExecution","lambda:GetDurableExecutionState"],"Resource":"*"}]}"#,
    },
    Managed {
        name: "AWSLambdaBasicExecutionRole",
        path: "/service-role/",
        id: "ANPAJNCQGXC42545SKXIK",
        description: "Provides write permissions to CloudWatch Logs.",
        version: "v1",
        created_ms: 1_428_591_823_000, // 2015-04-09T15:03:43Z
        updated_ms: 1_428_591_823_000, // 2015-04-09T15:03:43Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}"#,
    },
    Managed {
        name: "AWSLambdaDynamoDBExecutionRole",
        path: "/service-role/",
        id: "ANPAIP7WNAGMIPYNW4WQG",
        description: "Provides list and read access to DynamoDB streams and write permissions to CloudWatch Logs.",
        version: "v1",
        created_ms: 1_428_592_169_000, // 2015-04-09T15:09:29Z
        updated_ms: 1_428_592_169_000, // 2015-04-09T15:09:29Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["dynamodb:DescribeStream","dynamodb:GetRecords","dynamodb:GetShardIterator","dynamodb:ListStreams","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}"#,
    },
    Managed {
        name: "AWSLambdaExecute",
        path: "/",
        id: "ANPAJE5FX7FQZSU5XAKGO",
        description: "Provides Put, Get access to S3 and full access to CloudWatch Logs.",
        version: "v1",
        created_ms: 1_423_248_046_000, // 2015-02-06T18:40:46Z
        updated_ms: 1_423_248_046_000, // 2015-02-06T18:40:46Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:*"],"Resource":"arn:aws:logs:*:*:*"},{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::*"}]}"#,
    },
    Managed {
        name: "AWSLambdaKinesisExecutionRole",
        path: "/service-role/",
        id: "ANPAJHOLKJPXV4GBRMJUQ",
        description: "Provides list and read access to Kinesis streams and write permissions to CloudWatch Logs.",
        version: "v2",
        created_ms: 1_428_592_456_000, // 2015-04-09T15:14:16Z
        updated_ms: 1_542_658_164_000, // 2018-11-19T20:09:24Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kinesis:DescribeStream","kinesis:DescribeStreamSummary","kinesis:GetRecords","kinesis:GetShardIterator","kinesis:ListShards","kinesis:ListStreams","kinesis:SubscribeToShard","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}"#,
    },
    Managed {
        name: "AWSLambdaMSKExecutionRole",
        path: "/service-role/",
        id: "ANPAZKAPJZG4KILNLMSKE",
        description: "Provides permissions required to access MSK Cluster within a VPC, manage ENIs (create, describe, delete) in the VPC and write permissions to CloudWatch Logs.",
        version: "v2",
        created_ms: 1_597_167_305_000, // 2020-08-11T17:35:05Z
        updated_ms: 1_659_470_882_000, // 2022-08-02T20:08:02Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kafka:DescribeCluster","kafka:DescribeClusterV2","kafka:GetBootstrapBrokers","ec2:CreateNetworkInterface","ec2:DescribeNetworkInterfaces","ec2:DescribeVpcs","ec2:DeleteNetworkInterface","ec2:DescribeSubnets","ec2:DescribeSecurityGroups","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}"#,
    },
    Managed {
        name: "AWSLambdaRole",
        path: "/service-role/",
        id: "ANPAJX4DPCRGTC4NFDUXI",
        description: "Default policy for AWS Lambda service role.",
        version: "v1",
        created_ms: 1_423_248_088_000, // 2015-02-06T18:41:28Z
        updated_ms: 1_423_248_088_000, // 2015-02-06T18:41:28Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["lambda:InvokeFunction"],"Resource":["*"]}]}"#,
    },
    Managed {
        name: "AWSLambdaSQSQueueExecutionRole",
        path: "/service-role/",
        id: "ANPAJFWJZI6JNND4TSELK",
        description: "Provides receive message, delete message, and read attribute access to SQS queues, and write permissions to CloudWatch logs.",
        version: "v1",
        created_ms: 1_529_013_045_000, // 2018-06-14T21:50:45Z
        updated_ms: 1_529_013_045_000, // 2018-06-14T21:50:45Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:ReceiveMessage","sqs:DeleteMessage","sqs:GetQueueAttributes","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}"#,
    },
    Managed {
        name: "AWSLambdaVPCAccessExecutionRole",
        path: "/service-role/",
        id: "ANPAJVTME3YLVNL72YR2K",
        description: "Provides minimum permissions for a Lambda function to execute while accessing a resource within a VPC - create, describe, delete network interfaces and write permissions to CloudWatch Logs.",
        version: "v3",
        created_ms: 1_455_232_526_000, // 2016-02-11T23:15:26Z
        updated_ms: 1_704_494_306_000, // 2024-01-05T22:38:26Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"AWSLambdaVPCAccessExecutionPermissions","Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents","ec2:CreateNetworkInterface","ec2:DescribeNetworkInterfaces","ec2:DescribeSubnets","ec2:DeleteNetworkInterface","ec2:AssignPrivateIpAddresses","ec2:UnassignPrivateIpAddresses"],"Resource":"*"}]}"#,
    },
    Managed {
        name: "AWSLambda_FullAccess",
        path: "/",
        id: "ANPAZKAPJZG4KILNLFULL",
        description: "Grants full access to AWS Lambda service, AWS Lambda console features, and other related AWS services.",
        version: "v5",
        created_ms: 1_605_647_648_000, // 2020-11-17T21:14:08Z
        updated_ms: 1_770_848_336_000, // 2026-02-11T22:18:56Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudformation:DescribeStacks","cloudformation:ListStackResources","cloudwatch:ListMetrics","cloudwatch:GetMetricData","ec2:DescribeSecurityGroups","ec2:DescribeSubnets","ec2:DescribeVpcs","kms:DescribeKey","kms:ListAliases","iam:GetPolicy","iam:GetPolicyVersion","iam:GetRole","iam:GetRolePolicy","iam:ListAttachedRolePolicies","iam:ListRolePolicies","iam:ListRoles","lambda:*","logs:DescribeLogGroups","states:DescribeStateMachine","states:ListStateMachines","tag:GetResources","xray:GetTraceSummaries","xray:BatchGetTraces"],"Resource":"*"},{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}},{"Effect":"Allow","Action":["logs:DescribeLogStreams","logs:GetLogEvents","logs:FilterLogEvents","logs:StartLiveTail","logs:StopLiveTail"],"Resource":"arn:aws:logs:*:*:log-group:/aws/lambda/*"},{"Effect":"Allow","Action":"iam:CreateServiceLinkedRole","Resource":"arn:aws:iam::*:role/aws-service-role/lambda.amazonaws.com/AWSServiceRoleForLambda","Condition":{"StringEquals":{"iam:AWSServiceName":"lambda.amazonaws.com"}}}]}"#,
    },
    Managed {
        name: "AWSLambda_ReadOnlyAccess",
        path: "/",
        id: "ANPAZKAPJZG4KILNLREAD",
        description: "Grants read-only access to AWS Lambda service, AWS Lambda console features, and other related AWS services.",
        version: "v3",
        created_ms: 1_605_647_432_000, // 2020-11-17T21:10:32Z
        updated_ms: 1_742_245_626_000, // 2025-03-17T21:07:06Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudformation:DescribeStacks","cloudformation:ListStacks","cloudformation:ListStackResources","cloudwatch:GetMetricData","cloudwatch:ListMetrics","ec2:DescribeSecurityGroups","ec2:DescribeSubnets","ec2:DescribeVpcs","kms:ListAliases","iam:GetPolicy","iam:GetPolicyVersion","iam:GetRole","iam:GetRolePolicy","iam:ListAttachedRolePolicies","iam:ListRolePolicies","iam:ListRoles","logs:DescribeLogGroups","lambda:Get*","lambda:List*","states:DescribeStateMachine","states:ListStateMachines","tag:GetResources","xray:GetTraceSummaries","xray:BatchGetTraces"],"Resource":"*"},{"Effect":"Allow","Action":["logs:DescribeLogStreams","logs:GetLogEvents","logs:FilterLogEvents","logs:StartQuery","logs:StopQuery","logs:DescribeQueries","logs:GetLogGroupFields","logs:GetLogRecord","logs:GetQueryResults","logs:StartLiveTail","logs:StopLiveTail"],"Resource":"arn:aws:logs:*:*:log-group:/aws/lambda/*"}]}"#,
    },
    Managed {
        name: "AWSXRayDaemonWriteAccess",
        path: "/",
        id: "ANPAZKAPJZG4KILNLXRAY",
        description: "Allow the AWS X-Ray Daemon to relay raw trace segments data to the service's API and retrieve sampling data (rules, targets, etc.) to be used by the X-Ray SDK.",
        version: "v2",
        created_ms: 1_535_497_233_000, // 2018-08-28T23:00:33Z
        updated_ms: 1_707_861_510_000, // 2024-02-13T21:58:30Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Sid":"AWSXRayDaemonWriteAccess","Effect":"Allow","Action":["xray:PutTraceSegments","xray:PutTelemetryRecords","xray:GetSamplingRules","xray:GetSamplingTargets","xray:GetSamplingStatisticSummaries"],"Resource":["*"]}]}"#,
    },
    Managed {
        name: "AdministratorAccess",
        path: "/",
        id: "ANPAIWMBCKSKIEE64ZLYK",
        description: "Provides full access to AWS services and resources.",
        version: "v1",
        created_ms: 1_423_247_986_000, // 2015-02-06T18:39:46Z
        updated_ms: 1_423_247_986_000, // 2015-02-06T18:39:46Z
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Purpose, check};

    #[test]
    fn every_managed_policy_keeps_the_grammar_and_is_found_by_its_arn() {
        for policy in &ALL {
            check(policy.document, Purpose::Identity).unwrap();
            assert_eq!(find(&policy.arn()).unwrap().name, policy.name);
            assert_eq!(policy.id.len(), 21, "{}", policy.name);
        }
        assert!(ALL.is_sorted_by_key(|m| m.name));
        assert!(find("arn:aws:iam::aws:policy/AWSLambdaRole").is_none());
        assert!(find("arn:aws:iam::aws:policy/Nothing").is_none());
    }
}
