#!/usr/bin/env python3
"""A function for the harness's own tests: it does what the path of the request says."""
import http.client, json, os, signal, sys, threading, time

api = os.environ["AWS_LAMBDA_RUNTIME_API"]
if os.environ.get("WITH_EXTENSION"):
    extension = http.client.HTTPConnection(api)
    extension.request("POST", "/2020-01-01/extension/register", "{}")
    extension.getresponse().read()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
connection = http.client.HTTPConnection(api)


def post(path, body, headers={}, chunked=False):
    connection.request("POST", path, body, headers, encode_chunked=chunked)
    connection.getresponse().read()


def answer(event):
    path = event.get("rawPath", "/schedule")
    headers = {"content-type": "text/plain", "x-body": event.get("body") or ""}
    if path == "/array":
        headers = {"x-many": ["1", "2"]}
    yield json.dumps({"statusCode": 201, "headers": headers, "cookies": ["a=1"]}).encode()
    yield bytes(8)
    if path == "/who":
        yield str(os.getpid()).encode()
    elif path == "/slow":
        time.sleep(0.5)
        yield str(os.getpid()).encode()
    elif path == "/stream":
        for _ in range(3):
            yield f"{time.time():.6f}\n".encode()
            time.sleep(0.2)
    elif path == "/die":
        yield b"half"
        time.sleep(0.1)
        os._exit(1)
    elif path == "/hang":
        time.sleep(60)
    elif path == "/leak":
        yield b"Lambda-Runtime-Function-Error-Type: x"
    elif path == "/late":
        def touch():
            time.sleep(0.2)
            open(event["rawQueryString"], "w").close()
        threading.Thread(target=touch).start()
    else:
        yield json.dumps(event).encode()


while True:
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    response = connection.getresponse()
    event, identity = json.loads(response.read()), response.headers["lambda-runtime-aws-request-id"]
    url = f"/2018-06-01/runtime/invocation/{identity}"
    if event.get("rawPath") == "/error":
        post(url + "/error", b'{"errorMessage":"no"}')
    else:
        post(url + "/response", answer(event), {"Transfer-Encoding": "chunked"}, chunked=True)
