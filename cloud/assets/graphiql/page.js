// Puts GraphiQL on the page. What is in the headers editor goes with queries and, as connection_init, with subscriptions.
// What is typed holds tokens and passwords: it is forgotten when the tab closes.
"use strict";

const firstQuery = `# Every site with such a connector; nobody has to sign in for it. Ctrl-Enter runs what the cursor is in.
query Map {
  getFilteredMarkers(input: { connectorTypesSelected: ["Type 2", "CCS2"] }) {
    siteid
    location
    available
    total
  }
}

# The same, again after each change.
subscription LiveMap {
  markerUpdated(input: { connectorTypesSelected: ["Type 2", "CCS2"] }) {
    siteid
    available
    total
  }
}

# Put the token into the headers below.
mutation SignIn {
  login(input: { email: "operator@example.com", password: "" }) {
    accessToken
  }
}

query Me {
  me {
    id
    name
    email
  }
}
`;

const endpoint = new URL("/graphql", location.href);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";

const page = React.createElement(GraphiQL, {
  fetcher: GraphiQL.createFetcher({ url: endpoint.href, subscriptionUrl: socket.href }),
  defaultQuery: firstQuery,
  defaultHeaders: '{\n  "Authorization": "Bearer "\n}',
  defaultEditorToolsVisibility: "headers",
  isHeadersEditorEnabled: true,
  shouldPersistHeaders: false,
  storage: sessionStorage,
});
ReactDOM.createRoot(document.getElementById("graphiql")).render(page);
