// Writes and works jobs as programs with graphile-worker or pg-boss do, as standard input says, a command a line.
//
// jobs.mjs FOLDER SYSTEM SOCKET DATABASE: the folder has `node_modules`.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [folder, system, socket, database] = process.argv.slice(2);
const load = createRequire(`${folder}/node_modules/`);
const connectionString = `postgres:///${database}?host=${socket}&user=shop`;

// A job that blocks ends when it is told to.
let release;
const released = new Promise((resolve) => (release = resolve));
async function perform({ kind }) {
  if (kind === 'block') await released;
  if (kind === 'fail') throw new Error('the job fails');
}

const systems = {
  graphile() {
    const { makeWorkerUtils, run, Logger } = load('graphile-worker');
    const logger = new Logger(() => () => {});
    let utils;
    return {
      async setup() {
        utils = await makeWorkerUtils({ connectionString, logger });
        await utils.migrate();
      },
      add: ({ kind, seconds, tries, priority }) =>
        utils.addJob('mail', { kind }, { runAt: new Date(Date.now() + seconds * 1000), maxAttempts: tries, priority }),
      work: () =>
        run({
          connectionString, logger, concurrency: 1, pollInterval: 50, noHandleSignals: true,
          taskList: { mail: perform },
        }),
    };
  },
  boss() {
    const { PgBoss } = load('pg-boss');
    const boss = new PgBoss({ connectionString, supervise: false, schedule: false });
    boss.on('error', () => {});
    return {
      async setup() {
        await boss.start();
        await boss.createQueue('mail');
      },
      add: ({ kind, seconds, tries, priority }) =>
        boss.send('mail', { kind }, {
          startAfter: new Date(Date.now() + seconds * 1000), retryLimit: tries - 1, retryDelay: 3600, priority,
        }),
      work: () => boss.work('mail', { pollingIntervalSeconds: 0.5 }, ([job]) => perform(job.data)),
    };
  },
};

const jobs = systems[system]();
for await (const line of createInterface({ input: process.stdin })) {
  const { act, ...options } = JSON.parse(line);
  if (act === 'release') release();
  else await jobs[act](options);
  console.log('done');
}
process.exit(0);
