// A stock gateway over a composed supergraph. It forwards who asks and for what, and nothing else.
// Arguments: SUPERGRAPH_FILE
const { readFileSync } = require('node:fs');
const { ApolloServer } = require('@apollo/server');
const { startStandaloneServer } = require('@apollo/server/standalone');
const { ApolloGateway, RemoteGraphQLDataSource } = require('@apollo/gateway');

const FORWARDED = ['authorization', 'concordat-purpose'];

class Forwarding extends RemoteGraphQLDataSource {
  willSendRequest({ request, context }) {
    for (const name of FORWARDED) {
      if (context.headers?.[name] !== undefined) request.http.headers.set(name, context.headers[name]);
    }
  }
}

async function main() {
  const gateway = new ApolloGateway({
    supergraphSdl: readFileSync(process.argv[2], 'utf8'),
    buildService: ({ url }) => new Forwarding({ url }),
  });
  const { url } = await startStandaloneServer(new ApolloServer({ gateway }), {
    listen: { host: '127.0.0.1', port: 0 },
    context: async ({ req }) => ({ headers: req.headers }),
  });
  console.log(`listening ${url}`);
}

main();
