"""A station built on PyPI `ocpp`, which checks all that it reads and writes against OCA's schemas. It answers and goes on as
`operations.json` says, and prints what it was asked.

`station.py TABLE IDENTITY`
"""

import asyncio
import json
import os
import sys
import traceback
from base64 import b64encode
from datetime import datetime, timezone

import requests
from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import after, create_route_map, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from operations import fits


def say(**what):
    print(json.dumps(what), flush=True)


class Station(ChargePoint):
    def __init__(self, identity, socket, table, password):
        self.table, self.password = table, password
        super().__init__(identity, socket, response_timeout=20)
        for action in (action.value for action in Action if hasattr(call_result, action.value)):
            self.route(action)
        self.route_map = create_route_map(self)

    def route(self, action):
        def answer(**payload):
            return getattr(call_result, action)(**camel_to_snake_case(self.row(action).get("answer") or self.usual(action)))

        def then(**payload):
            return self.go_on(self.row(action).get("then", []), self.request)

        # The library finds handlers by their names.
        for decorator, handler in [(on, answer), (after, then)]:
            handler.__name__ = f"{handler.__name__}_{action}"
            setattr(self, handler.__name__, decorator(action)(handler))

    async def route_message(self, raw):
        """The library's keys are not those of the wire, so the request is kept as it came."""
        kind, *frame = json.loads(raw)
        if kind == 2:
            self.request = frame[2]
            say(asked=frame[1], payload=frame[2])
        await super().route_message(raw)

    def row(self, action):
        rows = (row for row in self.table["operations"] if row["sent"][0] == action and fits(row["sent"][1], self.request))
        return next(rows, {})

    def usual(self, action):
        return self.table["answers"].get(action, self.table["answers"]["*"])

    async def go_on(self, steps, request=None):
        try:
            await self.take(steps, request)
        except Exception as error:
            traceback.print_exception(error)
            os._exit(1)

    async def take(self, steps, request):
        for action, payload in steps:
            payload = filled(payload, request)
            if action == "fetch":
                got = await asyncio.to_thread(requests.get, payload, timeout=20)
                say(fetched=got.text)
            elif action == "bring":
                await asyncio.to_thread(lambda: requests.put(payload, data="what it was\n", timeout=20).raise_for_status())
            elif action == "reconnect":
                self.password = payload or self.password
                await self._connection.close()
            else:
                await self.call(getattr(call, action)(**camel_to_snake_case(payload)), suppress=False)


def filled(value, request):
    """`$now`, `$csr` and `$request.…` mean something else each time."""
    if isinstance(value, dict):
        return {key: filled(part, request) for key, part in value.items()}
    if isinstance(value, list):
        return [filled(part, request) for part in value]
    if value == "$now":
        return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if value == "$csr":
        return os.environ["CSR"]
    if isinstance(value, str) and value.startswith("$request."):
        for key in value.removeprefix("$request.").split("."):
            request = request[key]
        return request
    return value


async def once(identity, table, password):
    """As long as a connection holds; the password with which it shall come again."""
    headers = {"Authorization": "Basic " + b64encode(f"{identity}:{password}".encode()).decode()}
    async with connect(f"{os.environ['OCPP_TLS_URL']}/{identity}", subprotocols=["ocpp1.6"], additional_headers=headers) as socket:
        station = Station(identity, socket, table, password)
        listening = asyncio.create_task(station.start())
        available = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        await station.go_on([["BootNotification", table["boot"]], ["StatusNotification", available]])
        say(ready=True)
        try:
            await listening
        except ConnectionClosed:
            return station.password


async def main(table, identity):
    password = os.environ["STATION_PASSWORD"]
    while True:
        password = await once(identity, json.load(open(table)), password)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
