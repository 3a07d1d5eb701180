"""An OCPP 1.6 server on PyPI `ocpp`, as small as it can honestly be: every station is accepted, sessions are in memory."""

import asyncio
import sys
from datetime import datetime, timezone
from itertools import count

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

ACCEPTED = {"status": "Accepted"}
transactions = count(1)
sessions = {}


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Station(ChargePoint):
    @on("BootNotification")
    def boot(self, **_):
        return call_result.BootNotification(now(), 300, "Accepted")

    @on("Heartbeat")
    def heartbeat(self):
        return call_result.Heartbeat(now())

    @on("StatusNotification")
    def status(self, **_):
        return call_result.StatusNotification()

    @on("Authorize")
    def authorize(self, **_):
        return call_result.Authorize(ACCEPTED)

    @on("StartTransaction")
    def start_transaction(self, **session):
        transaction = next(transactions)
        sessions[transaction] = session
        return call_result.StartTransaction(transaction, ACCEPTED)

    @on("MeterValues")
    def meter_values(self, meter_value, transaction_id=None, **_):
        if transaction_id in sessions:
            sessions[transaction_id]["last"] = meter_value
        return call_result.MeterValues()

    @on("StopTransaction")
    def stop_transaction(self, transaction_id, **_):
        sessions.pop(transaction_id, None)
        return call_result.StopTransaction(ACCEPTED)


async def connected(socket):
    identity = socket.request.path.rsplit("/", 1)[-1]
    try:
        await Station(identity, socket).start()
    except ConnectionClosed:
        pass


async def main(port):
    async with serve(connected, "127.0.0.1", port, subprotocols=["ocpp1.6"]):
        print("listening", flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main(int(sys.argv[1])))
