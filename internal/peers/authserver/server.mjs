// A strict token service: oidc-provider, in memory, on 127.0.0.1 only.
//
// CONFIG names a JSON file: ttl (seconds), clients (OpenID Connect registration metadata), scopes, resources (their
// tokens are JWTs), accounts (claims by login; others have none), tls (key, cert and the ca of client certificates, in
// PEM), xsuaa (applications by resource, whose tokens are as SAP's XSUAA makes them), saml (issuers, with their certificates
// in PEM, the audience of their assertions; default: this server, and the resource that tokens are for; default: none). PORT
// is where to listen; default: a free port. It prints READY and its URL, and why it refused what it refused: its answers
// do not tell.
//
// Users sign in with any password and consent on its own pages. PKCE is required; refresh tokens need offline_access,
// which it gives only if prompt=consent asks for it, work once, and are revoked with all their kin if they come twice.
//
// A line {"client_id", "client_secret"} on standard input replaces a client's secret. {"count", "client_id"} makes it
// print COUNT, that number and what came of the client's refresh tokens. It ends with its standard input, so it does not
// outlive a test that was killed.
import fs from 'node:fs';
import https from 'node:https';
import readline from 'node:readline';
import { generateKeyPairSync } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';
import { countRefreshes } from './refreshes.mjs';
import { register as registerSAML2Bearer } from './saml2bearer.mjs';

const config = JSON.parse(fs.readFileSync(process.env.CONFIG, 'utf8'));

// The issuer holds the port, so the port comes first. Which client certificate is good is for oidc-provider to say.
const server = https.createServer({ ...config.tls, requestCert: true, rejectUnauthorized: false });
await new Promise((resolve) => { server.listen(Number(process.env.PORT || 0), '127.0.0.1', resolve); });
const issuer = `https://localhost:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: config.clients.map((client) => ({
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...client,
  })),
  scopes: config.scopes,
  claims: { openid: ['sub'], email: ['email'], profile: ['preferred_username'] },
  conformIdTokenClaims: false, // ID tokens carry what the scopes ask for, as those of most providers do
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ ...config.accounts?.[id], sub: id }) }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  formats: { customizers: { jwt: asXSUAA } },
  ttl: { AccessToken: config.ttl, ClientCredentials: config.ttl },
  routes: { token: '/oauth/token' }, // where SAP's are
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
  jwks: { keys: [signingKey()] },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      selfSignedTlsClientAuth: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate()?.toString(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_subject_dn'
        && subject(ctx.socket.getPeerX509Certificate()) === expected,
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => {
        if (!config.resources.includes(resource)) throw new errors.InvalidTarget();
        return resourceServerInfo(resource);
      },
    },
  },
});

const refreshes = countRefreshes(provider);
registerSAML2Bearer(provider, {
  audience: issuer, ...config.saml, recipient: `${issuer}/oauth/token`, scopes: config.scopes,
  resourceServer: config.saml.resource && new provider.ResourceServer(config.saml.resource, resourceServerInfo(config.saml.resource)),
});

function resourceServerInfo(resource) {
  return {
    scope: config.scopes.join(' '), audience: resource, accessTokenTTL: config.ttl, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
  };
}

// asXSUAA makes the tokens of an application what SAP's validator and CAP expect of XSUAA.
function asXSUAA(ctx, token, { payload }) {
  const application = config.xsuaa?.[payload.aud];
  if (!application) return;
  payload.aud = [`sb-${application}`, application];
  payload.cid = payload.client_id;
  payload.azp = payload.client_id;
  payload.zid = 'peers';
  payload.scope = (payload.scope ?? '').split(' ').map((scope) => `${application}.${scope}`);
  payload.grant_type = token.kind === 'ClientCredentials' ? 'client_credentials' : token.gty;
  if (token.accountId) payload.user_name = token.accountId;
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: 'signing', use: 'sig', alg: 'RS256' };
}

// subject is a certificate's subject in the order of RFC 4514.
function subject(certificate) {
  return certificate.subject.split('\n').reverse().join(',');
}

for (const event of ['authorization.error', 'grant.error', 'introspection.error', 'revocation.error', 'server_error']) {
  provider.on(event, (ctx, err) => {
    console.log(event, ctx.oidc?.client?.clientId ?? '-', err.error ?? err.stack, '-', err.error_detail ?? err.cause?.message ?? err.error_description ?? '');
  });
}

// What a client presented, without what was added from here to complete the chain.
server.on('secureConnection', (socket) => {
  const presented = [];
  for (let c = socket.getPeerCertificate(true); c?.subject && !presented.includes(c.subject.CN); c = c.issuerCertificate) {
    presented.push(c.subject.CN);
  }
  if (presented.length > 0) console.log(`certificate: ${presented.join(' < ')}; verified: ${socket.authorized}`);
});

readline.createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { client_id: id, client_secret: secret, count } = JSON.parse(line);
    if (count !== undefined) {
      console.log('COUNT', count, JSON.stringify(refreshes(id)));
      return;
    }
    const client = await provider.Client.find(id);
    client.clientSecret = secret;
    console.log('SECRET', id);
  })
  .on('close', () => process.exit(0));

server.on('request', provider.callback());
console.log('READY', issuer);
