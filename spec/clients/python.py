"""python.py - what programs in Python do with http.client and urllib, against BOARD_URL.

Every check compares bytes. Prints a line for each and ends with `N passed, N failed`. Only the
standard library is used. Started by spec/clients/run.
"""

import gzip
import http.client
import http.cookiejar
import json
import os
import socket
import sys
import traceback
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

BOARD = os.environ["BOARD_URL"]
HOST = urllib.parse.urlsplit(BOARD).netloc
MESSAGES, KEPT = 20000, 10000
LIMIT_S = 30

counts = {True: 0, False: 0}
jar = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))


def check(function):
    """Runs a check at once; its docstring is its name."""
    try:
        function()
        counts[True] += 1
        print(f"ok   python: {function.__doc__}")
    except Exception:
        counts[False] += 1
        print(f"FAIL python: {function.__doc__}\n{traceback.format_exc()}")


def equal(actual, expected):
    assert actual == expected, f"got {actual!r:.200}, not {expected!r:.200}"


def connect():
    return http.client.HTTPConnection(HOST, timeout=LIMIT_S)


def ask(connection, method, path, body=None, headers=None, **options):
    cookie = "; ".join(f"{each.name}={each.value}" for each in jar)
    connection.request(method, path, body, {"Cookie": cookie, **(headers or {})}, **options)
    response = connection.getresponse()
    return response, response.read()


def public(name):
    with open(f"apps/board/public/{name}", "rb") as file:
        return file.read()


def open_url(path, data=None, **headers):
    request = urllib.request.Request(BOARD + path, data, headers)
    return opener.open(request, timeout=LIMIT_S)


def line(number):
    return json.dumps({"author": "python", "text": f"line {number}"}).encode() + b"\n"


def check_import(connection):
    _, csv = ask(connection, "GET", "/messages.csv")
    rows = csv.decode().split("\r\n")[-KEPT - 1:-1]
    kept = range(MESSAGES - KEPT, MESSAGES)
    equal([row.split(",", 1)[1] for row in rows], [f'"python","line {i}"' for i in kept])


def form(fields, name, filename, content):
    """A multipart body as email.mime would not make it: by hand, with bytes as they are."""
    boundary = "----python" + "x" * 40
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
             for key, value in fields.items()]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
                 f'filename="{filename}"\r\nContent-Type: image/png\r\n\r\n')
    body = "".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


@check
def log_in():
    """a login's cookie"""
    with open_url("/login", b"name=python") as response:
        equal(json.load(response), {"name": "python"})
    equal([cookie.name for cookie in jar], ["board_user"])


@check
def pages():
    """pages of public/"""
    for path, name in ("/", "index.html"), ("/app.js", "app.js"):
        with open_url(path) as response:
            equal(response.read(), public(name))


@check
def keep_alive():
    """http.client: one connection for many requests"""
    connection = connect()
    connection.connect()
    port = connection.sock.getsockname()[1]
    for path, status in [("/messages", 200), ("/missing", 404), ("/app.js", 200)] * 10:
        response, body = ask(connection, "GET", path)
        equal(response.status, status)
        assert body
        equal(connection.sock.getsockname()[1], port)
    response, body = ask(connection, "HEAD", "/app.js")
    equal((response.length, body), (0, b""))
    equal(response.headers["Content-Length"], str(len(public("app.js"))))
    equal(connection.sock.getsockname()[1], port)
    connection.close()


@check
def messages():
    """a message: posted, read, redirected to, deleted"""
    connection = connect()
    text = "Grüße aus Python"
    response, body = ask(connection, "POST", "/messages", json.dumps({"text": text}))
    equal(response.status, 201)
    path = response.headers["Location"]
    equal(json.loads(body)["text"], text)
    with open_url("/messages/latest") as latest:
        equal(latest.url, BOARD + path)
        equal(json.load(latest)["text"], text)
    response, body = ask(connection, "DELETE", path)
    equal((response.status, body), (204, b""))
    try:
        open_url(path)
        raise AssertionError("a deleted message is still there")
    except urllib.error.HTTPError as error:
        equal(error.code, 404)
        equal(json.load(error), {"detail": "no such message"})
    connection.close()


@check
def chunked():
    """http.client: a chunked upload from an iterator"""
    connection = connect()
    pieces = (b"".join(line(i) for i in range(at, min(at + 333, MESSAGES)))
              for at in range(0, MESSAGES, 333))
    _, body = ask(connection, "POST", "/import", pieces, encode_chunked=True)
    equal(json.loads(body), {"imported": MESSAGES})
    check_import(connection)
    connection.close()


