// grpc-js as the other side of the interop programs, in both roles.
//   node peer.js FDS server [--tls CERT KEY]              TestService on a free port; prints {"event":"ready",...}
//   node peer.js FDS client ADDRESS CASE [--tls CA NAME]  one case, or all; exits 1 when one fails
// FDS is the descriptor set of the build.  grpc-js neither shows a message's compressed flag nor sets it for one
// message of a stream: those cases are left to the C++ peer.
'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [descriptors, role, ...rest] = process.argv.slice(2);
const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(descriptors),
  { keepCase: true, defaults: true });
const testing = grpc.loadPackageDefinition(definition).grpc.testing;
const INITIAL = 'x-grpc-test-echo-initial', TRAILING = 'x-grpc-test-echo-trailing-bin';
const REQUESTS = [27182, 8, 1828, 45904], RESPONSES = [31415, 9, 2653, 58979];
const zeros = (size) => ({ body: Buffer.alloc(size) });
const size = (message) => {
  assert(message.payload.body.every((byte) => byte === 0), 'only zero bytes');
  return message.payload.body.length;
};

// ---- the server -----------------------------------------------------------------------------------------------------
function trailersOf(call) {
  const head = new grpc.Metadata(), tail = new grpc.Metadata();
  for (const value of call.metadata.get(INITIAL)) head.add(INITIAL, value);
  for (const value of call.metadata.get(TRAILING)) tail.add(TRAILING, value);
  call.sendMetadata(head);
  return tail;
}
const echoed = (request) => request.response_status && request.response_status.code !== 0 &&
  { code: request.response_status.code, details: request.response_status.message };

async function write(call, request) {
  for (const p of request.response_parameters) {
    if (p.interval_us > 0) await new Promise((done) => setTimeout(done, p.interval_us / 1000));
    if (!call.write({ payload: zeros(p.size) }) && !call.cancelled)
      await new Promise((done) => { call.once('drain', done); call.once('close', done); });
  }
}

function duplex(call, halves) {
  const tail = trailersOf(call), held = [];
  let turn = Promise.resolve(), ended = false;
  const answer = (request) => {
    turn = turn.then(async () => {
      const error = echoed(request);
      if (error && !ended) { ended = true; call.emit('error', error); }
      if (!ended) await write(call, request);
    });
  };
  call.on('data', halves ? (request) => held.push(request) : answer);
  call.on('end', () => {
    held.forEach(answer);
    turn.then(() => { if (!ended) call.end(tail); });
  });
}

const service = {
  EmptyCall: (call, done) => { const tail = trailersOf(call); done(null, {}, tail); },
  UnaryCall: (call, done) => {
    const tail = trailersOf(call);
    done(echoed(call.request) || null, { payload: zeros(call.request.response_size) }, tail);
  },
  CacheableUnaryCall: (call, done) => {
    const head = new grpc.Metadata();
    head.add('cache-control', 'max-age=60, public');
    call.sendMetadata(head);
    done(null, { payload: { body: Buffer.from(String(process.hrtime.bigint())) } });
  },
  StreamingOutputCall: (call) => { write(call, call.request).then(() => call.end()); },
  StreamingInputCall: (call, done) => {
    let sum = 0;
    call.on('data', (request) => { sum += request.payload ? request.payload.body.length : 0; });
    call.on('end', () => done(null, { aggregated_payload_size: sum }));
  },
  FullDuplexCall: (call) => duplex(call, false),
  HalfDuplexCall: (call) => duplex(call, true),
};

function serve() {
  const server = new grpc.Server();
  const credentials = rest[0] === '--tls'
    ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: fs.readFileSync(rest[1]), private_key: fs.readFileSync(rest[2]) }])
    : grpc.ServerCredentials.createInsecure();
  const { UnimplementedCall, ...implemented } = testing.TestService.service;
  server.addService(implemented, service);
  server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
    if (error) throw error;
    console.log(JSON.stringify({ event: 'ready', address: `127.0.0.1:${port}` }));
  });
}

