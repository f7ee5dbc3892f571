"""An S3 server on loopback that fails when told to: moto behind a layer that answers, or hangs up, in its stead."""

import itertools
import re
import socket
from dataclasses import dataclass
from threading import Lock, Thread
from urllib.parse import unquote
from urllib.request import Request, urlopen

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

ALWAYS = 1_000_000
NUMBERS = itertools.count()
ANSWERS = {
    "internal error": ("500 Internal Server Error", "InternalError", "We encountered an internal error."),
    "slow down": ("503 Slow Down", "SlowDown", "Please reduce your request rate."),
    "forbidden": ("403 Forbidden", "AccessDenied", "Access Denied"),
    "expired": ("400 Bad Request", "ExpiredToken", "The provided token has expired."),
    "unknown key": ("403 Forbidden", "InvalidAccessKeyId", "The key you provided does not exist in our records."),
    "no bucket": ("404 Not Found", "NoSuchBucket", "The specified bucket does not exist"),
    "elsewhere": ("301 Moved Permanently", "PermanentRedirect", "The bucket must be addressed by another endpoint."),
    "changed": ("412 Precondition Failed", "PreconditionFailed", "At least one of the preconditions did not hold"),
    "conflict": ("409 Conflict", "ConditionalRequestConflict", "A conflicting operation occurred."),
    "not implemented": ("501 Not Implemented", "NotImplemented", "A header implies functionality not implemented."),
}
# `drop` hangs up before the request is carried out, `lost` after it, `cut` in the middle of the answer.
HANG_UPS = ("drop", "lost", "cut")


@dataclass
class Fault:
    """What goes wrong: a key of ANSWERS or one of HANG_UPS, with which requests, and how often."""

    kind: str
    method: str = ""
    part: str = ""
    skip: int = 0
    times: int = ALWAYS

    def strikes(self, method, place):
        if self.method not in ("", method) or self.part not in place or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class QuietHandler(MotoRequestHandler):
    def log_request(self, *_):
        pass

    def log(self, *_):
        pass


class FaultyS3:
    """The server; `requests` holds what was asked of it, as `PUT /bucket/key?query`, and `keys` who signed for it."""

    def __init__(self):
        self.requests, self.faults, self.keys, self._lock = [], [], set(), Lock()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, True, request_handler=QuietHandler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.port}"

    def bucket(self, monkeypatch, attempts=3):
        """Name this server, a try count and the credentials `test` in the environment; return a fresh bucket's URL."""
        self.faults.clear()
        for name, value in {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": str(attempts),
        }.items():
            monkeypatch.setenv(name, value)
        name = f"faulty-{next(NUMBERS)}"
        urlopen(Request(f"{self.url}/{name}", method="PUT")).close()
        self.reset()
        return f"s3://{name}/root"

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self):
        self.requests.clear()
        self.faults.clear()
        self.keys.clear()

    def fail(self, kind, **which):
        assert kind in ANSWERS or kind in HANG_UPS
        self.faults.append(Fault(kind, **which))

    def _answer(self, environ, start_response):
        method, place = environ["REQUEST_METHOD"], unquote(environ["RAW_URI"])
        with self._lock:
            self.requests.append(f"{method} {place}")
            self.keys.update(re.findall(r"Credential=(\w+)/", environ.get("HTTP_AUTHORIZATION", "")))
            kind = next((fault.kind for fault in self.faults if fault.strikes(method, place)), "")
        if not kind:
            return self._moto(environ, start_response)
        if kind == "drop":
            raise hang_up(environ)
        if kind in ANSWERS:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return refusal(kind, environ, start_response)
        return self._carried_out(kind, environ, start_response)

    def _carried_out(self, kind, environ, start_response):
        head = []
        body = b"".join(self._moto(environ, lambda *given: head.append(given)))
        if kind == "lost":
            raise hang_up(environ)
        start_response(*head[0])
        yield body[: len(body) // 2]
        raise hang_up(environ)


def refusal(kind, environ, start_response):
    status, code, message = ANSWERS[kind]
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def hang_up(environ):
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return ConnectionResetError("hung up, as told")
