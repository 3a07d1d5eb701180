// An app built on npm `graphql-ws`: follows the driver's charging live until `history` shows a new session, prints both.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const { GRAPHQL_URL, GRAPHQL_WS_URL, DRIVER_TOKEN } = process.env;

async function ask(query) {
  const response = await fetch(GRAPHQL_URL, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${DRIVER_TOKEN}` },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

const history = async () =>
  (await ask(`{ userChargingHistory(input: { paging: { limit: 20, offset: 0 } }) {
    count data { id chargePointHardwareId meterStart meterStop session_start session_end
                 energyWh bill { currency total } } } }`)).userChargingHistory;

const station = process.argv[2];
const user = Number((await ask('{ me { id } }')).me.id);
const known = new Set((await history()).data.map((session) => session.id));

const client = createClient({
  url: GRAPHQL_WS_URL,
  webSocketImpl: WebSocket,
  connectionParams: { Authorization: `Bearer ${DRIVER_TOKEN}` },
});
const updates = [];
client.subscribe(
  {
    query: `subscription($input: InputFilterChargingProgressDto!) {
      chargingProgressUpdated(input: $input) { transactionId power_usage power_spend } }`,
    variables: { input: { userId: user } },
  },
  {
    next: ({ data, errors }) => {
      if (errors) throw new Error(JSON.stringify(errors));
      updates.push(data.chargingProgressUpdated);
    },
    error: (error) => { throw new Error(JSON.stringify(error)); },
    complete: () => {},
  },
);
console.error('subscribed');

const deadline = Date.now() + 30_000;
const ours = (session) =>
  !known.has(session.id) && session.chargePointHardwareId === station && session.bill;
let session;
while (!(session = (await history()).data.find(ours)) && Date.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 200));
}
await client.dispose();
console.log(JSON.stringify({ session, updates }));
process.exit(session ? 0 : 1);
