// Issues SAML assertions with npm saml. A question holds its options, key and cert in PEM form; the answer is the XML.
import readline from 'node:readline';

let Saml20;
try {
  ({ default: { Saml20 } } = await import('saml'));
} catch {
  console.log('MISSING npm saml');
  process.exit();
}

console.log('READY');
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [number, options] = JSON.parse(line);
  console.log('ANSWER', number, JSON.stringify(Saml20.create(options)));
}
