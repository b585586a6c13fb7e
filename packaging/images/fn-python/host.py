"""The host of Python functions: Flask is loaded at the start, one line on
standard input brings the function, file 3 takes the answers."""

import importlib.util
import json
import os
import socket
import sys
import threading
import traceback

sys.path.insert(0, "/opt/hks")

import flask  # noqa: E402
import functions_framework  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_args):
        pass


def answer(value):
    os.write(3, (json.dumps(value) + "\n").encode())


def load(fn):
    os.environ.update(fn.get("env") or {})
    os.environ.update(FUNCTION_TARGET=fn["entry"], FUNCTION_SIGNATURE_TYPE=fn["signature"], HOME="/tmp")
    os.chdir(fn["dir"])
    sys.path.insert(0, fn["dir"])
    source = os.path.join(fn["dir"], fn.get("source") or "main.py")
    spec = importlib.util.spec_from_file_location("main", source)
    module = importlib.util.module_from_spec(spec)
    sys.modules["main"] = module
    spec.loader.exec_module(module)
    target, kind = functions_framework.registered.get(fn["entry"], (getattr(module, fn["entry"], None), fn["signature"]))
    if not callable(target):
        raise LookupError(f'the source defines no function "{fn["entry"]}"')
    app = flask.Flask("main")

    def call(path=""):
        if kind == "cloudevent":
            try:
                event = functions_framework.event_of(flask.request)
            except ValueError as error:
                return str(error), 400
            target(event)
            return "OK"
        result = target(flask.request)
        return "" if result is None else result

    every = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]
    app.add_url_rule("/", "root", call, methods=every)
    app.add_url_rule("/<path:path>", "path", call, methods=every)
    return make_server("0.0.0.0", 8081, app, threaded=True, request_handler=Quiet)


def warm():
    """One call of nobody's function, while the pod waits: what is imported by
    it need not be in the first call of somebody's."""
    app = flask.Flask("warm")
    app.add_url_rule("/", "root", lambda: {"warm": flask.request.get_json()}, methods=["POST"])
    server = make_server("127.0.0.1", 0, app, request_handler=Quiet)
    serving = threading.Thread(target=server.handle_request)
    serving.start()
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as call:
        call.sendall(b"POST / HTTP/1.1\r\nHost: warm\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        while call.recv(4096):
            pass
    serving.join()
    server.server_close()


warm()
answer({"ok": True})
line = sys.stdin.readline()
try:
    server = load(json.loads(line))
except BaseException:  # what a module raises at its import, sys.exit too
    traceback.print_exc()
    answer({"ok": False, "error": traceback.format_exc()})
    sys.exit(1)
answer({"ok": True})
server.serve_forever()
