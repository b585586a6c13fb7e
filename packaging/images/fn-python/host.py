"""The host of Python functions: Flask is loaded at the start, one line on
standard input brings the function, file 3 takes the answers."""

import importlib.util
import json
import os
import sys
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
