// An OCPP 1.6 server on npm `ocpp-rpc`, as small as it can honestly be: every station is accepted, sessions live in
// maps. With a file name as second argument every Start, Stop and MeterValues is appended there and synced before its
// answer, many waiting calls sharing one sync (the cheapest durable way there is).
const fs = require('node:fs');
const { RPCServer } = require('ocpp-rpc');

const [port, journal] = process.argv.slice(2);
const sessions = new Map();
let lastTransaction = 0;

const file = journal && fs.openSync(journal, 'a');
let waiting = [];
let syncing = false;

function commit(record) {
  if (!file) return undefined;
  return new Promise((resolve) => {
    waiting.push({ line: JSON.stringify(record) + '\n', resolve });
    if (!syncing) sync();
  });
}

function sync() {
  const batch = waiting;
  waiting = [];
  syncing = batch.length > 0;
  if (!syncing) return;
  fs.write(file, batch.map(({ line }) => line).join(''), () =>
    fs.fdatasync(file, () => {
      batch.forEach(({ resolve }) => resolve());
      sync();
    }));
}

const server = new RPCServer({ protocols: ['ocpp1.6'], strictMode: false });
server.auth((accept) => accept());
server.on('client', (client) => {
  const accepted = { idTagInfo: { status: 'Accepted' } };
  client.handle('BootNotification', () =>
    ({ status: 'Accepted', interval: 300, currentTime: new Date().toISOString() }));
  client.handle('Heartbeat', () => ({ currentTime: new Date().toISOString() }));
  client.handle('StatusNotification', () => ({}));
  client.handle('Authorize', () => accepted);
  client.handle('DataTransfer', () => ({ status: 'Accepted' }));
  client.handle('StartTransaction', async ({ params }) => {
    const transactionId = ++lastTransaction;
    sessions.set(transactionId, { ...params, station: client.identity });
    await commit({ start: transactionId, ...params });
    return { transactionId, ...accepted };
  });
  client.handle('MeterValues', async ({ params }) => {
    const session = sessions.get(params.transactionId);
    if (session) session.last = params.meterValue;
    await commit(params);
    return {};
  });
  client.handle('StopTransaction', async ({ params }) => {
    sessions.delete(params.transactionId);
    await commit(params);
    return accepted;
  });
});
server.listen(Number(port), '127.0.0.1').then(() => console.log('listening'));
