// Composes subgraphs with Apollo's composition and prints {errors, hints, supergraph} as JSON.
// Arguments: NAME=URL=FILE …
const { readFileSync } = require('node:fs');
const { composeServices } = require('@apollo/composition');
const gql = require('graphql-tag').default;

const services = process.argv.slice(2).map((argument) => {
  const [name, url, file] = argument.split('=');
  return { name, url, typeDefs: gql(readFileSync(file, 'utf8')) };
});
const composed = composeServices(services);
console.log(
  JSON.stringify({
    errors: (composed.errors ?? []).map((error) => error.extensions?.code ?? error.message),
    hints: (composed.hints ?? []).map((hint) => hint.definition.code),
    supergraph: composed.supergraphSdl ?? null,
  }),
);
