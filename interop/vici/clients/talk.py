"""Makes the calls that come as lines of JSON with strongSwan's Python library, and says as lines of JSON what it gives.

Arguments: the folder with the package vici, the path of the socket.
"""
import json
import socket
import sys

sys.path.insert(0, sys.argv[1])
import vici  # noqa: E402


def connect():
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[2])
    return vici.Session(sock)


def plain(value):
    if isinstance(value, dict):
        return [[key, plain(item)] for key, item in value.items()]
    if isinstance(value, list):
        return {"list": [item.decode("latin1") for item in value]}
    return value.decode("latin1") if isinstance(value, bytes) else value


def perform(session, step):
    call, message = step["call"], step.get("message")
    arguments = [] if message is None else [message]
    if call == "listen":
        for name, event in session.listen(step["events"], timeout=0.3):
            return [] if name is None else [name.decode(), plain(event)]
    method = getattr(session, call.replace("-", "_"), None)
    result = method(*arguments) if method else session.request(call, *arguments)
    if result is None or isinstance(result, dict):
        return plain(result)
    return [plain(one) for one in result]


session = connect()
for line in sys.stdin:
    step = json.loads(line)
    try:
        said = {"result": perform(session, step)}
    except Exception as error:  # what the library raises is what is compared
        said = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(said), flush=True)
