"""One-time codes through a mail server and a web server that are not ours.

Starts PyPI `aiosmtpd`, which insists on STARTTLS and a password, and the standard library's web server as a provider of text
messages; starts a replica of the cloud on the demo's database that sends through both; signs in with what arrives.
"""

import json
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

CLOUD, DATABASE_URL = sys.argv[1], os.environ["DATABASE_URL"]
SEND = "mutation($input: SendCodeLoginInputDTO!) { sendCodeLogin(input: $input) { status } }"
LOGIN = "mutation($input: LoginInputDTO!) { login(input: $input) { accessToken } }"


class Letters(list):
    async def handle_DATA(self, server, session, envelope):
        assert session.ssl and session.authenticated, "a code came in the clear or from a stranger"
        self.append((envelope.rcpt_tos[0], envelope.content.decode()))
        return "250 OK"


class Provider(BaseHTTPRequestHandler):
    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.headers["authorization"], json.loads(body)))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_):
        pass


def mail_server(authority, letters, port=0):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    right = lambda server, session, envelope, mechanism, data: AuthResult(success=data.password == b"mail secret")
    options = dict(tls_context=tls, require_starttls=True, auth_required=True, authenticator=right)
    controller = Controller(letters, hostname="127.0.0.1", port=port or free_port(), **options)
    controller.start()
    return controller


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def start_replica(directory, smtp_port, sms_url, password):
    settings = {
        "DATABASE_URL": DATABASE_URL,
        "RUST_LOG": "trace",
        "CLOUD_ROLES": "api",
        "CLOUD_DATA_DIR": directory,
        "CLOUD_HTTP__LISTEN": "127.0.0.1:0",
        "CLOUD_MAIL__SERVER": "localhost",
        "CLOUD_MAIL__PORT": str(smtp_port),
        "CLOUD_MAIL__CA_FILE": f"{directory}/ca.pem",
        "CLOUD_MAIL__USERNAME": "evb",
        "CLOUD_MAIL__PASSWORD": password,
        "CLOUD_SMS__URL": sms_url,
        "CLOUD_SMS__HEADERS": '{ Authorization = "AccessKey sms secret" }',
        "CLOUD_SMS__BODY": '{ recipients = ["{to}"], body = "{text}" }',
    }
    log = open(f"{directory}/log", "a")
    listening = Path(directory, "listening.json")
    listening.unlink(missing_ok=True)
    replica = subprocess.Popen([CLOUD], env={**os.environ, **settings}, stderr=log, stdout=log)
    for _ in range(300):
        if listening.exists():
            return replica, f"http://{json.loads(listening.read_text())['http']}/graphql"
        assert replica.poll() is None, Path(directory, "log").read_text()
        time.sleep(0.1)
    raise AssertionError("the replica does not listen")


def ask(url, query, **input):
    body = json.dumps({"query": query, "variables": {"input": input}}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def problem(answer):
    return answer["errors"][0]["extensions"]["code"]


def code_in(text):
    return re.search(r"\b\d{6}\b", text).group()


def stop(replica):
    replica.send_signal(signal.SIGTERM)
    assert replica.wait(20) == 0, "the replica did not end cleanly"


def main(directory):
    authority, letters = trustme.CA(), Letters()
    authority.cert_pem.write_to_path(f"{directory}/ca.pem")
    smtp = mail_server(authority, letters)
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    Thread(target=provider.serve_forever, daemon=True).start()
    sms_url = f"http://127.0.0.1:{provider.server_port}/messages"

    replica, url = start_replica(directory, smtp.port, sms_url, "mail secret")
    assert ask(url, SEND, email="Somebody@Example.com")["data"]["sendCodeLogin"]["status"] == "Accepted"
    to, letter = letters.pop()
    assert to == "somebody@example.com", to
    body = letter.split("\r\n\r\n", 1)[1]
    assert ask(url, LOGIN, email=to, code=code_in(body))["data"]["login"]["accessToken"]
    assert problem(ask(url, LOGIN, email=to, code=code_in(body))) == "UNAUTHENTICATED", "a code works once"

    assert ask(url, SEND, phone="+1 (415) 555-2671")["data"]["sendCodeLogin"]["status"] == "Accepted"
    key, message = Provider.received.pop()
    assert key == "AccessKey sms secret" and message["recipients"] == ["+14155552671"], message
    assert ask(url, LOGIN, phone="+14155552671", code=code_in(message["body"]))["data"]["login"]["accessToken"]

    smtp.stop()
    assert problem(ask(url, SEND, email="somebody@example.com")) == "SERVICE_UNAVAILABLE"
    smtp = mail_server(authority, letters, smtp.port)
    assert ask(url, SEND, email="somebody@example.com")["data"]["sendCodeLogin"]["status"] == "Accepted"
    code = code_in(letters.pop()[1].split("\r\n\r\n", 1)[1])
    stop(replica)

    for wrong in ({"password": "wrong"}, {"authority": trustme.CA()}):
        if "authority" in wrong:
            wrong["authority"].cert_pem.write_to_path(f"{directory}/ca.pem")
        replica, url = start_replica(directory, smtp.port, sms_url, wrong.get("password", "mail secret"))
        assert problem(ask(url, SEND, email="other@example.com")) == "SERVICE_UNAVAILABLE", wrong
        assert not letters, "nothing is said to a mail server that is not the right one"
        stop(replica)
    smtp.stop()
    log = Path(directory, "log").read_text()
    assert not [it for it in (code, "mail secret", "sms secret") if it in log], "a secret is in the log"
    print("aiosmtpd got the codes over STARTTLS with a password, a web server the text messages; an outage was told and over")


# A handshake that fails is one of the cases, not a trouble of the server's.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
with tempfile.TemporaryDirectory() as directory:
    main(directory)
