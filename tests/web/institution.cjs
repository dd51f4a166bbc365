// The institution's own subgraph: it recommends models by id and adds a note that it files under their title.
// Arguments: SCHEMA_FILE IDS_AS_JSON
const { readFileSync } = require('node:fs');
const { ApolloServer } = require('@apollo/server');
const { ApolloServerPluginInlineTraceDisabled } = require('@apollo/server/plugin/disabled');
const { startStandaloneServer } = require('@apollo/server/standalone');
const { buildSubgraphSchema } = require('@apollo/subgraph');
const gql = require('graphql-tag').default;

const [schemaFile, ids] = process.argv.slice(2);
const resolvers = {
  Query: { recommended: () => JSON.parse(ids).map((id) => ({ id })) },
  Model: {
    local_note: (model) => (model.title === null ? null : `filed under: ${model.title}`),
  },
};

async function main() {
  const schema = buildSubgraphSchema({ typeDefs: gql(readFileSync(schemaFile, 'utf8')), resolvers });
  const server = new ApolloServer({ schema, plugins: [ApolloServerPluginInlineTraceDisabled()] });
  const { url } = await startStandaloneServer(server, {
    listen: { host: '127.0.0.1', port: 0 },
  });
  console.log(`listening ${url}`);
}

main();
