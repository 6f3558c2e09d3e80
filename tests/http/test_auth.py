# SPDX-License-Identifier: BSD-2-Clause
"""Who may call: the secret, before any route is looked up."""
import os
import time

import pytest

import mw
from gateway import SECRET

EVERY_SERVER = True     # see mwfixtures.py

ROUTES = [
    ("GET", "/api/super/users/alice/files/a"),
    ("PUT", "/api/super/users/alice/files/a"),
    ("DELETE", "/api/super/users/alice/files/a"),
    ("GET", "/api/super/users/alice/files"),
    ("GET", "/api/super/users/alice/files?path=/"),
    ("PATCH", "/api/super/users/alice/files/a"),
    ("GET", "/api/super/users/%2e%2e/files/a"),
    ("GET", "/api/super/health"),
    ("POST", "/api/super/health"),
    ("GET", "/api/super/nothing/here"),
    ("GET", "/api/super/users"),
    ("GET", "/debug/admin/users"),
    ("GET", "/debug/nothing"),
]

# Every one of these must be refused: name, headers.
BAD = [
    ("none", []),
    ("wrong", [("X-Admin-Secret", "wrong")]),
    ("empty", [("X-Admin-Secret", "")]),
    ("prefix", [("X-Admin-Secret", SECRET[:-1])]),
    ("longer", [("X-Admin-Secret", SECRET + "x")]),
    ("case", [("X-Admin-Secret", SECRET.upper())]),
    ("bearer wrong", [("Authorization", "Bearer wrong")]),
    ("bearer empty", [("Authorization", "Bearer ")]),
    ("bearer bare", [("Authorization", "Bearer")]),
    ("basic", [("Authorization", "Basic " + SECRET)]),
    ("no scheme", [("Authorization", SECRET)]),
    ("two, both right", [("X-Admin-Secret", SECRET), ("X-Admin-Secret", SECRET)]),
    ("two, right first", [("X-Admin-Secret", SECRET), ("X-Admin-Secret", "wrong")]),
    ("two, wrong first", [("X-Admin-Secret", "wrong"), ("X-Admin-Secret", SECRET)]),
    ("very long", [("X-Admin-Secret", "x" * 4000)]),
    ("high bytes", [("X-Admin-Secret", "\xff\xfe")]),
]


def refused(r):
    obj = mw.check_error(r, "forbidden", error="Super admin access required",
                         hint="Provide X-Admin-Secret header")
    text = r.body + repr(r.headers).encode()
    for n in range(len(SECRET) - 5):
        assert SECRET[n:n + 6].encode() not in text, "a part of the secret is in the answer"
    return obj


@mw.rows("method,target", ROUTES)
def test_no_route_without_secret(gw, method, target):
    """Known, unknown, wrong method, bad ids: 403 before routing, alike.  Bodies: test_strangers.py."""
    body = b"" if method in ("PUT", "PATCH", "POST") else None
    refused(gw.request(method, target, body=body, source=gw.new_address()))


@mw.rows("headers", [b[1] for b in BAD])
def test_bad_secret(gw, headers):
    refused(gw.request("GET", "/api/super/health", headers, source=gw.new_address()))


@pytest.mark.parametrize("value", ["Bearer %s", "bearer %s", "BEARER %s"])
def test_bearer(gw, value):
    r = gw.request("GET", "/api/super/health", [("Authorization", value % SECRET)])
    mw.check_json(r)


def test_underscore_header_is_no_second_door(gw):
    """lighttpd passes X_Admin_Secret under the same name."""
    r = gw.request("GET", "/api/super/health",
                   [("X-Admin-Secret", "wrong"), ("X_Admin_Secret", SECRET)],
                   source=gw.new_address())
    refused(r)


def test_head_without_secret_has_no_body(gw):
    r = gw.request("HEAD", "/api/super/health", source=gw.new_address())
    assert r.status == 403 and r.body == b"", r


