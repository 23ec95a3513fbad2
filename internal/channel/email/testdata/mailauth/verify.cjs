// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Reads a JSON array of {mail (base64), records: {name: TXT}} and writes what mailauth finds of each.
const { dkimVerify } = require('mailauth/lib/dkim/verify');

async function main() {
  const chunks = [];
  for await (const c of process.stdin) chunks.push(c);
  const out = [];
  for (const { mail, records } of JSON.parse(Buffer.concat(chunks))) {
    const resolver = async (name, type) => {
      if (type === 'TXT' && records[name]) return [[records[name]]];
      throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    };
    const { results } = await dkimVerify(Buffer.from(mail, 'base64'), { resolver });
    out.push(results.map((r) => ({
      result: r.status.result, comment: String(r.status.comment || ''), aligned: String(r.status.aligned || ''),
      algorithm: r.algo || '', signed: (r.signingHeaders && r.signingHeaders.keys) || '',
    })));
  }
  process.stdout.write(JSON.stringify(out));
}

main();