@check
def file_upload():
    """urllib: an upload with a length, from a file object"""
    path = os.path.join(os.environ["SCRATCH"], "lines")
    with open(path, "wb") as file:
        file.writelines(line(i) for i in range(MESSAGES))
    with open(path, "rb") as file:
        with open_url("/import", file, **{"Content-Length": os.path.getsize(path)}) as response:
            equal(json.load(response), {"imported": MESSAGES})
    connection = connect()
    check_import(connection)
    connection.close()


@check
def expect_continue():
    """http.client: Expect: 100-continue, by hand"""
    connection = connect()
    lines = line(0) * 1000
    connection.putrequest("POST", "/import")
    connection.putheader("Cookie", "; ".join(f"{each.name}={each.value}" for each in jar))
    connection.putheader("Content-Length", str(len(lines)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    connection.sock.settimeout(LIMIT_S)
    equal(connection.sock.recv(len(b"HTTP/1.1 100 Continue\r\n\r\n"), socket.MSG_WAITALL),
          b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.send(lines)
    equal(json.loads(connection.getresponse().read()), {"imported": 1000})
    connection.close()


@check
def http_1_0():
    """http.client in HTTP/1.0: the connection's end is the body's"""
    connection = connect()
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"
    response, body = ask(connection, "GET", "/messages.csv")
    equal(response.headers["Transfer-Encoding"], None)
    assert response.will_close
    with open_url("/messages.csv") as whole:
        equal(body, whole.read())
    connection.close()


@check
def photo():
    """a photo in a form; ranges, conditions"""
    content = os.urandom(2 << 20)
    body, content_type = form({"text": "from python"}, "photo", "ph\u00f6to.png", content)
    with open_url("/photos", body, **{"Content-Type": content_type}) as response:
        equal(response.status, 201)
        path = json.load(response)["photo"]
    with open_url(path) as response:
        equal(response.read(), content)
        etag = response.headers["ETag"]
    with open_url(path, Range="bytes=-500") as response:
        equal(response.status, 206)
        equal(response.read(), content[-500:])
    connection = connect()
    response, body = ask(connection, "GET", path, headers={"If-None-Match": etag})
    equal((response.status, body), (304, b""))
    response, body = ask(connection, "GET", path, headers={"Range": "bytes=0-0"})
    equal((response.status, body), (206, content[:1]))
    connection.close()


@check
def feed():
    """the live feed, read line by line"""
    connection = connect()
    connection.request("GET", "/feed")
    events = connection.getresponse()
    equal(events.headers["Content-Type"], "text/event-stream")
    poster = connect()
    response, body = ask(poster, "POST", "/messages", json.dumps({"text": "live"}))
    equal(response.status, 201)
    message = json.loads(body)
    fields = {}
    while "data" not in fields:
        name, _, value = events.readline().decode().rstrip("\n").partition(": ")
        fields[name] = value
    equal((json.loads(fields["data"]), fields["id"]), (message, str(message["id"])))
    connection.close()
    poster.close()


@check
def at_once():
    """eighty requests of sixteen threads"""
    def fetch(_):
        with open_url("/style.css") as response:
            return response.read()
    with ThreadPoolExecutor(16) as pool:
        for body in pool.map(fetch, range(80)):
            equal(body, public("style.css"))


@check
def compressed():
    """gzip"""
    path = "/messages?limit=300"
    with open_url(path, **{"Accept-Encoding": "gzip"}) as response, open_url(path) as plain:
        equal(response.headers["Content-Encoding"], "gzip")
        equal(plain.headers["Content-Encoding"], None)
        equal(gzip.decompress(response.read()), plain.read())


@check
def refusals():
    """refusals leave the connection as it should be"""
    connection = connect()
    response, body = ask(connection, "POST", "/messages", "{", {"Cookie": ""})
    equal((response.status, json.loads(body)), (401, {"detail": "log in first"}))
    response, _ = ask(connection, "PUT", "/messages", "x")
    equal(response.status, 405)
    response, body = ask(connection, "GET", "/missing", headers={"Accept": "text/html"})
    equal(response.status, 404)
    assert body.startswith(b"<!doctype html>")
    connection.close()


print(f"{counts[True]} passed, {counts[False]} failed")
sys.exit(0 if counts[False] == 0 else 1)
