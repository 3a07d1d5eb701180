"""Every operation of the API, one after the other, at a station that is not ours: what it is asked, how it answers and what
comes of it stands in `operations.json`, the same for every station.

`operations.py TABLE IDENTITY COMMAND...`: COMMAND TABLE IDENTITY is the station.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from datetime import datetime, timedelta, timezone
from queue import Empty, Queue

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# Long enough for a machine that builds at the same time.
SOON = 60
TYPES = {
    "at": "ID!", "connector": "ID!", "number": "Float", "identity": "String!", "plain": "ID!", "signed": "ID!",
    "terms": "OrderTerms", "steps": "OrderTerms",
}
URL = os.environ.get("GRAPHQL_URL", "")


def fits(expected, given):
    """What is expected is there; there may be more."""
    if isinstance(expected, dict):
        return isinstance(given, dict) and all(fits(part, given.get(key)) for key, part in expected.items())
    if isinstance(expected, list):
        return isinstance(given, list) and all(any(fits(part, it) for it in given) for part in expected)
    return expected == given


# --- the API


def ask(kind, field, wanted, variables, who="operator"):
    """One field, with the members that are wanted of it."""
    used = {name: value for name, value in variables.items() if f"${name}" in field}
    declared = ", ".join(f"${name}: {TYPES[name]}" for name in used)
    query = f"{kind}{f'({declared})' if used else ''} {{ it: {field} {selection(wanted)} }}"
    token = os.environ[f"{who.upper()}_TOKEN"]
    answer = requests.post(URL, json={"query": query, "variables": used}, headers={"Authorization": f"Bearer {token}"}, timeout=SOON)
    told = answer.json()
    assert "errors" not in told, f"{query}: {told['errors']}"
    return told["data"]["it"]


def selection(wanted):
    """The members that an expectation names. `result` is JSON, whatever is in it."""
    if isinstance(wanted, list):
        return selection(wanted[0])
    if not isinstance(wanted, dict):
        return ""
    return "{ " + " ".join(key if key == "result" else f"{key} {selection(part)}" for key, part in wanted.items()) + " }"


def place(identity):
    """The numbers by which the API knows a station and its connector."""
    field = f'chargePoints(filter: {{ chargePointHardwareId: {{ eq: "{identity}" }} }})'
    [found] = ask("query", field, {"id": 0, "connectors": {"id": 0}}, {})
    connector = found["connectors"][0]["id"]
    return {"identity": identity, "at": found["id"], "connector": connector, "number": float(connector)}


def firmware(version, key=None):
    """An image in the cloud, signed with a key if there is one."""
    image, more = f"FIRMWARE {version}\n".encode(), ""
    if key:
        signature = b64encode(key.sign(image, ec.ECDSA(hashes.SHA256()))).decode()
        more = f", signingCertificate: {json.dumps(certificate_of(key))}, signature: {json.dumps(signature)}"
    field = f'createFirmware(input: {{ name: "independent-{version}.bin", version: "{version}"{more} }})'
    made = ask("mutation", field, {"id": 0, "uploadPath": 0}, {})
    headers = {"Authorization": f"Bearer {os.environ['OPERATOR_TOKEN']}"}
    requests.put(URL.removesuffix("/graphql") + made["uploadPath"], data=image, headers=headers, timeout=SOON).raise_for_status()
    return made["id"]


# --- keys


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "independent")])


def certificate_of(key):
    now, maker = datetime.now(timezone.utc), name("maker.example")
    made = x509.CertificateBuilder().subject_name(maker).issuer_name(maker).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def request_of(identity):
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(name(identity)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


# --- the station


def trusted():
    """The site's authority, for whoever asks OpenSSL, `requests` or Node whom to trust."""
    pem = requests.get(os.environ["EDGE_URL"] + "/site-ca.pem", timeout=SOON)
    pem.raise_for_status()
    file = os.path.join(tempfile.mkdtemp(), "site-ca.pem")
    with open(file, "w") as out:
        out.write(pem.text)
    return dict.fromkeys(["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"], file)


class Station:
    def __init__(self, table, identity, command):
        environment = {**os.environ, "CSR": request_of(identity), **trusted()}
        self.process = subprocess.Popen([*command, table, identity], stdout=subprocess.PIPE, text=True, env=environment)
        self.told = Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.told.put(json.loads(line))

    def until(self, wanted):
        """What the station told first that is as wanted. What it told before is of no interest any more."""
        end, seen = time.monotonic() + SOON, []
        while time.monotonic() < end:
            assert self.process.poll() is None, "the station has ended"
            try:
                told = self.told.get(timeout=0.5)
            except Empty:
                continue
            if fits(wanted, told):
                return
            seen.append(told)
        raise AssertionError(f"the station did not tell {wanted}, but {seen}")


def wait_for(shown, variables):
    """Until the API shows it, in one row if it shows many."""
    (field, state), end = shown, time.monotonic() + SOON
    while not fits(state, given := ask("query", field, state, variables)) and not fits([state], given):
        assert time.monotonic() < end, f"{field} stayed {given}"
        time.sleep(0.2)


def carry_out(row, variables, station):
    if "when" in row:
        wait_for(row["when"], variables)
    action, payload = row["sent"]
    wanted = row.get("gives", {"outcome": "Accepted"})
    # For a person, when it is otherwise.
    detail = {"outcome": {"detail": 0}, "status": {"reason": 0}}.get(next(iter(wanted)), {})
    given = ask("mutation", row["do"], {**detail, **wanted}, variables, row.get("as", "operator"))
    assert fits(wanted, given), f"{row['do']}: {given}"
    station.until({"asked": action, "payload": payload})
    if "until" in row:
        wait_for(row["until"], variables)
    if any(step[0] == "reconnect" for step in row.get("then", [])):
        station.until({"ready": True})


def main(table, identity, *command):
    rows = json.load(open(table))["operations"]
    variables = {**place(identity), "terms": {"expiresIn": SOON, "waitForStation": True}, "steps": {"answerWithin": 20}}
    variables |= {"plain": firmware("2.0.0"), "signed": firmware("3.0.0", ec.generate_private_key(ec.SECP256R1()))}
    station = Station(table, identity, command)
    try:
        station.until({"ready": True})
        for row in rows:
            carry_out(row, variables, station)
    finally:
        station.process.terminate()
    operations = sorted({row["do"].partition("(")[0] for row in rows})
    print(f"{len(rows)} orders by {len(operations)} operations at {os.path.basename(command[-1])}, each with its end")


if __name__ == "__main__":
    main(*sys.argv[1:])
