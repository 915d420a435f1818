// IAM, STS and CloudWatch Logs through the JavaScript SDK. Argument: a name for the role.
import {
  AttachRolePolicyCommand, CreateRoleCommand, DeleteRoleCommand, DetachRolePolicyCommand,
  GetRoleCommand, IAMClient, ListAttachedRolePoliciesCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import {
  CloudWatchLogsClient, CreateLogGroupCommand, CreateLogStreamCommand, DeleteLogGroupCommand,
  GetLogEventsCommand, PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';

const [name] = process.argv.slice(2);
const seen = {};

const iam = new IAMClient({ maxAttempts: 1 });
const role = { RoleName: name };
const trust = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{
    Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole',
  }],
});
const policy = {
  ...role, PolicyArn: 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole',
};
seen.role = (await iam.send(
  new CreateRoleCommand({ ...role, AssumeRolePolicyDocument: trust }))).Role.Arn;
await iam.send(new AttachRolePolicyCommand(policy));
seen.attached = (await iam.send(new ListAttachedRolePoliciesCommand(role)))
  .AttachedPolicies.map((p) => p.PolicyName);
const got = await iam.send(new GetRoleCommand(role));
seen.trust = decodeURIComponent(got.Role.AssumeRolePolicyDocument) === trust;
seen.isDate = got.Role.CreateDate instanceof Date;
await iam.send(new DetachRolePolicyCommand(policy));
await iam.send(new DeleteRoleCommand(role));
seen.gone = await iam.send(new GetRoleCommand(role)).then(() => null, (error) => error.name);

const sts = new STSClient({ maxAttempts: 1 });
seen.account = (await sts.send(new GetCallerIdentityCommand({}))).Account;

const logs = new CloudWatchLogsClient({ maxAttempts: 1 });
const group = { logGroupName: `/js/${name}` };
const stream = { ...group, logStreamName: 's' };
await logs.send(new CreateLogGroupCommand(group));
await logs.send(new CreateLogStreamCommand(stream));
const now = Date.now();
await logs.send(new PutLogEventsCommand({
  ...stream, logEvents: [{ timestamp: now, message: 'one' }, { timestamp: now + 1, message: 'two' }],
}));
const events = await logs.send(new GetLogEventsCommand({ ...stream, startFromHead: true }));
seen.messages = events.events.map((event) => event.message);
await logs.send(new DeleteLogGroupCommand(group));
console.log(JSON.stringify(seen));
