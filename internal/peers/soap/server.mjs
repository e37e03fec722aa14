// A receiver of SOAP in the manner of SuccessFactors, by npm soap, on 127.0.0.1 only.
//
// CONFIG names a JSON file: tls (key and cert in PEM), introspection (url, id and secret: how to ask about a token, and
// the ca to trust there). PORT is where to listen; default: a free port. It prints READY and its URL.
//
// The first call opens a session, and a session stays that of its first user, whatever token comes with it later. It
// ends with its standard input, so it does not outlive a test that was killed.
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { randomUUID } from 'node:crypto';
import soap from 'soap';

const { tls, introspection } = JSON.parse(fs.readFileSync(process.env.CONFIG, 'utf8'));
const sessions = new Map(); // user by session

const inner = http.createServer(); // never listens
inner.on('request', (req, res) => { res.writeHead(404).end(); });
soap.listen(inner, '/sfapi/v1/soap', {
  SFAPIService: {
    SFAPI: {
      query({ queryString }, answer, headers, req) {
        if (!/^SELECT /.test(queryString)) throw fault('INVALID_SFQL', `cannot read: ${queryString}`);
        return { calledBy: req.user, queryString };
      },
    },
  },
}, fs.readFileSync(new URL('sfapi.wsdl', import.meta.url), 'utf8'));

function fault(errorCode, errorMessage) {
  return {
    Fault: {
      faultcode: 'soap:Client',
      faultstring: errorMessage,
      detail: { SFWebServiceFault: { errorCode, errorMessage } },
      statusCode: 500,
    },
  };
}

const server = https.createServer(tls, async (req, res) => {
  const [, token] = /^Bearer (\S+)$/.exec(req.headers.authorization ?? '') ?? [];
  const { active, sub } = token ? await introspect(token) : {};
  if (!active) {
    req.resume();
    res.writeHead(401, { 'WWW-Authenticate': 'Bearer error="invalid_token"', 'Content-Type': 'text/plain' }).end('token refused\n');
    return;
  }
  let [, session] = /\bJSESSIONID=([\w-]+)/.exec(req.headers.cookie ?? '') ?? [];
  if (!sessions.has(session)) {
    session = randomUUID();
    sessions.set(session, sub);
    res.setHeader('Set-Cookie', `JSESSIONID=${session}; Path=/; Secure; HttpOnly`);
  }
  req.user = sessions.get(session);
  inner.emit('request', req, res);
});

// introspect asks the token service about a token (RFC 7662).
function introspect(token) {
  return new Promise((resolve, reject) => {
    const { url, id, secret, ca } = introspection;
    const basic = Buffer.from([id, secret].map(encodeURIComponent).join(':')).toString('base64');
    const asked = https.request(url, {
      ca, method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: `Basic ${basic}` },
    }, async (answer) => {
      try {
        resolve(JSON.parse(Buffer.concat(await answer.toArray())));
      } catch (err) {
        reject(err);
      }
    });
    asked.on('error', reject);
    asked.end(new URLSearchParams({ token }).toString());
  });
}

process.stdin.on('end', () => process.exit(0)).resume();
server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => console.log('READY', `https://localhost:${server.address().port}`));
