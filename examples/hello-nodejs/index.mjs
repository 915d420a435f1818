// Greets. `calls` lives as long as the environment: it counts warm calls.

let calls = 0;

export const handler = async (event, context) => {
  calls += 1;
  const name = event.name ?? 'world';
  console.log(`greeting ${name}, call ${calls}`);
  return {
    message: `${process.env.GREETING ?? 'Hello'}, ${name}, from Node.js`,
    calls,
    request: context.awsRequestId,
  };
};
