# SPDX-License-Identifier: BSD-2-Clause
"""Who has no secret costs nothing: a body is refused before it is taken, by the web server."""
import json
import socket

import pytest

import mw
from fronts import FRONTS
from mwfixtures import chosen_servers

SERVERS = [s for s in chosen_servers(every=True) if s != "direct"]
U = "/api/super/users/u/files/f"


@pytest.fixture(scope="module", params=SERVERS)
def gw(request, shared):
    return shared.get(request.param + "-dir")


def ask(gw, method, target, headers, body=b""):
    """The answer to a request whose body does not come, or not whole."""
    with socket.create_connection(("127.0.0.1", gw.port), 20) as sock:
        sock.sendall(mw.head_bytes(method, target, headers, None, "127.0.0.1:%d" % gw.port))
        if body:
            try:
                sock.sendall(body)
            except OSError:
                pass
        reader = mw.Reader(sock)
        status, reason, got = reader.head()
        parts = []
        complete = reader.body(got, parts.append)
        return mw.Response(status, reason, got, b"".join(parts), complete, 0)


def refused(r, *codes):
    assert r.complete and r.get("Content-Type").split(";")[0] == "application/json", r
    doc = json.loads(r.body)
    assert doc["code"] in codes and r.status == mw.ERRORS[doc["code"]][0], r
    assert doc["errorType"] == "client_error" and doc["retryable"] is False and doc["error"], r
    assert "requestId" not in doc, "a responder was asked"


LENGTH = [("Content-Length", "1000000")]
CHUNKED = [("Transfer-Encoding", "chunked")]
PIECE = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"


@pytest.mark.parametrize("method,target", [
    ("PUT", U), ("POST", "/api/super/users/u/exec"), ("GET", U), ("DELETE", U),
    ("POST", "/api/super/none"), ("POST", "/debug/admin/users"), ("PUT", U + "/%FF"),
    ("PUT", U + "?X-Admin-Secret=x")])
@pytest.mark.parametrize("how", ["length", "one", "expect", "empty", "chunked"])
def test_a_body_without_a_secret(gw, method, target, how):
    if how == "chunked" and gw.kind == "caddy" and method in ("GET", "DELETE"):
        pytest.skip("Caddy does not show that a body is chunked")
    if how == "chunked":
        r = ask(gw, method, target, CHUNKED, PIECE)
    else:
        more = {"length": LENGTH, "one": [("Content-Length", "0001")],
                "expect": LENGTH + [("Expect", "100-continue")],
                "empty": LENGTH + [("X-Admin-Secret", "")]}[how]
        r = ask(gw, method, target, more + [("Connection", "keep-alive")])
    if gw.kind == "lighttpd" and method == "GET":
        assert r.status in (400, 403), r    # whoever sends one with a GET
    else:
        refused(r, "forbidden", "body_too_large")


@pytest.mark.parametrize("method,headers", [
    ("GET", []), ("HEAD", []), ("DELETE", []), ("PUT", [("Content-Length", "0")])])
def test_no_body_reaches_the_responder(gw, method, headers):
    r = gw.request(method, U, headers, source=gw.new_address())
    assert r.status == 403, r
    if method != "HEAD":
        mw.check_error(r, "forbidden")


@pytest.mark.parametrize("header", [("X-Admin-Secret", "wrong"), ("Authorization", "Bearer x")])
def test_a_secret_reaches_the_responder(gw, header):
    r = gw.request("PUT", U, [header], b"x" * 1000, source=gw.new_address())
    mw.check_error(r, "forbidden")


@pytest.mark.parametrize("target,status", [("/healthz", (405,)), ("/metrics", (403, 405)),
                                           ("/admin/", (403, 404, 405, 501))])
def test_exempt(gw, target, status):
    r = gw.request("POST", target, [], b"x" * 1000, source=gw.new_address())
    assert r.status in status, r
    if target != "/admin/":
        assert r.json()["requestId"], r


def test_trace_is_off(gw):
    if "htaccess" in gw.kind:
        pytest.skip("a .htaccess cannot say so")
    for target in (U, "/healthz", "/"):
        r = gw.call("TRACE", target)
        assert r.status in (400, 403, 404, 405, 501), r
        assert gw.secret.encode() not in r.body, r


def test_debians_lighttpd_denies_no_name(make):
    """Its url.access-deny is for "~" and ".inc"."""
    gw = make.server("lighttpd-debian")
    for path in ("backup~", "lib/x.inc", "a.inc/b", "x.php", "x.fcgi"):
        gw.put_ok("u", path, b"mine")
        assert gw.content("u", path) == b"mine", path
    refused(ask(gw, "PUT", U, [("Content-Length", "1")]), "forbidden")
    refused(ask(gw, "PUT", U + "~", CHUNKED, PIECE), "body_too_large")


@pytest.mark.parametrize("kind", [s for s in SERVERS if "htaccess" not in s and s not in FRONTS])
def test_the_largest_body(make, kind):
    """`moltctl serve` tells the web server http.max_body."""
    gw = make.server(kind, {"http.max_body": 102400})
    wrong = [("X-Admin-Secret", "wrong")]
    refused(ask(gw, "PUT", U, wrong + LENGTH), "body_too_large")
    refused(ask(gw, "PUT", U, [("X-Admin-Secret", gw.secret)] + LENGTH), "body_too_large")
    refused(ask(gw, "PUT", "/api/super/users/u/files/%FF", wrong + LENGTH), "body_too_large")
    r = ask(gw, "PUT", U, wrong + CHUNKED, PIECE * 8)
    assert r.status in (413, 500), r
    gw.put_ok("u", "f", b"y" * 102400)
    mw.check_error(gw.put("u", "f", b"y" * 102401), "body_too_large")
    assert gw.content("u", "f") == b"y" * 102400
