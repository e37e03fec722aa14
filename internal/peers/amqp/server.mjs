// An AMQP 1.0 broker on rhea, on 127.0.0.1 only: over WebSocket as SAP Event Mesh is, and over TCP.
//
// CONFIG names a JSON file: introspection (url, id and secret: how to ask about a token, and the ca to trust there), expiry
// (what happens when a connection's token ends: amqp, an AMQP close; 1008, a WebSocket close; detach, of the links that
// $cbs has authorized; none), exclusive (queues that take one receiver) and connections (how many there may be; default
// any number). PORT is where WebSockets are taken; default: a free port. It prints READY and the URL, TCP and that port, and
// what it does. On its standard input "drop" ends all connections. It ends with that input, so it does not outlive a
// test that was killed.
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import readline from 'node:readline';
import rhea from 'rhea';
import { WebSocketServer } from 'ws';

const { introspection, expiry = 'none', exclusive = [], connections: most = Infinity, tcpPort = 0 } = JSON.parse(fs.readFileSync(process.env.CONFIG, 'utf8'));

// Queues: what waits, who receives, and what was sent to whom and is not settled.
const queues = new Map();
function queue(name) {
  if (!queues.has(name)) queues.set(name, { waiting: [], senders: new Set(), unsettled: new Map() });
  return queues.get(name);
}

function pump(q) {
  for (const sender of q.senders) {
    while (q.waiting.length && sender.sendable() && sender.credit > 0) {
      const message = q.waiting.shift();
      q.unsettled.set(sender.send(message), { sender, message });
    }
  }
}

function giveBack(q, of) {
  const back = [];
  for (const [delivery, { sender, message }] of q.unsettled) {
    if (of(delivery, sender)) {
      q.unsettled.delete(delivery);
      back.push(message);
    }
  }
  q.waiting.unshift(...back);
  pump(q);
}

function leave(sender) {
  for (const q of queues.values()) {
    if (q.senders.delete(sender)) giveBack(q, (_, s) => s === sender);
  }
}

const open = new Set(); // sockets, by what ends them
let connected = 0;

// broker returns a container for one connection, or for those of a listener.
function broker({ cbs } = {}) {
  const container = rhea.create_container();
  container.on('connection_open', ({ connection }) => {
    connected++;
    connection.counted = true;
    if (connected > most) connection.close({ condition: 'amqp:resource-limit-exceeded', description: 'too many connections' });
  });
  for (const event of ['connection_close', 'disconnected']) { // in good order, or not
    container.on(event, ({ connection }) => {
      if (connection.counted) connected--;
      connection.counted = false;
      for (const q of queues.values()) for (const s of [...q.senders]) if (s.connection === connection) leave(s);
    });
  }
  const authorized = (connection, address) => !cbs || !connection.grants || connection.grants.get(address) > Date.now() / 1000;
  const missing = (link, address) => address === 'queue:missing' && (link.close({ condition: 'amqp:not-found', description: 'there is no such queue' }), true);
  const refuse = (link) => link.close({ condition: 'amqp:unauthorized-access', description: 'the token has ended' });
  container.on('sender_open', ({ sender, connection }) => {
    const { address } = sender.source;
    if (missing(sender, address)) return;
    if (exclusive.includes(address) && queue(address).senders.size) return sender.close({ condition: 'amqp:resource-locked', description: 'the queue has a receiver' });
    sender.set_source({ address });
    if (address === '$cbs') {
      connection.reply = sender;
      connection.grants ??= new Map();
      return;
    }
    if (!authorized(connection, address)) return refuse(sender);
    const q = queue(address);
    q.senders.add(sender);
  });
  container.on('receiver_open', ({ receiver, connection }) => {
    const { address } = receiver.target;
    if (missing(receiver, address)) return;
    receiver.set_target({ address });
    if (address !== '$cbs' && !authorized(connection, address)) refuse(receiver);
  });
  container.on('sender_close', ({ sender }) => leave(sender));
  container.on('sendable', ({ sender }) => sender.source.address !== '$cbs' && queues.has(sender.source.address) && pump(queue(sender.source.address)));
  // A message that crosses the question makes the credit -1, from which rhea would count down for ever.
  container.on('sender_draining', ({ sender }) => sender.credit > 0 && sender.set_drained(true));
  container.on('settled', ({ delivery, sender }) => sender?.source?.address && queue(sender.source.address).unsettled.delete(delivery));
  for (const outcome of ['released', 'modified']) {
    container.on(outcome, ({ delivery, sender }) => giveBack(queue(sender.source.address), (d) => d === delivery));
  }
  container.on('message', async ({ message, receiver, connection }) => {
    if (receiver.target.address === '$cbs') return put(connection, message);
    const q = queue(receiver.target.address);
    q.waiting.push(message);
    pump(q);
  });
  for (const event of ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'protocol_error', 'error']) container.on(event, () => {});
  return container;
}