def test_refused_put_changes_nothing(gw, user):
    gw.put_ok(user, "keep", b"old")
    r = gw.request("PUT", gw.target(user, "keep"), [("X-Admin-Secret", "wrong"),
                   ("Content-Type", "text/plain")], b"new", source=gw.new_address())
    refused(r)
    assert gw.content(user, "keep") == b"old"


def test_healthz_needs_none(gw):
    for headers in ([], [("X-Admin-Secret", "wrong")]):
        obj = mw.check_json(gw.request("GET", "/healthz", headers))
        assert obj == {"status": "ok"}


def test_too_many_wrong(gw):
    """After 10 wrong ones 429; other addresses and the right secret go on."""
    addr = gw.new_address()
    wrong = [("X-Admin-Secret", "wrong")]
    for _ in range(10):
        refused(gw.request("GET", "/api/super/health", wrong, source=addr))
    for _ in range(3):
        r = gw.request("GET", "/api/super/health", wrong, source=addr)
        mw.check_error(r, "too_many_requests")
        assert int(r.get("Retry-After")) >= 1
    mw.check_json(gw.call("GET", "/api/super/health", source=addr))
    refused(gw.request("GET", "/api/super/health", wrong, source=gw.new_address()))


def test_too_many_wrong_is_one_log_line(make):
    gw = make({"log.level": "info"})
    addr = gw.new_address()
    for _ in range(14):
        gw.request("GET", "/api/super/health", [("X-Admin-Secret", "nope")], source=addr)
    lines = [t for t in gw.log().splitlines()
             if addr in t and ("secret" in t.lower() or "refus" in t.lower())
             and "GET" not in t and "status" not in t]
    assert len(lines) == 1, lines


@pytest.mark.parametrize("first,second", [("Alpha-secret-1", "Beta-secret-2")])
def test_second_line(make, first, second):
    gw = make()
    gw.write_secret("%s\n%s\n" % (first, second))
    for s in (first, second):
        mw.check_json(gw.request("GET", "/api/super/health", [("X-Admin-Secret", s)]))
    for s in (first + "\n" + second, "", SECRET):
        r = gw.request("GET", "/api/super/health",
                       [("X-Admin-Secret", s.replace("\n", " "))], source=gw.new_address())
        mw.check_error(r, "forbidden")


def test_third_line_is_none(make):
    gw = make()
    gw.write_secret("Alpha-secret-1\nBeta-secret-2\nGamma-secret-3\n")
    r = gw.request("GET", "/api/super/health", [("X-Admin-Secret", "Gamma-secret-3")])
    mw.check_error(r, "forbidden")


def test_empty_second_line_opens_nothing(make):
    gw = make()
    gw.write_secret("Alpha-secret-1\n\n")
    r = gw.request("GET", "/api/super/health", [("X-Admin-Secret", "")])
    mw.check_error(r, "forbidden")


def test_rotation_live(make):
    """A running responder takes a changed secret file; a bad one is not taken."""
    gw = make.server("lighttpd", procs=1)

    def status(secret):
        return gw.request("GET", "/api/super/health", [("X-Admin-Secret", secret)],
                          source=gw.new_address()).status

    assert status(SECRET) == 200
    gw.write_secret("New-secret-2024\n" + SECRET + "\n")
    until(lambda: status("New-secret-2024") == 200)
    assert status(SECRET) == 200
    gw.write_secret("New-secret-2024\n")
    until(lambda: status(SECRET) == 403)
    assert status("New-secret-2024") == 200
    gw.write_secret("")
    time.sleep(1.5)
    assert status("New-secret-2024") == 200, "an empty file must not replace a good secret"
    assert status("") == 403
    os.chmod(gw.path("admin.secret"), 0o644)
    time.sleep(1.5)
    assert status("New-secret-2024") == 200


def until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not come true in %d s" % seconds
        time.sleep(0.05)
