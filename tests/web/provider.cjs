// A stock OpenID provider (panva oidc-provider) with the persons of a file. Argument: FILE, JSON with
// {port, clients, persons: {name: claims}}. Every password is right: it signs fictional persons in on loopback.
const { readFileSync } = require('node:fs');
const { Provider } = require('oidc-provider');

const { port, clients, persons } = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients,
  cookies: { keys: ['only for tests on this machine'] },
  claims: {
    openid: ['sub', 'eduperson_affiliation', 'groups', 'realm_access'],
    ga4gh_passport_v1: ['ga4gh_passport_v1'],
  },
  scopes: ['openid', 'ga4gh_passport_v1'],
  // As the standard says by default: claims of a scope are told by userinfo, not by the ID token.
  conformIdTokenClaims: true,
  findAccount: async (_, id) =>
    persons[id] && { accountId: id, claims: async () => ({ sub: id, ...persons[id] }) },
  pkce: { required: () => true },
});

const server = provider.listen(port, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${port}`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
