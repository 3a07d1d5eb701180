// The GraphQL-over-HTTP specification's own audits, npm `graphql-http`: every MUST holds; what else does not is listed.
import { serverAudits } from 'graphql-http';

// Requests that a browser could send unasked need a header that it cannot: the audits' GET requests are such.
const fetchFn = (url, { headers, ...init } = {}) => fetch(url, { ...init, headers: { 'apollo-require-preflight': '1', ...headers } });

const results = await Promise.all(serverAudits({ url: process.env.GRAPHQL_URL, fetchFn }).map((audit) => audit.fn()));
const level = ({ name }) => name.split(' ')[0];
const unmet = results.filter(({ status }) => status !== 'ok');
for (const { id, name, status, reason } of unmet) console.log(`${status}: ${id} ${name}: ${reason}`);
const tally = (name) => {
  const all = results.filter((result) => level(result) === name);
  return `${all.filter(({ status }) => status === 'ok').length} of ${all.length} ${name}`;
};
console.log(`audits passed: ${['MUST', 'SHOULD', 'MAY'].map(tally).join(', ')}`);
process.exit(unmet.some((result) => level(result) === 'MUST') ? 1 : 0);
