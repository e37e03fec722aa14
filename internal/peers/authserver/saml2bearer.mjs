// The grant of RFC 7522 for oidc-provider, on xml-crypto: an XML stack of its own, and as strict as the standards allow.
//
// What an assertion says is read from the bytes that its signature covers, and from nothing else.
import { constants, createHash, createPublicKey, verify } from 'node:crypto';
import { DOMParser } from '@xmldom/xmldom';
import { errors } from 'oidc-provider';
import { SignedXml } from 'xml-crypto';

const grantType = 'urn:ietf:params:oauth:grant-type:saml2-bearer';
const saml = 'urn:oasis:names:tc:SAML:2.0:assertion';
const dsig = 'http://www.w3.org/2000/09/xmldsig#';
const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const bearer = 'urn:oasis:names:tc:SAML:2.0:cm:bearer';
const skew = 30_000;
const atMost = 1 << 20;

// register teaches the provider the grant. issuers: certificate in PEM form by issuer; audience: who assertions are for;
// recipient: the token endpoint; scopes: those a client may ask for; resourceServer: whom tokens are for, if anybody.
export function register(provider, { issuers, audience, recipient, scopes, resourceServer }) {
  const replays = new Map();
  provider.registerGrantType(grantType, async (ctx) => {
    const { client, params } = ctx.oidc;
    const assertion = decode(params.assertion);
    const user = readAssertion(assertion, issuers);
    check(user, { audience, recipient, replays });
    for (const scope of params.scope?.split(' ') ?? []) {
      if (!scopes.includes(scope)) throw new errors.InvalidScope('not a scope of this server', scope);
    }
    const token = new provider.AccessToken({ accountId: user.name, client, gty: 'saml2-bearer', scope: params.scope });
    if (resourceServer) token.resourceServer = resourceServer;
    ctx.oidc.entity('AccessToken', token);
    ctx.body = {
      access_token: await token.save(), token_type: token.tokenType, expires_in: token.expiration, scope: params.scope,
    };
  }, ['assertion', 'scope']);
}

function refuse(why) {
  throw new errors.InvalidGrant(why);
}

// decode takes base64url alone, without padding, whitespace or idle bits.
function decode(text) {
  if (!text) throw new errors.InvalidRequest('missing required parameter(s)', 'assertion');
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) refuse('assertion: not base64url as of RFC 7522');
  if (bytes.length > atMost) refuse('assertion: too long');
  const xml = bytes.toString();
  if (!Buffer.from(xml).equals(bytes)) refuse('assertion: not UTF-8');
  return xml;
}

// parse returns the root element.
function parse(xml) {
  if (/<!DOCTYPE/i.test(xml)) refuse('assertion: has a document type');
  try {
    return new DOMParser({ onError: (level, message) => { throw new Error(message); } }).parseFromString(xml, 'text/xml').documentElement;
  } catch {
    return refuse('assertion: not well-formed');
  }
}

// children returns the child elements of that name, or all.
function children(element, namespace, name) {
  return Array.from(element.childNodes)
    .filter((node) => node.nodeType === 1 && (!name || (node.namespaceURI === namespace && node.localName === name)));
}

function only(element, namespace, name) {
  const found = children(element, namespace, name);
  if (found.length !== 1) refuse(`${element.localName}: ${found.length} of ${name}, not one`);
  return found[0];
}

// text is that of an element with nothing but text in it: not even a comment, which could split a name.
function text(element) {
  if (Array.from(element.childNodes).some((node) => node.nodeType !== 3)) refuse(`${element.localName}: more than text`);
  return element.textContent;
}

function readAssertion(xml, issuers) {
  const root = parse(xml);
  if (root.namespaceURI !== saml || root.localName !== 'Assertion') refuse('the root is no assertion');
  const issuer = text(only(root, saml, 'Issuer'));
  if (!Object.hasOwn(issuers, issuer)) refuse('Issuer: unknown');
  const signed = parse(signedBytes(xml, root, issuers[issuer]));

  // What was looked at above may not be what was signed.
  if (signed.namespaceURI !== saml || signed.localName !== 'Assertion') refuse('Signature: not of an assertion');
  if (signed.getAttribute('Version') !== '2.0') refuse('Version: not 2.0');
  if (text(only(signed, saml, 'Issuer')) !== issuer) refuse('Issuer: another one is signed');
  const subject = only(signed, saml, 'Subject');
  const conditions = only(signed, saml, 'Conditions');
  return {
    id: signed.getAttribute('ID'),
    name: text(only(subject, saml, 'NameID')),
    audiences: children(conditions, saml, 'AudienceRestriction').map((one) => children(one, saml, 'Audience').map(text)),
    notBefore: time(conditions, 'NotBefore'),
    notOnOrAfter: time(conditions, 'NotOnOrAfter'),
    confirmations: children(subject, saml, 'SubjectConfirmation')
      .filter((one) => one.getAttribute('Method') === bearer)
      .map((one) => only(one, saml, 'SubjectConfirmationData'))
      .map((data) => ({ recipient: data.getAttribute('Recipient'), notBefore: time(data, 'NotBefore'), notOnOrAfter: time(data, 'NotOnOrAfter') })),
  };
}