// ---- the client -----------------------------------------------------------------------------------------------------
const [address, wanted, ...tls] = rest;
const deadline = () => ({ deadline: Date.now() + 60000 });
function open(Client, options) {
  if (tls[0] !== '--tls') return new Client(address, grpc.credentials.createInsecure(), options);
  return new Client(address, grpc.credentials.createSsl(fs.readFileSync(tls[1])),
    { 'grpc.ssl_target_name_override': tls[2], ...options });
}
// A unary call's response, with the metadata of both ends.
const ask = (stub, name, request, metadata = new grpc.Metadata()) => new Promise((resolve, reject) => {
  let head, response;
  const call = stub[name](request, metadata, deadline(), (error, answer) => { if (error) reject(error); response = answer; });
  call.on('metadata', (md) => { head = md; });
  call.on('status', (status) => { if (status.code === 0) resolve({ response, head, tail: status.metadata }); });
});
// All messages of a stream, with its status.
const drain = (call, each = () => {}) => new Promise((resolve) => {
  const messages = [];
  let head;
  call.on('metadata', (md) => { head = md; });
  call.on('data', (message) => { messages.push(message); each(message, messages.length); });
  call.on('error', () => {});
  call.on('status', (status) => resolve({ messages, head, status }));
});
async function fails(code, promise) {
  try { await promise; } catch (error) {
    assert.strictEqual(error.code, code, `${error.code}: ${error.details}`);
    return error;
  }
  throw new Error(`no error, where ${code} was to come`);
}
const large = async (stub, more) => {
  const { response } = await ask(stub, 'UnaryCall', { response_size: 314159, payload: zeros(271828), ...more });
  assert.strictEqual(size(response), 314159);
};
const output = (request_size, response_size) => (
  { response_parameters: [{ size: response_size }], payload: zeros(request_size) });

async function status(stub, message) {
  const response_status = { code: 2, message };
  const error = await fails(2, ask(stub, 'UnaryCall', { response_status }));
  assert.strictEqual(error.details, message);
  const call = stub.FullDuplexCall(deadline()), over = drain(call);
  call.write({ response_status });
  call.end();
  const { status: end } = await over;
  assert.deepStrictEqual([end.code, end.details], [2, message]);
}

