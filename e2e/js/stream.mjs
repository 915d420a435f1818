// Reads a streamed response through the JavaScript SDK. Arguments: function name, event.
// Prints what it saw as one JSON document.
import { InvokeWithResponseStreamCommand, LambdaClient } from '@aws-sdk/client-lambda';

const [name, event] = process.argv.slice(2);
const client = new LambdaClient({ maxAttempts: 1 });
const answer = await client.send(
  new InvokeWithResponseStreamCommand({ FunctionName: name, Payload: event, LogType: 'Tail' }));
const seen = { status: answer.StatusCode, version: answer.ExecutedVersion, body: '', end: null };
for await (const part of answer.EventStream) {
  if (part.PayloadChunk) seen.body += Buffer.from(part.PayloadChunk.Payload).toString();
  if (part.InvokeComplete) seen.end = part.InvokeComplete;
}
seen.log = Buffer.from(seen.end.LogResult, 'base64').toString();
console.log(JSON.stringify(seen));
