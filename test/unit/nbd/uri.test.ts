import { expect } from 'chai';
import fc from 'fast-check';
import { formatNbdUri, isNbdUri, type NbdUri, parseNbdUri } from '../../../lib/nbd/uri.js';

describe('NBD URI', () => {
  const tcp = (host: string, port: number, exportName: string) => ({ address: { host, port }, exportName, tls: false });
  const cases: [text: string, uri: NbdUri][] = [
    ['nbd://example.com/disk', tcp('example.com', 10809, 'disk')],
    ['nbd://example.com', tcp('example.com', 10809, '')],
    ['nbd://example.com/', tcp('example.com', 10809, '')],
    ['nbd://example.com//disk', tcp('example.com', 10809, '/disk')],
    ['nbd://example.com/hello%20world', tcp('example.com', 10809, 'hello world')],
    ['NBD://127.0.0.1:1234/a/b', tcp('127.0.0.1', 1234, 'a/b')],
    ['nbd://[::1]:1234/', tcp('::1', 1234, '')],
    ['nbd://[fe80::1%25eth0]/', tcp('fe80::1%eth0', 10809, '')],
    ['nbd:///a', tcp('localhost', 10809, 'a')],
    ['nbd+unix:///a%3Fb?socket=/tmp/s%20k', { address: { path: '/tmp/s k' }, exportName: 'a?b', tls: false }],
    ['nbd+unix:///?socket=%00abstract', { address: { path: '\0abstract' }, exportName: '', tls: false }],
    [
      'nbds://alice@h/?tls-psk-file=/k',
      { address: { host: 'h', port: 10809 }, exportName: '', tls: true, tlsPskFile: '/k', tlsUsername: 'alice' },
    ],
    [
      'nbds+unix:///?socket=s&tls-certificates=/pki&tls-hostname=h&tls-username=u%40v',
      {
        address: { path: 's' },
        exportName: '',
        tls: true,
        tlsCertificates: '/pki',
        tlsHostname: 'h',
        tlsUsername: 'u@v',
      },
    ],
  ];
  for (const [text, uri] of cases)
    it(`reads ${text}, and writes it so that it reads the same`, () => {
      expect(parseNbdUri(text)).to.deep.equal(uri);
      expect(parseNbdUri(formatNbdUri(uri))).to.deep.equal(uri);
    });

  const wrong: [text: string, why: string][] = [
    ['nbd:localhost:10809', 'expected nbd://HOST'],
    ['nbd://h/#part', 'without a fragment'],
    ['nbd+vsock://2/', "got 'nbd+vsock'"],
    ['nbd+unix:///disk', 'expected a parameter socket=PATH'],
    ['nbd+unix://host/?socket=s', "no host, got 'host'"],
    ['nbd://h/?socket=s', 'socket= is for nbd+unix'],
    ['nbd://h:0/', "got '0'"],
    ['nbd://h:65536/', "got '65536'"],
    ['nbd://h:x/', "got 'h:x'"],
    ['nbd://::1/', 'an IPv6 address in brackets'],
    ['nbd://h/%ff', 'UTF-8 in percent encoding'],
    ['nbd://h/%00', 'no NUL'],
    [`nbd://h/${'x'.repeat(4097)}`, 'at most 4096 bytes'],
    ['nbd://h/?timeout=5', "got 'timeout'"],
    ['nbd+unix:///?socket=a&socket=b', 'socket: given twice'],
    ['nbd://h/?tls-certificates=/pki', 'only nbds: and nbds+unix: are encrypted'],
    ['nbds://h/?tls-certificates=/pki&tls-psk-file=/k', 'got both'],
    ['nbds://a@h/?tls-username=b', 'got both'],
    ['nbds://a:secret@h/', 'no place for a password'],
  ];
  for (const [text, why] of wrong)
    it(`refuses ${text.slice(0, 60)}`, () => {
      expect(isNbdUri(text)).to.equal(true);
      expect(() => parseNbdUri(text)).to.throw(RangeError, why);
    });

  it('leaves other devices alone', () => {
    for (const text of ['disk.img', '/dev/nbd0', 'ram:4096', '8:1', 'nbd', './nbd:x'])
      expect(isNbdUri(text), text).to.equal(false);
  });

  it('any names come back, and no blank or backslash stands in a URI', () => {
    const name = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !text.includes('\0'));
    const property = fc.property(name, name.filter(Boolean), name.filter(Boolean), (exportName, path, tlsUsername) => {
      const uri = { address: { path }, exportName, tls: true, tlsUsername };
      const text = formatNbdUri(uri);
      expect(text)
        .to.match(/^[!-~]+$/)
        .and.not.include('\\');
      expect(parseNbdUri(text)).to.deep.equal(uri);
    });
    fc.assert(property, { seed: 7, numRuns: 60 });
  });
});
