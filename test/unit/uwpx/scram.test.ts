import { describe, expect, it } from 'vitest';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { AccountLogin } from '../../../src/uwpx/account-login.js';
import { Scram } from '../../../src/uwpx/scram.js';

const credentials = { username: 'user', password: 'pencil' };

describe('SCRAM', () => {
  it.each([
    {
      hash: 'sha1', // RFC 5802, section 5
      nonce: 'fyko+d2lbbFgONRv9qkxdawL',
      challenge: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
      final: 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
      last: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
    },
    {
      hash: 'sha256', // RFC 7677, section 3
      nonce: 'rOprNGfwEbeRWgbNEkqO',
      challenge: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
      final:
        'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
      last: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    },
  ] as const)('is that of the RFCs ($hash)', ({ hash, nonce, challenge, final, last }) => {
    const scram = new Scram(hash, credentials, nonce);
    expect(scram.clientFirst()).toBe(`n,,n=user,r=${nonce}`);
    expect(scram.isServer(last)).toBe(false);
    expect(scram.clientFinal(challenge)).toBe(final);
    expect(scram.isServer(last)).toBe(true);
    expect(scram.isServer(last.replace('v=', 'v=A'))).toBe(false);
    expect(scram.isServer('e=other-error')).toBe(false);
  });

  it('escapes what separates, and writes UTF-8', () => {
    const scram = new Scram('sha1', { username: 'a,b=ü', password: '' }, 'n');
    expect(scram.clientFirst()).toBe('n,,n=a=2Cb=3D\u00c3\u00bc,r=n');
  });

  it.each([
    'r=other,s=QSXCR+Q6sek8bf92,i=4096',
    'r=nonce,s=QSXCR+Q6sek8bf92,i=4096',
    'r=nonce1,s=QSXCR+Q6sek8bf92,i=100001',
    'r=nonce1,s=QSXCR+Q6sek8bf92,i=0',
    'r=nonce1,s=QSXCR+Q6sek8bf92,i=1e9',
    'r=nonce1,s=QSXCR+Q6sek8bf92',
    'r=nonce1,i=4096',
    '',
  ])('does not go on after %j', (challenge) => {
    expect(new Scram('sha256', credentials, 'nonce').clientFinal(challenge)).toBeNull();
  });
});

describe('a login', () => {
  const login = (): AccountLogin => new AccountLogin(credentials, createRandomBytes());

  it('is by the best mechanism that is offered', () => {
    expect(login().choose(['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256'])).toBe('SCRAM-SHA-256');
    expect(login().choose(['PLAIN', 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1'])).toBe('SCRAM-SHA-1');
    expect(login().choose(['DIGEST-MD5', 'PLAIN'])).toBe('PLAIN');
    expect(login().choose(['EXTERNAL'])).toBeNull();
  });

  it('has to be proven by the server where it can be', () => {
    const plain = login();
    expect(plain.isServerProven('')).toBe(true);
    const scram = login();
    const [, Mechanism] = scram.mechanisms()[0] ?? [];
    if (Mechanism === undefined) throw new Error('there is a mechanism');
    expect(new Mechanism().response()).toMatch(/^n,,n=user,r=[A-Za-z0-9+/]{24}$/);
    expect(scram.isServerProven('')).toBe(false);
  });
});