const cases = {
  empty_unary: (stub) => ask(stub, 'EmptyCall', {}),
  large_unary: (stub) => large(stub),
  cacheable_unary: async (stub) => {
    const { head } = await ask(stub, 'CacheableUnaryCall', {});
    assert.match(head.get('cache-control')[0], /max-age=/);
  },
  client_compressed_unary: async (stub) => {
    await fails(3, large(stub, { expect_compressed: { value: true } }));
    for (const kind of [2, 1]) { // gzip, deflate
      const compressed = open(testing.TestService, { 'grpc.default_compression_algorithm': kind });
      await large(compressed, { expect_compressed: { value: true } });
      compressed.close();
    }
    await large(stub, { expect_compressed: { value: false } });
  },
  server_compressed_unary: async (stub) => {
    for (const value of [true, false]) await large(stub, { response_compressed: { value } });
  },
  client_streaming: async (stub) => {
    const answer = await new Promise((resolve, reject) => {
      const call = stub.StreamingInputCall(deadline(), (error, response) => (error ? reject(error) : resolve(response)));
      for (const n of REQUESTS) call.write({ payload: zeros(n) });
      call.end();
    });
    assert.strictEqual(answer.aggregated_payload_size, 74922);
  },
  server_streaming: async (stub, more = {}) => {
    const request = { response_parameters: RESPONSES.map((n) => ({ size: n, ...more })) };
    const { messages, status: end } = await drain(stub.StreamingOutputCall(request, deadline()));
    assert.deepStrictEqual([end.code, messages.map(size)], [0, RESPONSES]);
  },
  server_compressed_streaming: (stub) => cases.server_streaming(stub, { compressed: { value: true } }),
  ping_pong: async (stub) => {
    const call = stub.FullDuplexCall(deadline());
    const over = drain(call, (message, n) => {
      if (n < REQUESTS.length) call.write(output(REQUESTS[n], RESPONSES[n]));
      else call.end();
    });
    call.write(output(REQUESTS[0], RESPONSES[0]));
    const { messages, status: end } = await over;
    assert.deepStrictEqual([end.code, messages.map(size)], [0, RESPONSES]);
  },
  half_duplex: async (stub) => {
    const call = stub.HalfDuplexCall(deadline()), over = drain(call);
    REQUESTS.forEach((n, i) => call.write(output(n, RESPONSES[i])));
    call.end();
    const { messages, status: end } = await over;
    assert.deepStrictEqual([end.code, messages.map(size)], [0, RESPONSES]);
  },
  empty_stream: async (stub) => {
    const call = stub.FullDuplexCall(deadline()), over = drain(call);
    call.end();
    const { messages, status: end } = await over;
    assert.deepStrictEqual([end.code, messages], [0, []]);
  },
  custom_metadata: async (stub) => {
    const metadata = new grpc.Metadata();
    metadata.add(INITIAL, 'test_initial_metadata_value');
    metadata.add(TRAILING, Buffer.from([0xab, 0xab, 0xab]));
    const unary = await ask(stub, 'UnaryCall', { response_size: 314159, payload: zeros(271828) }, metadata);
    const call = stub.FullDuplexCall(metadata, deadline()), over = drain(call);
    call.write(output(271828, 314159));
    call.end();
    const stream = await over;
    for (const [head, tail] of [[unary.head, unary.tail], [stream.head, stream.status.metadata]]) {
      assert.deepStrictEqual(head.get(INITIAL), ['test_initial_metadata_value']);
      assert.deepStrictEqual(tail.get(TRAILING), [Buffer.from([0xab, 0xab, 0xab])]);
    }
  },
  status_code_and_message: (stub) => status(stub, 'test status message'),
  special_status_message: (stub) =>
    status(stub, '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n'),
  unimplemented_method: (stub) => fails(12, ask(stub, 'UnimplementedCall', {})),
  unimplemented_service: async () => {
    const stub = open(testing.UnimplementedService);
    await fails(12, ask(stub, 'UnimplementedCall', {}));
    stub.close();
  },
  cancel_after_begin: (stub) => fails(1, new Promise((resolve, reject) => {
    const call = stub.StreamingInputCall(deadline(), (error, response) => (error ? reject(error) : resolve(response)));
    setImmediate(() => call.cancel());
  })),
  cancel_after_first_response: async (stub) => {
    const call = stub.FullDuplexCall(deadline()), over = drain(call, () => call.cancel());
    call.write(output(27182, 31415));
    const { messages, status: end } = await over;
    assert.deepStrictEqual([end.code, messages.length], [1, 1]);
  },
  timeout_on_sleeping_server: async (stub) => {
    const call = stub.FullDuplexCall({ deadline: Date.now() + 1 }), over = drain(call);
    call.write({ payload: zeros(27182) });
    assert.strictEqual((await over).status.code, 4);
  },
  rpc_soak: async (stub) => { for (let i = 0; i < 20; i++) await large(stub); },
};

async function run() {
  const stub = open(testing.TestService);
  let failed = 0;
  for (const name of wanted === 'all' ? Object.keys(cases) : [wanted]) {
    try {
      await cases[name](stub);
      console.log(`${name}: passed`);
    } catch (error) {
      failed++;
      console.log(`${name}: FAILED: ${String(error.message).replace(/\s+/g, ' ')}`);
    }
  }
  stub.close();
  process.exitCode = failed > 0 ? 1 : 0;
}

if (role === 'server') serve();
else run();