// time returns undefined where there is none.
function time(element, name) {
  const value = element.getAttribute(name);
  if (!value) return undefined;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)) refuse(`${name}: not a time in UTC`);
  return Date.parse(value);
}

function check(user, { audience, recipient, replays }) {
  const now = Date.now();
  if (!user.name) refuse('NameID: empty');
  if (user.audiences.length === 0 || !user.audiences.every((list) => list.includes(audience))) refuse('Audience: not this server');
  if (user.notBefore > now + skew) refuse('Conditions: not yet valid');
  if (!(user.notOnOrAfter > now - skew)) refuse('Conditions: no longer valid'); // or without an end
  const confirmed = user.confirmations.some((one) => one.recipient === recipient && one.notBefore === undefined && one.notOnOrAfter > now - skew);
  if (!confirmed) refuse('SubjectConfirmation: none for this recipient and time');

  for (const [id, end] of replays) if (end <= now) replays.delete(id);
  if (replays.has(user.id)) refuse('ID: replayed');
  replays.set(user.id, user.notOnOrAfter + skew);
}

// signedBytes checks the signature and returns what it covers.
function signedBytes(xml, root, certificate) {
  const signature = only(root, dsig, 'Signature');
  if (root.getElementsByTagNameNS(dsig, 'Signature').length !== 1) refuse('Signature: more than one');
  const info = only(signature, dsig, 'SignedInfo');
  const reference = only(info, dsig, 'Reference');
  if (!root.getAttribute('ID') || reference.getAttribute('URI') !== `#${root.getAttribute('ID')}`) refuse('Reference: not to the root');
  const transforms = children(only(reference, dsig, 'Transforms')).map((one) => one.getAttribute('Algorithm'));
  if (transforms.join(' ') !== `${dsig}enveloped-signature ${exclusive}`) refuse('Transforms: not the two that SAML has');

  const checker = new SignedXml({ publicCert: certificate, getCertFromKeyInfo: () => null });
  checker.CanonicalizationAlgorithms = pick(checker.CanonicalizationAlgorithms, [exclusive, `${dsig}enveloped-signature`]);
  checker.HashAlgorithms = hashAlgorithms;
  checker.SignatureAlgorithms = signatureAlgorithms;
  try {
    checker.loadSignature(signature);
    if (!checker.checkSignature(xml)) refuse('Signature: the digest differs');
  } catch (err) {
    if (err instanceof errors.InvalidGrant) throw err;
    refuse(`Signature: ${err.message.replace(/(signature value) .*/s, '$1 is wrong')}`);
  }
  return checker.getSignedReferences()[0];
}

function pick(object, names) {
  return Object.fromEntries(names.map((name) => [name, object[name]]));
}

// No SHA-1, and elliptic curves, which xml-crypto does not have.
const hashAlgorithms = Object.fromEntries([
  ['http://www.w3.org/2001/04/xmlenc#sha256', 'sha256'],
  ['http://www.w3.org/2001/04/xmldsig-more#sha384', 'sha384'],
  ['http://www.w3.org/2001/04/xmlenc#sha512', 'sha512'],
].map(([uri, hash]) => [uri, class {
  getHash = (data) => createHash(hash).update(data).digest('base64');

  getAlgorithmName = () => uri;
}]));

const signatureAlgorithms = Object.fromEntries(['rsa', 'ecdsa'].flatMap((type) => ['sha256', 'sha384', 'sha512'].map((hash) => {
  const uri = `http://www.w3.org/2001/04/xmldsig-more#${type}-${hash}`;
  // An ECDSA value is r and s side by side (XML Signature 1.1, 6.4.3), not ASN.1.
  const [keyType, options] = type === 'rsa' ? ['rsa', { padding: constants.RSA_PKCS1_PADDING }] : ['ec', { dsaEncoding: 'ieee-p1363' }];
  return [uri, class {
    verifySignature = (data, certificate, value) => {
      const key = createPublicKey(certificate);
      return key.asymmetricKeyType === keyType && verify(hash, Buffer.from(data), { key, ...options }, Buffer.from(value, 'base64'));
    };

    getAlgorithmName = () => uri;
  }];
})));
