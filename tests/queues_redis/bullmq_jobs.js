// Jobs of BullMQ, in the queue `mail` of the server in the second argument. The first is the package.
'use strict';

const { createInterface } = require('node:readline');
const { Queue, Worker } = require(process.argv[2]);

const url = new URL(process.argv[3]);
const connection = { host: url.hostname, port: Number(url.port), password: url.password, maxRetriesPerRequest: null };
const queue = new Queue('mail', { connection });
let worker;

async function run(job) {
  if (job.name === 'fail') throw new Error('as asked');
  if (job.name === 'hang') await new Promise(() => setTimeout(() => {}, 600000));
}

const commands = {
  add: (name) => queue.add(name, {}),
  lifo: (name) => queue.add(name, {}, { lifo: true }),
  delay: (name, ms) => queue.add(name, {}, { delay: Number(ms) }),
  promote: () => queue.promoteJobs(),
  priority: (priority) => queue.add('nothing', {}, { priority: Number(priority) }),
  retry: () => queue.add('fail', {}, { attempts: 2, backoff: 600000 }),
  pause: () => queue.pause(),
  resume: () => queue.resume(),
  start: () => {
    worker = new Worker('mail', run, { connection, concurrency: 1 });
    return worker.waitUntilReady();
  },
  stop: () => worker.close(),
};

async function main() {
  await queue.waitUntilReady();
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, ...words] = line.split(' ');
    await commands[name](...words);
    console.log('done');
  }
  process.exit(0);
}

main();
