// The map's two queries on npm `postgraphile`, over the functions of map.sql; one process, as ours is.
const { createServer } = require('node:http');
const { postgraphile } = require('postgraphile');

const [port, database] = process.argv.slice(2);
const handler = postgraphile({ connectionString: database, max: 24 }, 'peer', {
  simpleCollections: 'only',
  dynamicJson: true,
  disableQueryLog: true,
  graphiql: false,
  legacyRelations: 'omit',
});
createServer(handler).listen(Number(port), '127.0.0.1', () => console.log('ready'));
