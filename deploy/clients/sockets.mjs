// Two client libraries, two subprotocols: npm `graphql-ws` (graphql-transport-ws) and npm `subscriptions-transport-ws`, with
// which the first apps were written (graphql-ws). Both ask, watch, are refused, and come back on the same connection.
import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import legacy from 'subscriptions-transport-ws';
import WebSocket from 'ws';

const { GRAPHQL_WS_URL, DRIVER_TOKEN } = process.env;
const MARKERS = `subscription($input: InputFilterMarkersDto!) { markerUpdated(input: $input) { siteid available total } }`;
const variables = { input: { connectorTypesSelected: ['Type 1', 'Type 2', 'Tesla', 'CCS1', 'CCS2', 'CHAdeMO'] } };

// Both libraries as one: `first(operation)` is the first answer or throws the refusal.
function modern(connectionParams) {
  const client = createClient({ url: GRAPHQL_WS_URL, webSocketImpl: WebSocket, connectionParams, retryAttempts: 0 });
  const first = (operation) => new Promise((resolve, reject) => {
    const end = client.subscribe(operation, { next: (answer) => (resolve(answer), end()), error: reject, complete: () => {} });
  });
  return { first, close: () => client.dispose() };
}

function former(connectionParams) {
  const client = new legacy.SubscriptionClient(GRAPHQL_WS_URL, { connectionParams, reconnect: false }, WebSocket);
  const first = (operation) => new Promise((resolve, reject) => {
    const running = client.request(operation).subscribe({
      next: (answer) => (resolve(answer), setImmediate(() => running.unsubscribe())),
      error: reject,
    });
  });
  return { first, close: () => client.close() };
}

const soon = (promise, what) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`${what}: no answer`)), 10_000).unref())]);

let passed = 0;
for (const [name, open] of [['graphql-transport-ws', modern], ['graphql-ws', former]]) {
  const check = async (what, act) => {
    await soon(act(), `${name}: ${what}`);
    passed += 1;
    console.log(`ok ${name}: ${what}`);
  };
  const driver = open({ Authorization: `Bearer ${DRIVER_TOKEN}` });
  const nobody = open({});
  await check('a query is answered', async () =>
    assert.deepEqual((await driver.first({ query: '{ __typename }' })).data, { __typename: 'Query' }));
  await check('a subscription begins with a snapshot', async () => {
    const { data } = await nobody.first({ query: MARKERS, variables });
    assert.ok(data.markerUpdated.length >= 1 && data.markerUpdated[0].total >= 1, JSON.stringify(data));
  });
  await check('the token of connection_init counts', async () =>
    assert.match((await driver.first({ query: '{ me { id } }' })).data.me.id, /^\d+$/));
  await check('without a token one is nobody', async () =>
    assert.equal((await nobody.first({ query: '{ me { id } }' })).errors[0].extensions.code, 'UNAUTHENTICATED'));
  await check('an unknown field is refused, and the connection lives on', async () => {
    await assert.rejects(nobody.first({ query: 'subscription { nope }' }));
    assert.ok((await nobody.first({ query: '{ __typename }' })).data);
  });
  driver.close();
  nobody.close();
}
console.log(`${passed} checks over both subprotocols`);
process.exit(0);
