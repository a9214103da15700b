// As grpcurl does: asks v1 for what is served, learns a method from the answer, calls it.   node services.js HOST:PORT
'use strict';
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };
const address = process.argv[2];
const credentials = grpc.credentials.createInsecure();

function reflectionClient(version) {
  const file = path.join(process.env.STUBS, 'grpc_reflection', version, 'reflection.proto');
  const loaded = grpc.loadPackageDefinition(loader.loadSync(file, options));
  return new loaded.grpc.reflection[version].ServerReflection(address, credentials);
}

/** The answers to some questions on one stream. */
async function ask(client, ...questions) {
  const stream = client.ServerReflectionInfo({ deadline: Date.now() + 20000 });
  for (const question of questions) stream.write(question);
  stream.end();
  const answers = [];
  for await (const answer of stream) answers.push(answer);
  return answers;
}

async function main() {
  for (const version of ['v1', 'v1alpha']) {
    const client = reflectionClient(version);
    const [listed] = await ask(client, { list_services: '' });
    const names = listed.list_services_response.service.map((s) => s.name);
    if (!names.includes('novelengine.v1.NovelEngine')) throw new Error(`${version}: ${names}`);
    const [described, missing] = await ask(client, { file_containing_symbol: 'novelengine.v1.NovelEngine' },
      { file_containing_symbol: 'nobody' });
    if (missing.error_response.error_code !== grpc.status.NOT_FOUND) throw new Error(JSON.stringify(missing));
    // A FileDescriptorSet is its files, each behind tag 1 and a length.
    const parts = [];
    for (const file of described.file_descriptor_response.file_descriptor_proto) {
      const length = [];
      let left = file.length;
      for (; left > 127; left >>>= 7) length.push((left & 127) | 128);
      parts.push(Buffer.from([10, ...length, left]), file);
    }
    const definition = loader.loadFileDescriptorSetFromBuffer(Buffer.concat(parts), options);
    const { NovelEngine } = grpc.loadPackageDefinition(definition).novelengine.v1;
    const engine = new NovelEngine(address, credentials);
    const health = await new Promise((resolve, reject) => {
      engine.GetHealth({}, { deadline: Date.now() + 20000 }, (e, answer) => (e ? reject(e) : resolve(answer)));
    });
    console.log(version, health.status);
    engine.close();
    client.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
