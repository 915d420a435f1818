// The life of one function through the JavaScript SDK. Arguments: name, role, runtime, handler,
// zip file of version one, zip file of version two. Prints what it saw as one JSON document.
import { readFileSync } from 'node:fs';
import {
  CreateFunctionCommand, DeleteFunctionCommand, GetFunctionCommand, InvokeCommand, LambdaClient,
  PublishVersionCommand, UpdateFunctionCodeCommand, UpdateFunctionConfigurationCommand,
  paginateListFunctions, waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2,
} from '@aws-sdk/client-lambda';

const [name, role, runtime, handler, first, second] = process.argv.slice(2);
const client = new LambdaClient({ maxAttempts: 1 });
const on = { FunctionName: name };
const waiting = { client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 };
const seen = {};

const invoke = async (event, more = {}) => {
  const answer = await client.send(
    new InvokeCommand({ ...on, Payload: JSON.stringify(event), LogType: 'Tail', ...more }));
  return {
    status: answer.StatusCode,
    error: answer.FunctionError ?? null,
    version: answer.ExecutedVersion ?? null,
    value: JSON.parse(answer.Payload.transformToString() || 'null'),
    log: Buffer.from(answer.LogResult ?? '', 'base64').toString(),
  };
};

const failure = async (work) => {
  try {
    await work();
    return null;
  } catch (error) {
    return { name: error.name, status: error.$metadata?.httpStatusCode, message: error.message };
  }
};

const created = await client.send(new CreateFunctionCommand({
  ...on, Role: role, Runtime: runtime, Handler: handler, Timeout: 10,
  Code: { ZipFile: readFileSync(first) }, Environment: { Variables: { WHO: 'js' } },
}));
seen.created = { arn: created.FunctionArn, state: created.State, variables: created.Environment };
await waitUntilFunctionActiveV2(waiting, on);
seen.first = await invoke({ a: [1, 'zwei', null] });
seen.failed = await invoke({ fail: true });
const published = await client.send(new PublishVersionCommand(on));
seen.published = published.Version;
await client.send(new UpdateFunctionCodeCommand({ ...on, ZipFile: readFileSync(second) }));
await waitUntilFunctionUpdatedV2(waiting, on);
const updated = await client.send(
  new UpdateFunctionConfigurationCommand({ ...on, MemorySize: 192, Description: 'from js' }));
seen.updated = { memory: updated.MemorySize, description: updated.Description };
await waitUntilFunctionUpdatedV2(waiting, on);
seen.second = await invoke({});
seen.old = await invoke({ old: true }, { Qualifier: '1' });
const got = await client.send(new GetFunctionCommand(on));
seen.state = got.Configuration.State;
const code = await fetch(got.Code.Location);
seen.sameCode = Buffer.from(await code.arrayBuffer()).equals(readFileSync(second));
seen.event = (await client.send(new InvokeCommand({ ...on, InvocationType: 'Event' }))).StatusCode;
seen.listed = false;
for await (const page of paginateListFunctions({ client, pageSize: 10 }, {})) {
  seen.listed ||= page.Functions.some((f) => f.FunctionName === name);
}
seen.missing = await failure(() => client.send(new InvokeCommand({ FunctionName: 'nothing-here' })));
seen.clash = await failure(() => client.send(new CreateFunctionCommand({
  ...on, Role: role, Runtime: runtime, Handler: handler, Code: { ZipFile: readFileSync(first) },
})));
const gone = await client.send(new DeleteFunctionCommand(on));
seen.deleted = gone.$metadata.httpStatusCode;
console.log(JSON.stringify(seen));
