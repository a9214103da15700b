#!/usr/bin/env node
// Novel Engine from Node, with nothing but the contract and stock grpc-js.
//
//   npm ci && node example.js [HOST:PORT]        127.0.0.1:50051 when absent; NOVEL_PROTO: the contract's folder
//
// Lists the characters, runs a simulation and streams it, breaks the stream off in the middle and resumes it where it
// was, and shows what an error looks like.
'use strict';
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const folder = process.env.NOVEL_PROTO || path.join(__dirname, '..', '..', 'proto');
const definition = loader.loadSync('novelengine/v1/novel_engine.proto', {
  includeDirs: [folder], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true,
});
const { NovelEngine } = grpc.loadPackageDefinition(definition).novelengine.v1;

/** A unary call as a promise. */
function call(engine, method, request) {
  return new Promise((resolve, reject) => {
    engine[method](request, { deadline: Date.now() + 10000 }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function listCharacters(engine) {
  const listed = await call(engine, 'ListCharacters', { view: 'VIEW_FULL' });
  console.log('Characters');
  for (const character of listed.profiles) {
    console.log(`  ${character.character_id.padEnd(10)} ${character.name}: ${character.persona.role}`);
  }
}

/** Runs a simulation to its end; its id, its last sequence and its story. */
async function simulate(engine) {
  console.log('\nA simulation, live');
  const seen = { id: '', last: 0, story: '' };
  const stream = engine.StreamSimulation({
    character_names: ['pilot', 'scientist', 'engineer'],
    turns: { value: 4 },
    setting: 'an abandoned mining station',
    scenario: 'a distress signal that nobody should be able to send',
  });
  for await (const update of stream) {
    seen.id = update.simulation_id || seen.id;
    seen.last = Math.max(seen.last, Number(update.sequence));
    if (update.type === 'TYPE_EVENT') {
      console.log(`  ${String(update.progress_percent).padStart(3)} %  ${update.event.text}`);
    } else if (update.type === 'TYPE_RESULT') {
      seen.story = update.result.story;
    } else if (update.type === 'TYPE_ERROR') {
      throw new Error(`the simulation failed: ${update.error.message}`);
    }
  }
  return seen;
}

/** Sequences of the events behind `after`; stops when `enough` says so. */
async function watch(engine, id, after, enough) {
  const sequences = [];
  const stream = engine.WatchSimulation({ simulation_id: id, after_sequence: String(after) });
  try {
    for await (const update of stream) {
      if (update.type === 'TYPE_EVENT') sequences.push(Number(update.sequence));
      if (enough(sequences)) stream.cancel();
    }
  } catch (error) {
    if (error.code !== grpc.status.CANCELLED) throw error;
  }
  return sequences;
}

async function watchInTwoParts(engine, { id, last }) {
  const half = Math.floor(last / 2);
  const first = (await watch(engine, id, 0, (s) => s.length >= half)).slice(0, half);
  const all = first.concat(await watch(engine, id, first[first.length - 1] || 0, () => false));
  if (all.length !== last || all.some((sequence, i) => sequence !== i + 1)) {
    throw new Error(`events lost or repeated: ${all}`);
  }
  console.log(`\nWatched again, broken off after event ${half} and resumed: all ${last} events, each once`);
}

/** Errors carry a code and a sentence; the fields are in grpc-status-details-bin. */
async function showError(engine) {
  try {
    await call(engine, 'RunSimulation', { character_names: ['pilot'] });
  } catch (error) {
    if (error.code !== grpc.status.INVALID_ARGUMENT || error.metadata.get('grpc-status-details-bin').length !== 1) throw error;
    console.log(`\nAn error: ${grpc.status[error.code]}: ${error.details}`);
    return;
  }
  throw new Error('one character was enough?');
}

async function main() {
  const address = process.argv[2] || '127.0.0.1:50051';
  const engine = new NovelEngine(address, grpc.credentials.createInsecure());
  await new Promise((resolve, reject) => {
    engine.waitForReady(Date.now() + 10000, (error) => (error ? reject(new Error(`no server at ${address}: start novel-server first`)) : resolve()));
  });
  await listCharacters(engine);
  const seen = await simulate(engine);
  await watchInTwoParts(engine, seen);
  console.log(`\n${seen.story}`);
  await showError(engine);
  engine.close();
}

main().catch((error) => {
  console.error(`example.js: ${error.message}`);
  process.exitCode = 1;
});
