// A tunnel that brings AMQP over WebSocket to a broker that takes TCP, on 127.0.0.1 only.
//
// CONFIG names a JSON file: port, the broker's, and key, the public one (PEM) of the JSON Web Tokens (RS256) that it takes with the
// handshake. When such a token ends, the WebSocket is closed with 1008. It prints READY and the URL, and what it does. It ends
// with its standard input, so it does not outlive a test that was killed.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { WebSocketServer, createWebSocketStream } from 'ws';

const { port, key } = JSON.parse(fs.readFileSync(process.env.CONFIG, 'utf8'));

// expiry returns when a token ends, in milliseconds, or 0 if it is not to be taken.
function expiry(token) {
  const [head, claims, signature] = token.split('.');
  const valid = signature && crypto.verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url'));
  const { exp, aud } = valid ? JSON.parse(Buffer.from(claims, 'base64url')) : {};
  return aud?.includes('rabbitmq') && exp * 1000 > Date.now() ? exp * 1000 : 0;
}

const server = http.createServer((_, res) => res.writeHead(426).end());
const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => (offered.has('amqp') ? 'amqp' : false) });
server.on('upgrade', (req, socket, head) => {
  const [, token] = /^Bearer (\S+)$/.exec(req.headers.authorization ?? '') ?? [];
  const ends = token ? expiry(token) : 0;
  if (!ends) return socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  sockets.handleUpgrade(req, socket, head, (ws) => {
    const outside = createWebSocketStream(ws);
    const inside = net.connect(port, '127.0.0.1');
    inside.setNoDelay(true);
    outside.pipe(inside).pipe(outside);
    for (const [one, other] of [[outside, inside], [inside, outside]]) one.on('error', () => other.destroy()).on('close', () => other.destroy());
    const end = setTimeout(() => {
      console.log('EXPIRED');
      ws.close(1008, 'the token has ended');
    }, ends - Date.now());
    ws.on('close', () => clearTimeout(end));
  });
});
process.stdin.on('end', () => process.exit(0)).resume();
server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => console.log('READY', `ws://127.0.0.1:${server.address().port}/protocols/amqp10ws`));
