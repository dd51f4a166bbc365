// Runs every check of GraphQL over HTTP (graphql-http) against a URL, signed in, and prints the results as JSON.
// Arguments: URL TOKEN
const { serverAudits } = require('graphql-http');

const [url, token] = process.argv.slice(2);

async function main() {
  const fetchFn = (address, init = {}) =>
    fetch(address, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
  const results = [];
  for (const audit of serverAudits({ url, fetchFn })) {
    const result = await audit.fn();
    results.push({ id: audit.id, name: audit.name, status: result.status, reason: result.reason ?? null });
  }
  console.log(JSON.stringify(results));
}

main();
