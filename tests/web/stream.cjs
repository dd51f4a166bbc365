// The stock client of GraphQL over SSE, with a request that was signed before: it sends the same bytes again.
// Arguments: URL BODY HEADERS (both JSON). Prints what the sink got, one JSON object per line.
const { createClient } = require('graphql-sse');

const [, , url, body, headers] = process.argv;
const say = (what) => console.log(JSON.stringify(what));

const client = createClient({ url, headers: JSON.parse(headers), retryAttempts: 0 });
client.subscribe(JSON.parse(body), {
  next: (value) => say({ next: value }),
  error: (error) => say({ error: String(error?.message ?? error) }),
  complete: () => say({ complete: true }),
});
