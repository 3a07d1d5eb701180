"""The gateway's page in Debian's Chromium: what stations say of themselves is shown, and nothing of it is ever run.

`page.py IDENTITY`
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from base64 import b64encode

from ocpp.v16 import ChargePoint, call
from websockets.asyncio.client import connect

# None longer than OCPP lets it be.
VENDOR, MODEL, TAG = "<img src onerror=x()", "<img src onerror=y>", "<img src onerror=z>"
ERROR = "<img src onerror=alert(1)><script>x()</script>"
CLOCK_MS = 5_000


def page(url):
    """What the page has become after some seconds of its own clock, as HTML."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        command += [f"--virtual-time-budget={CLOCK_MS}", "--dump-dom", url]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120, check=True).stdout


async def told(identity):
    """What the page shows while a station is there that means no good."""
    credentials = f"{identity}:{os.environ['STATION_PASSWORD']}".encode()
    headers = {"Authorization": "Basic " + b64encode(credentials).decode()}
    async with connect(f"{os.environ['OCPP_URL']}/{identity}", subprotocols=["ocpp1.6"], additional_headers=headers) as socket:
        station = ChargePoint(identity, socket)
        listening = asyncio.create_task(station.start())
        await station.call(call.BootNotification(charge_point_vendor=VENDOR, charge_point_model=MODEL))
        await station.call(call.StatusNotification(1, "OtherError", "Faulted", info=ERROR, vendor_error_code=ERROR))
        await station.call(call.StartTransaction(1, TAG, 0, "2026-01-01T00:00:00Z"))
        shown = await asyncio.to_thread(page, os.environ["EDGE_URL"] + "/")
        listening.cancel()
        return shown


def main(identity):
    shown = asyncio.run(told(identity))
    section = shown.partition(f"<h2>{identity}</h2>")[2].partition("</section>")[0]
    for text in (VENDOR, MODEL):
        assert text.replace("<", "&lt;").replace(">", "&gt;") in section, f"{text} is not shown: {section or shown}"
    assert "connector 1: Faulted" in section and "charging at 1" in section, section
    assert "<img" not in shown and shown.count("<script") == 1, shown
    print(f"the gateway's page shows {identity} and runs nothing of what it says")


main(*sys.argv[1:])
