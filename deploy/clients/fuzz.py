"""Queries and mutations that nobody would write, made from the schema by PyPI `hypothesis-graphql`, against a running demo.

Whatever is asked, signed in or not, the answer is an answer: no status 5xx, no words of a database or of a panic, no
"Internal server error", and the process lives. A failure prints the request and how to send it again. More examples:

    python fuzz.py SCHEMA SECONDS [SEED]
"""

import os
import random
import re
import sys
import time
from collections import Counter

import graphql
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, strategies

URL = os.environ["GRAPHQL_URL"]
# Words that only the inside of the server uses.
INSIDE = re.compile(
    r"internal server error|syntax error at|relation \"|column \"|violates |invalid input syntax|duplicate key|\bselect .+ from\b"
    r"|sqlx|pgdatabase|panicked|rust_backtrace|stack ?trace",
    re.IGNORECASE,
)
SCALARS = {
    "DateTime": st.sampled_from(["2026-11-22T17:28:19.174Z", "0001-01-01T00:00:00Z", "yesterday", ""]).map(nodes.String),
    "JSON": st.one_of(
        st.text(max_size=5).map(nodes.String),
        st.integers(-(2**31), 2**31 - 1).map(nodes.Int),
        st.lists(st.sampled_from(["CCS2", "Type 2", "'", "\\", "%"]), max_size=3).map(
            lambda items: nodes.List([nodes.String(item) for item in items])
        ),
    ),
}
# Ids that exist are worth more than ids that do not.
SCALARS["ID"] = st.one_of(st.integers(1, 60).map(nodes.Int), st.sampled_from(["", "1'", "9" * 30, "-1"]).map(nodes.String))
# They wait for a station's answer, which says nothing here, or end what the asker is signed in with.
SKIPPED = {
    "startTransactionByUser", "stopTransactionByUser", "bookConnector", "softBookConnector", "cancelBookConnector", "learnCard",
    "signOutEverywhere", "deleteOneUser", "deleteManyUsers",
}


def askers():
    """An owner and a driver of our own, so that nothing of the demo's is touched; the operator only reads."""
    session, tokens = requests.Session(), {"operator": os.environ["OPERATOR_TOKEN"], "nobody": None}
    create = "mutation($input: CreateUserInput!) { createUser(input: $input) { id } }"
    login = "mutation($input: LoginInputDTO!) { login(input: $input) { accessToken } }"
    for role in ("business-owner", "driver"):
        name, password = f"fuzz-{role}-{random.randrange(2**32)}", "correct horse battery"
        person = {"username": name, "password": password, "role": role}
        ask(session, create, tokens["operator"], {"input": person}).raise_for_status()
        answer = ask(session, login, None, {"input": {"username": name, "password": password}}).json()
        tokens[role] = answer["data"]["login"]["accessToken"]
    return tokens


def ask(session, query, token, variables=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return session.post(URL, json={"query": query, "variables": variables}, headers=headers, timeout=60)


def problem(response):
    if response.status_code >= 500:
        return f"status {response.status_code}"
    found = INSIDE.search(response.text)
    return f"it says {found.group()!r}" if found else None


def fuzz(schema, seconds, chosen):
    session, tokens, told, deadline = requests.Session(), askers(), Counter(), time.monotonic() + seconds
    writers = sorted(name for name in tokens if name != "operator")
    roots = [(strategies.queries, name) for name in schema.query_type.fields]
    roots += [(strategies.mutations, name) for name in schema.mutation_type.fields if not is_left_out(schema, name)]
    random.Random(chosen).shuffle(roots)
    while time.monotonic() < deadline:
        make, name = roots[told["rounds"] % len(roots)]
        told["rounds"] += 1
        who = sorted(tokens) if make is strategies.queries else writers

        @seed(chosen + told["rounds"])
        @settings(max_examples=4, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(make(schema, fields=[name], custom_scalars=SCALARS), st.sampled_from(who))
        def one_field(query, asker):
            if time.monotonic() > deadline:
                return
            response = ask(session, query, tokens[asker])
            told[f"status {response.status_code}"] += 1
            told["answered"] += '"data":{' in response.text
            wrong = problem(response)
            assert wrong is None, f"{wrong}, asked by {asker} (seed {chosen}):\n{query}\n{response.text[:2000]}"

        one_field()
    return told, len(roots)


def is_left_out(schema, name):
    of = schema.mutation_type.fields[name].type
    return name in SKIPPED or graphql.get_named_type(of).name == "CommandView"


def main(file, seconds, chosen):
    told, roots = fuzz(graphql.build_schema(open(file).read()), seconds, chosen)
    requests.get(URL.replace("/graphql", "/healthz"), timeout=5).raise_for_status()
    statuses = {key: count for key, count in sorted(told.items()) if key.startswith("status")}
    asked = sum(statuses.values())
    visited = min(told["rounds"], roots)
    print(f"{asked} requests to {visited} of {roots} fields, seed {chosen}: {statuses}, {told['answered']} with data, nothing wrong")


main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(2**32))
