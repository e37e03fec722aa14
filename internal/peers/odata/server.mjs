// A receiver of OData V4 and V2: SAP CAP, whose tokens SAP's own validator checks, on 127.0.0.1 only.
//
// CONFIG names a JSON file: auth (the url of the token service, the clientid and xsappname that tokens are for, and the ca
// to trust there). PORT is where to listen; default: a free port. It prints READY and its URL.
//
// csurf stands in front and answers as SAP Gateway does: a read with "x-csrf-token: Fetch" gets a token and a cookie, a
// change without both gets 403 and "x-csrf-token: Required". It prints CSRF and the method for each token that it gives.
//
// It keeps a book of whose cookies and CSRF tokens they are: who was the bearer's user when they were given. Each answer that
// csurf lets through says in Peers-Bearer, Peers-Cookie and Peers-Csrf whose the request's were.
//
// It ends with its standard input, so it does not outlive a test that was killed.
import fs from 'node:fs';
import tls from 'node:tls';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const { auth } = JSON.parse(fs.readFileSync(process.env.CONFIG, 'utf8'));
process.chdir(fileURLToPath(new URL('.', import.meta.url))); // CAP looks for its project here
tls.setDefaultCACertificates([...tls.getCACertificates('default'), auth.ca]);
process.env.CDS_CONFIG = JSON.stringify({
  cov2ap: { plugin: true },
  requires: {
    db: { kind: 'sqlite', credentials: { url: ':memory:' } },
    auth: {
      kind: 'xsuaa',
      credentials: { clientid: auth.clientid, clientsecret: 'not used', xsappname: auth.xsappname, url: auth.url, uaadomain: new URL(auth.url).host },
      config: { endpoints: { jwks: '/jwks' } },
    },
  },
});

const require = createRequire(import.meta.url);
const cds = require('@sap/cds');
const csurf = require('csurf');
const cookies = require('cookie-parser');

const cookieName = 'sap-XSRF_PEER_100';
const owners = new Map();

// userOf reads a token, which CAP verifies later on.
function userOf(req) {
  try {
    const { user_name: user, cid } = JSON.parse(Buffer.from(req.headers.authorization.split('.')[1], 'base64url'));
    return user ?? cid;
  } catch {
    return 'nobody';
  }
}

// tellOwners says whose the request's cookie and CSRF token are, and notes whose those are that the answer gives.
function tellOwners(req, res, next) {
  const user = userOf(req);
  const csrf = req.headers['x-csrf-token'];
  res.setHeader('Peers-Bearer', user);
  res.setHeader('Peers-Cookie', owners.get(`cookie ${req.cookies[cookieName]}`) ?? '');
  res.setHeader('Peers-Csrf', owners.get(`csrf ${csrf}`) ?? '');
  for (const set of [res.getHeader('Set-Cookie') ?? []].flat()) {
    owners.set(`cookie ${decodeURIComponent(set.split(';')[0].slice(cookieName.length + 1))}`, user);
  }
  if (csrf === 'Fetch') {
    const token = req.csrfToken();
    owners.set(`csrf ${token}`, user);
    res.setHeader('x-csrf-token', token);
    console.log('CSRF', req.method);
  }
  next();
}

cds.on('bootstrap', (app) => {
  const { listen } = app;
  app.listen = (port, ...rest) => listen.call(app, port, '127.0.0.1', ...rest); // CAP would listen everywhere
  const guard = csurf({ cookie: { key: cookieName, httpOnly: true, path: '/' }, value: (req) => req.headers['x-csrf-token'] });
  app.use('/odata', (req, res, next) => (req.headers.authorization ? next() : res.status(401).send('Unauthorized')), cookies(), guard, tellOwners);
  app.use((err, req, res, next) => {
    if (err.code !== 'EBADCSRFTOKEN') return next(err);
    return res.status(403).setHeader('x-csrf-token', 'Required').send('CSRF token validation failed');
  });
});
cds.on('listening', ({ server }) => console.log('READY', `http://localhost:${server.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
await require('@sap/cds/bin/serve.js').exec('all', '--port', process.env.PORT || '0');
