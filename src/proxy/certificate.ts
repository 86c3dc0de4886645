import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/**
 * A self-signed certificate for a server whose clients do not check it, in DER (X.509, RFC 5280), with an ECDSA key on
 * P-256. It says who made it and no more.
 */
export function selfSignedCertificate(nowMs: number): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  const name = sequence(set(sequence(objectId(commonName), der(utf8String, Buffer.from('signalbox')))));
  const version3 = der(0xa0, der(integer, Buffer.from([2])));
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)]);
  const validity = sequence(time(nowMs - dayMs), time(nowMs + validDays * dayMs));
  const alternativeName = sequence(
    objectId(subjectAltName),
    der(octetString, sequence(der(0x82, Buffer.from('localhost')))),
  );
  const algorithm = sequence(objectId(ecdsaWithSha256));
  const certified = sequence(
    ...[version3, der(integer, serial), algorithm, name, validity, name, publicKey],
    der(0xa3, sequence(alternativeName)),
  );
  const signature = sign('sha256', certified, createPrivateKey(privateKey));
  const certificate = sequence(certified, algorithm, der(bitString, Buffer.concat([Buffer.from([0]), signature])));
  const lines = certificate.toString('base64').replace(/.{64}(?!$)/g, '$&\n');
  return { key: privateKey, cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n` };
}

const dayMs = 86_400_000;
const validDays = 3650;

/** Object identifiers, encoded. */
const commonName = Buffer.from('550403', 'hex');
const subjectAltName = Buffer.from('551d11', 'hex');
const ecdsaWithSha256 = Buffer.from('2a8648ce3d040302', 'hex');

/** Tags. */
const integer = 0x02;
const bitString = 0x03;
const octetString = 0x04;
const utf8String = 0x0c;
const generalizedTime = 0x18;

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

function sequence(...items: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(items));
}

function set(item: Buffer): Buffer {
  return der(0x31, item);
}

function objectId(encoded: Buffer): Buffer {
  return der(0x06, encoded);
}

/** `YYYYMMDDHHMMSSZ`. */
function time(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  return der(generalizedTime, Buffer.from(digits));
}
