// A busy, honest client: thousands of calls, a third of them cancelled, and one stream beside them all the while.
//   node honest.js HOST:PORT
'use strict';
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const file = path.join(process.env.STUBS, 'grpc_health', 'v1', 'health.proto');
const { Health } = grpc.loadPackageDefinition(loader.loadSync(file, { enums: String })).grpc.health.v1;
const client = new Health(process.argv[2], grpc.credentials.createInsecure());

function check(cancel) {
  return new Promise((resolve) => {
    const call = client.Check({ service: '' }, { deadline: Date.now() + 20000 }, (e) => resolve(e ? e.code : 0));
    if (cancel) setImmediate(() => call.cancel());
  });
}

async function main() {
  const counts = {};
  const watch = client.Watch({ service: '' });
  let watched = '';
  watch.on('data', (answer) => { watched = answer.status; });
  watch.on('error', (e) => { counts.watch = e.details; });
  for (let round = 0; round < 100; round++) {
    const codes = await Promise.all(Array.from({ length: 45 }, (_, i) => check(i % 3 === 2)));
    for (const code of codes) counts[code] = (counts[code] || 0) + 1;
  }
  for (let i = 0; i < 1000; i++) counts[await check(false)]++;
  console.log(JSON.stringify({ counts, watched }));
  watch.removeAllListeners('error').on('error', () => {});
  watch.cancel();
  client.close();
}

main();
