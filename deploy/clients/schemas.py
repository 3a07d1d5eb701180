"""OCPP 1.6's JSON schemas, as PyPI `ocpp` ships them, held against everything that the gateway and the simulator write, and
turned around: random payloads made from the schemas must be read without a complaint, by our readers and by a live gateway.

`schemas.py SAMPLES [FRAMES]`: the program `samples`, and a file of frames that crossed a wire, if there is one.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from decimal import Decimal
from importlib.resources import files

from hypothesis import HealthCheck, Phase, given, settings, strategies
from hypothesis_jsonschema import from_schema
from jsonschema import FormatChecker
from jsonschema.validators import validator_for
from websockets.asyncio.client import connect

# Nobody writes these yet. A message that is written and stands here is a mistake, too.
GAPS = set()
# Random payloads of a message: for our readers, and over the wire.
READ, SENT = 30, 6
STATION = "CP050"


def schema(action, kind, number=float):
    name = action + ("Response" if kind == "response" else "") + ".json"
    return json.loads(files("ocpp.v16").joinpath("schemas", name).read_text("utf-8-sig"), parse_float=number)


def validator(action, kind):
    """Tenths are exact as decimals only."""
    found = schema(action, kind, Decimal)
    return validator_for(found)(found, format_checker=FormatChecker(["date-time"]))


def lines(*command, given=None):
    out = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout
    return out.strip("\n").split("\n")


# --- what we write


def written(samples, frames):
    """Validates every sample; the number of samples of each message by sender and kind."""
    counts, validators, faults = Counter(), {}, []
    for line in samples + frames:
        sample = json.loads(line, parse_float=Decimal)
        name = (sample["sender"], sample["action"], sample["kind"])
        check = validators.setdefault(name[1:], validator(*name[1:]))
        counts[name] += 1
        for fault in check.iter_errors(sample["payload"]):
            faults.append(f"{' '.join(name)}: {fault.message}: {sample['payload']}")
    for fault in faults[:20]:
        print(fault)
    assert not faults, f"{len(faults)} payloads are against the schema"
    return counts


def covered(expected, counts):
    """Every message has samples, unless it is a known gap, and a known gap has none."""
    wanted = {(message["sender"], message["action"], message["kind"]) for message in expected}
    missing = {name for name in wanted if not counts[name]}
    unknown = sorted(name for name in missing if name[1] not in GAPS)
    filled = sorted({name[1] for name in wanted - missing} & GAPS - {name[1] for name in missing})
    for sender in ("agent", "simulator"):
        for kind in ("request", "response"):
            told = [f"{a} {counts[s, a, k]}" for s, a, k in sorted(wanted) if (s, k) == (sender, kind) and counts[s, a, k]]
            print(f"valid {kind}s of the {sender}: {', '.join(told)}")
    assert not unknown, f"no samples of {unknown}"
    assert not filled, f"no gaps any more, take them off the list: {filled}"
    print(f"{sum(counts.values())} payloads of {len(wanted) - len(missing)} of {len(wanted)} messages are valid")


# --- what we read


def sensible(node, name=""):
    """The schema with what it leaves to the specification: what numbers and short texts may be."""
    if isinstance(node, list):
        return [sensible(item, name) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: sensible(value, key) for key, value in node.items() if key not in ("$id", "id", "title") or isinstance(value, dict)}
    if node.get("type") == "integer":
        node.update(minimum=1 if name == "transactionId" else 0, maximum=65535 if name in ("connectorId", "stackLevel") else 2**31 - 1)
    if node.get("type") == "number":
        node.update(type="integer", minimum=0, maximum=100_000_000)
    if node.get("type") == "string" and not {"enum", "format"} & node.keys() and node.get("maxLength", 999) <= 50:
        node["pattern"] = "^[!-~]{1,%d}$" % node["maxLength"]
    if name == "csr":
        node["minLength"] = 1
    return node


def instant(seconds, rest):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + rest


INSTANTS = strategies.builds(
    instant, strategies.integers(31_536_000, 3_786_912_000), strategies.sampled_from(["Z", ".5Z", ".123456789Z", "+00:00", "-05:30"])
)


def payloads(action, kind, count):
    """Random valid payloads, the same ones in every run."""
    made = []

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(from_schema(sensible(schema(action, kind)), custom_formats={"date-time": INSTANTS}))
    def collect(payload):
        # 5.0 is an integer to some, and what is written as one here is written without the point.
        made.append(json.loads(json.dumps(payload), parse_float=lambda text: int(float(text))))

    collect()
    check = validator(action, kind)
    assert all(check.is_valid(payload) for payload in made), f"{action} {kind}: the generator is wrong"
    return made[:count]


def read_back(program, messages):
    """Every valid payload is read without a refusal and without something missing, by whoever would get it."""
    given = []
    for message in messages:
        sender = "station" if message["sender"] == "simulator" else "gateway"
        for payload in payloads(message["action"], message["kind"], READ):
            given.append(json.dumps({**message, "sender": sender, "payload": payload}))
    *troubles, total = lines(program, "read", given="\n".join(given))
    assert not troubles, "\n".join(troubles[:20])
    assert total == f"read {len(given)}", total
    print(f"{len(given)} random payloads of {len(messages)} messages were read, none refused or found wanting")


async def sent_live(requests):
    """A live gateway answers every valid request of a station, with what the schema allows."""
    login = b64encode(f"{STATION}:{os.environ['STATION_PASSWORD']}".encode()).decode()
    count = 0
    async with connect(
        f"{os.environ['OCPP_URL']}/{STATION}", subprotocols=["ocpp1.6"], additional_headers={"Authorization": f"Basic {login}"}
    ) as socket:
        for action in requests:
            check = validator(action, "response")
            for payload in payloads(action, "request", SENT):
                count += 1
                await socket.send(json.dumps([2, f"schema-{count}", action, payload]))
                answer = await answer_to(socket, f"schema-{count}")
                assert answer[0] == 3, f"{action} {payload} was refused: {answer}"
                check.validate(answer[2])
    print(f"{count} random requests of {len(requests)} messages were answered by the gateway")


async def answer_to(socket, number):
    while True:
        frame = json.loads(await asyncio.wait_for(socket.recv(), 20))
        if frame[0] == 2:
            await socket.send(json.dumps([4, frame[1], "NotSupported", "", {}]))
        elif frame[1] == number:
            return frame


def main(program, frames=None):
    expected = [json.loads(line) for line in lines(program, "expected")]
    wire = open(frames).read().strip("\n").split("\n") if frames and os.path.exists(frames) else []
    covered(expected, written(lines(program), wire))
    known = [message for message in expected if message["action"] not in GAPS]
    read_back(program, known)
    asyncio.run(sent_live(sorted({m["action"] for m in known if (m["sender"], m["kind"]) == ("simulator", "request")})))


main(*sys.argv[1:])
