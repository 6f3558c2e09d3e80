# SPDX-License-Identifier: BSD-2-Clause
"""What only a CGI environment can say: odd variables, foreign routes, short bodies."""
import subprocess

import pytest

import gateway
import mw


def run(gw, program="files.fcgi", body=b"", drop=(), **change):
    env = gw.cgi_env("GET", gw.target("u", "f", "raw=1"),
                     [("X-Admin-Secret", gw.secret)], None, None)
    env.update(change)
    for name in drop:
        env.pop(name, None)
    p = subprocess.run([gateway.binary(program)], env=env, input=body, capture_output=True,
                       timeout=20)
    return gateway.parse_cgi(p.stdout, env.get("REQUEST_METHOD", "GET"), 0)


@pytest.fixture
def gw(direct):
    direct.put_ok("u", "f", b"hello")
    return direct


@pytest.mark.parametrize("drop", [
    ["SCRIPT_NAME"], ["PATH_INFO"], ["QUERY_STRING"], ["SERVER_PROTOCOL"], ["REMOTE_ADDR"],
    ["GATEWAY_INTERFACE"], ["SERVER_NAME", "SERVER_PORT"],
    ["SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME"]], ids=" ".join)
def test_missing_variables(gw, drop):
    r = run(gw, drop=drop)
    assert r.status == 200 and r.body == b"hello", r


def test_pool_size_is_not_for_cgi(gw):
    """A server started by moltctl hands its environment on: one request, no pool."""
    r = run(gw, MOLTWORKER_PROCS="2")
    assert r.status == 200 and r.body == b"hello", r


@pytest.mark.parametrize("drop", [["REQUEST_URI"], ["REQUEST_METHOD"]], ids=" ".join)
def test_missing_what_matters(gw, drop):
    r = run(gw, drop=drop)
    assert r.status in (0, 400, 404, 405, 500), r
    assert b"hello" not in r.body


@pytest.mark.parametrize("uri,status", [
    ("http://h/api/super/users/u/files/f?raw=1", 200),
    ("HTTPS://h:8443/api/super/users/u/files/f?raw=1", 200),
    ("/api/super/users/u/files/f?raw=1#frag", None),
    ("*", None), ("", None), ("api/super/users/u/files/f", None), ("http://h", 404),
    ("//api/super/users/u/files/f", None), ("/?", 404), ("/%zz", None)])
def test_request_uri(gw, uri, status):
    r = run(gw, REQUEST_URI=uri)
    assert r.status == status if status else r.status in (200, 400, 404), r


def test_path_info_is_not_believed(gw):
    """Only REQUEST_URI is parsed: the others have lost %2F, // and .."""
    gw.put_ok("u", "other", b"other")
    r = run(gw, PATH_INFO="/api/super/users/u/files/other", SCRIPT_NAME="/x")
    assert r.body == b"hello", r


@pytest.mark.parametrize("length,body,status", [
    ("5", b"hello", 200), ("5", b"hell", 400), ("5", b"", 400), ("3", b"hello", 200),
    ("-1", b"hello", 400), ("abc", b"hello", 400), ("5x", b"hello", 400), ("0x5", b"hello", 400),
    ("99999999999999999999", b"hello", None), ("1.5", b"hello", 400), (" 5", b"hello", None),
    ("+5", b"hello", 400), ("", b"", 200), ("0", b"", 200)])
def test_content_length(gw, length, body, status):
    gw.put_ok("u", "len", b"old")
    r = run(gw, REQUEST_METHOD="PUT", REQUEST_URI=gw.target("u", "len"), CONTENT_LENGTH=length,
            CONTENT_TYPE="text/plain", body=body)
    assert r.status == status if status else r.status in (200, 400, 413), r
    want = body[:int(length or 0)] if r.status == 200 else b"old"
    assert gw.content("u", "len") == want
    if r.status == 400:
        mw.check_error(r, "invalid_argument")


def test_length_over_the_limit_is_refused_unread(gw):
    r = run(gw, REQUEST_METHOD="PUT", REQUEST_URI=gw.target("u", "f"),
            CONTENT_LENGTH=str((32 << 20) + 1), CONTENT_TYPE="text/plain", body=b"only this")
    mw.check_error(r, "body_too_large")


@pytest.mark.parametrize("program,uri", [
    ("files.fcgi", "/api/super/health"), ("files.fcgi", "/api/super/users/u/exec"),
    ("files.fcgi", "/debug/admin/users"), ("files.fcgi", "/"),
    ("health.fcgi", "/api/super/users/u/files/f"), ("health.fcgi", "/api/super/nothing"),
    ("health.fcgi", "/metrics-x"), ("health.fcgi", "/")])
def test_foreign_route(gw, program, uri):
    """404 after authentication, 403 before."""
    mw.check_error(run(gw, program, REQUEST_URI=uri), "not_found")
    r = run(gw, program, REQUEST_URI=uri, drop=["HTTP_X_ADMIN_SECRET"], REMOTE_ADDR="10.1.1.1")
    mw.check_error(r, "forbidden")


def test_healthz_touches_nothing(gw):
    r = run(gw, "health.fcgi", REQUEST_URI="/healthz", drop=["HTTP_X_ADMIN_SECRET"])
    assert r.status == 200 and r.json() == {"status": "ok"}, r


def test_secret_in_the_query_is_no_secret(gw):
    r = run(gw, REQUEST_URI=gw.target("u", "f", "X-Admin-Secret=" + gw.secret),
            drop=["HTTP_X_ADMIN_SECRET"], REMOTE_ADDR="10.1.1.2")
    mw.check_error(r, "forbidden")


@pytest.mark.parametrize("address", ["", "not an address", "::1", "10.0.0.1:80", "x" * 300])
def test_odd_addresses(gw, address):
    r = run(gw, REMOTE_ADDR=address)
    assert r.status == 200, r
    r = run(gw, REMOTE_ADDR=address, HTTP_X_ADMIN_SECRET="wrong")
    assert r.status in (403, 429), r


def test_trusted_proxy(make):
    """The client is X-Forwarded-For's last untrusted hop, if the peer is trusted."""
    gw = make({"http.trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]})

    def wrong(forwarded, peer="127.0.0.1"):
        return gw.request("GET", "/api/super/health", [
            ("X-Admin-Secret", "wrong"), ("X-Forwarded-For", forwarded)], source=peer).status
    for i in range(10):     # the first hops are the client's own claim: not believed
        assert wrong("1.1.1.%d, 2.2.2.2, 10.0.0.5" % i) == 403
    assert wrong("9.9.9.9, 2.2.2.2, 10.0.0.5") == 429
    assert wrong("2.2.2.3") == 403
    for i in range(10):     # not from a trusted peer: the header means nothing
        assert wrong("3.3.3.%d" % i, peer="192.0.2.1") == 403
    assert wrong("3.3.3.99", peer="192.0.2.1") == 429


def test_large_headers(gw):
    r = run(gw, HTTP_X_LONG="x" * 60000)
    assert r.status in (200, 400, 431), r


def test_answer_is_valid_cgi(gw):
    """RFC 3875 6.2: each header once, no line feed smuggled in."""
    r = run(gw, HTTP_X_REQUEST_ID="a\r\nX-Evil: 1")
    assert r.status == 200 and r.get("X-Evil") is None
    names = [n.lower() for n, _ in r.headers]
    assert len(names) == len(set(names)), names
