// A station built on npm `ocpp-rpc` in its strict mode, which checks all that it reads and writes against OCA's schemas. It
// answers and goes on as `operations.json` says, and prints what it was asked.
//
// `station.mjs TABLE IDENTITY`
import { readFileSync } from 'node:fs';
import { RPCClient } from 'ocpp-rpc';

const [file, identity] = process.argv.slice(2);
const table = JSON.parse(readFileSync(file, 'utf8'));
const { OCPP_TLS_URL, STATION_PASSWORD, CSR } = process.env;
const say = (what) => console.log(JSON.stringify(what));
const isObject = (value) => typeof value === 'object' && value !== null;

/** What is expected is there; there may be more. */
function fits(expected, given) {
  if (Array.isArray(expected)) return Array.isArray(given) && expected.every((part) => given.some((it) => fits(part, it)));
  if (!isObject(expected)) return expected === given;
  return isObject(given) && Object.entries(expected).every(([key, part]) => fits(part, given[key] ?? null));
}

/** `$now`, `$csr` and `$request.…` mean something else each time. */
function filled(value, request) {
  if (Array.isArray(value)) return value.map((part) => filled(part, request));
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, filled(part, request)]));
  if (value === '$now') return new Date().toISOString();
  if (value === '$csr') return CSR;
  if (typeof value !== 'string' || !value.startsWith('$request.')) return value;
  return value.slice('$request.'.length).split('.').reduce((it, key) => it[key], request);
}

async function goOn(client, steps, request) {
  for (const [action, template] of steps) {
    const payload = filled(template, request);
    if (action === 'fetch') {
      say({ fetched: await (await fetch(payload)).text() });
    } else if (action === 'bring') {
      const brought = await fetch(payload, { method: 'PUT', body: 'what it was\n' });
      if (!brought.ok) throw new Error(`the log was not taken: ${brought.status}`);
    } else if (action === 'reconnect') {
      await client.close();
      await join(payload || client.password);
    } else {
      await client.call(action, payload);
    }
  }
}

async function join(password) {
  const client = new RPCClient({ endpoint: OCPP_TLS_URL, identity, password, protocols: ['ocpp1.6'], strictMode: true });
  client.password = password;
  client.on('strictValidationFailure', ({ method, params, error }) => fail(`${method} ${JSON.stringify(params)}: ${error}`));
  client.handle(({ method, params }) => {
    say({ asked: method, payload: params });
    const row = table.operations.find(({ sent: [action, payload] }) => action === method && fits(payload, params));
    // After the answer.
    setTimeout(() => goOn(client, row?.then ?? [], params).catch(fail), 50);
    return row?.answer ?? table.answers[method] ?? table.answers['*'];
  });
  await client.connect();
  const available = { connectorId: 1, errorCode: 'NoError', status: 'Available' };
  await goOn(client, [['BootNotification', table.boot], ['StatusNotification', available]]);
  say({ ready: true });
}

function fail(error) {
  console.error(`the station cannot go on: ${error}`);
  process.exit(1);
}

await join(STATION_PASSWORD).catch(fail);
