"""A charger built on PyPI `ocpp`: joins through the demo's env file, completes one session, prints what it metered.

It is independent of our simulator, and the library checks every one of our answers against OCA's schemas.
"""

import asyncio
import json
import os
import sys
from base64 import b64encode
from datetime import datetime, timezone

from ocpp.v16 import ChargePoint, call
from ocpp.v16.enums import RegistrationStatus
from websockets.asyncio.client import connect

METER_START = 1_000_000
STEPS = 4
WH_PER_STEP = 2_500


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def session(station, id_tag):
    boot = await station.call(call.BootNotification("independent", "PyPI ocpp"))
    assert boot.status == RegistrationStatus.accepted, boot
    await station.call(call.StatusNotification(1, "NoError", "Preparing", timestamp=now()))
    authorised = await station.call(call.Authorize(id_tag))
    assert authorised.id_tag_info["status"] == "Accepted", authorised
    started = await station.call(call.StartTransaction(1, id_tag, METER_START, now()))
    assert started.id_tag_info["status"] == "Accepted", started
    await station.call(call.StatusNotification(1, "NoError", "Charging", timestamp=now()))
    for step in range(1, STEPS + 1):
        await station.call(call.MeterValues(1, [sample(step)], transaction_id=started.transaction_id))
        await asyncio.sleep(0.5)
    meter_stop = METER_START + STEPS * WH_PER_STEP
    await station.call(call.StopTransaction(meter_stop, now(), started.transaction_id, reason="Local"))
    await station.call(call.StatusNotification(1, "NoError", "Available", timestamp=now()))
    return {"energyWh": meter_stop - METER_START, "transactionId": started.transaction_id}


def sample(step):
    register = METER_START + step * WH_PER_STEP
    values = [
        {"value": str(register), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {"value": "11000", "measurand": "Power.Active.Import", "unit": "W"},
    ]
    return {"timestamp": now(), "sampled_value": values}


async def main(identity):
    credentials = f"{identity}:{os.environ['STATION_PASSWORD']}".encode()
    headers = {"Authorization": "Basic " + b64encode(credentials).decode()}
    url = f"{os.environ['OCPP_URL']}/{identity}"
    async with connect(url, subprotocols=["ocpp1.6"], additional_headers=headers) as socket:
        assert socket.subprotocol == "ocpp1.6", socket.subprotocol
        station = ChargePoint(identity, socket)
        listening = asyncio.create_task(station.start())
        print(json.dumps(await session(station, os.environ["ID_TAG"])))
        listening.cancel()


asyncio.run(main(sys.argv[1]))