// put takes a token (claims-based security).
async function put(connection, { application_properties: asked, body, message_id: id, reply_to: to }) {
  const { active, exp } = asked.operation === 'put-token' ? await introspect(String(body)) : {};
  if (active) {
    connection.grants.set(asked.name, exp);
    if (expiry === 'detach') {
      setTimeout(() => {
        if (connection.grants.get(asked.name) > Date.now() / 1000) return;
        console.log('EXPIRED detach');
        for (const session of Object.values(connection.local_channel_map)) {
          for (const link of Object.values(session.links)) {
            if ((link.source?.address ?? link.target?.address) === asked.name || link.target?.address === asked.name) {
              link.close({ condition: 'amqp:unauthorized-access', description: 'the token has ended' });
            }
          }
        }
      }, exp * 1000 - Date.now() + 50).unref();
    }
  }
  connection.reply.send({ to, correlation_id: id, application_properties: { 'status-code': active ? 202 : 401, 'status-description': active ? 'Accepted' : 'Unauthorized' } });
}

// introspect asks the token service about a token (RFC 7662).
function introspect(token) {
  return new Promise((resolve) => {
    const { url, id, secret, ca } = introspection;
    const basic = Buffer.from([id, secret].map(encodeURIComponent).join(':')).toString('base64');
    const asked = https.request(url, {
      ca, method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: `Basic ${basic}` },
    }, async (answer) => resolve(JSON.parse(Buffer.concat(await answer.toArray()))));
    asked.on('error', () => resolve({}));
    asked.end(new URLSearchParams({ token }).toString());
  });
}

// Over WebSocket.
const server = http.createServer((_, res) => res.writeHead(426).end());
const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => (offered.has('amqp') ? 'amqp' : false) });
server.on('upgrade', async (req, socket, head) => {
  const refuse = (status) => socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  if (!req.url.startsWith('/protocols/amqp10ws')) return refuse('404 Not Found');
  const [, token] = /^Bearer (\S+)$/.exec(req.headers.authorization ?? '') ?? [];
  const { active, exp } = token ? await introspect(token) : {};
  if (!active) {
    console.log('REFUSED');
    return refuse('401 Unauthorized');
  }
  sockets.handleUpgrade(req, socket, head, (ws) => {
    const container = broker();
    let connection;
    container.once('connection_open', (context) => { connection = context.connection; });
    container.sasl_server_mechanisms.enable_anonymous();
    container.websocket_accept(ws);
    const end = () => socket.destroy();
    open.add(end);
    ws.on('close', () => open.delete(end));
    if (expiry !== 'amqp' && expiry !== '1008') return;
    setTimeout(() => {
      if (ws.readyState !== 1) return;
      console.log('EXPIRED', expiry);
      if (expiry === 'amqp' && connection) connection.close({ condition: 'amqp:unauthorized-access', description: 'the token has ended' });
      else ws.close(1008, 'the token has ended');
    }, exp * 1000 - Date.now()).unref();
  });
});

// Over TCP.
const tcp = broker({ cbs: true });
tcp.sasl_server_mechanisms.enable_anonymous();
tcp.sasl_server_mechanisms.enable_plain(async (_, password) => (await introspect(password)).active === true);
tcp.sasl_server_mechanisms.XOAUTH2 = () => ({
  outcome: undefined,
  async start(response) {
    const [, token] = /\x01auth=Bearer ([^\x01]+)\x01/.exec(response.toString()) ?? [];
    const { active, sub } = token ? await introspect(token) : {};
    if (!active) return Buffer.from('{"status":"401","schemes":"bearer"}');
    this.username = sub;
    this.outcome = true;
  },
  step() { this.outcome = false; }, // the client has seen why
});
const listener = tcp.listen({ port: tcpPort, host: '127.0.0.1' });
listener.on('connection', (socket) => {
  socket.setNoDelay(true);
  const end = () => socket.destroy();
  open.add(end);
  socket.on('close', () => open.delete(end));
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'drop') {
    for (const end of open) end();
    console.log('DROPPED');
  }
}).on('close', () => process.exit(0));
listener.on('listening', () => {
  console.log('TCP', listener.address().port, 'END');
  server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => console.log('READY', `ws://127.0.0.1:${server.address().port}/protocols/amqp10ws`));
});
