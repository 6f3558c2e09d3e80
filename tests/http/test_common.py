# SPDX-License-Identifier: BSD-2-Clause
"""Rules for every answer: methods, request id, headers, unknown routes, health."""
import os
import re

import pytest

import mw

EVERY_SERVER = True     # see mwfixtures.py


@mw.rows("rid", ["a", "abc-123_X.y", "0" * 64])
def test_request_id_echoed(gw, user, rid):
    for r in (gw.call("GET", "/api/super/health", [("X-Request-Id", rid)]),
              gw.raw(user, "none", headers=[("X-Request-Id", rid)])):
        assert r.get("X-Request-Id") == rid, r
    assert r.json()["requestId"] == rid


@mw.rows("rid", ["", "a b", "x" * 65, "a/b", "a\"b", "ü", "a;b", "{}"])
def test_request_id_made(gw, rid):
    r = gw.call("GET", "/api/super/health", [("X-Request-Id", rid.encode("utf-8").decode("latin-1"))])
    mw.check_json(r)
    assert r.get("X-Request-Id") != rid


def test_request_ids_differ(gw):
    ids = {gw.call("GET", "/api/super/health").get("X-Request-Id") for _ in range(5)}
    assert len(ids) == 5


METHODS = [
    ("/healthz", {"GET", "HEAD"}, ["POST", "PUT", "DELETE", "PATCH"]),
    ("/api/super/health", {"GET", "HEAD"}, ["POST", "PUT", "DELETE", "PATCH"]),
    ("/api/super/users/alice/files/a", {"GET", "HEAD", "PUT", "DELETE"}, ["POST", "PATCH"]),
    ("/api/super/users/alice/files/a/b%20c", {"GET", "HEAD", "PUT", "DELETE"}, ["POST", "PATCH"]),
    ("/api/super/users/alice/files", {"GET", "HEAD", "PUT", "DELETE"}, ["POST", "PATCH"]),
    ("/api/super/users/alice/files?path=a", {"GET", "HEAD", "PUT", "DELETE"}, ["POST", "PATCH"]),
]


@mw.rows("target,allow,method", [(t, a, m) for t, a, ms in METHODS for m in ms])
def test_method_not_allowed(gw, target, allow, method):
    r = gw.call(method, target, body=b"" if method != "DELETE" else None)
    mw.check_error(r, "method_not_allowed")
    assert {m.strip() for m in r.get("Allow").split(",")} == allow, r


UNKNOWN = ["/api/super/nothing", "/api/super/", "/api/super/users/alice", "/debug/nothing",
           "/api/super/users/alice/filesystem", "/api/super/healthy", "/api/super/health/x",
           "/api/super/HEALTH"]


@mw.rows("target", UNKNOWN)
def test_unknown_route(gw, target):
    mw.check_error(gw.call("GET", target), "not_found")


def test_options_is_not_special(gw):
    r = gw.call("OPTIONS", "/api/super/health")
    assert r.status in (405, 501), r


BAD_USERS = ["", ".", "..", "-a", ".a", "_a", "a..b", "a" * 81, "a%2Fb", "a%20b", "a%00",
             "%C3%A9", "a%0Ab", "*", "a$", "%2e%2e", "a%5Cb", "a:b", "a@b"]


@mw.rows("user", BAD_USERS)
def test_invalid_user_id(gw, user):
    r = gw.call("GET", "/api/super/users/%s/files/a" % user)
    if gw.kind == "direct" and user not in ("", "."):
        mw.check_error(r, "invalid_user_id")
    else:           # a server may refuse or collapse it first; served it may never be
        assert r.status in (400, 403, 404), r


@mw.rows("user", ["a", "A9", "a.b-c_d", "0" * 80, "a.b.c"])
def test_valid_user_id(gw, user):
    r = gw.raw(user, "nothing/here", "source=r2")
    mw.check_error(r, "file_not_found", userId=user)


def test_health(gw):
    r = gw.call("GET", "/api/super/health")
    obj = mw.check_json(r)
    mw.check_members(obj, {"status": str, "version": str, "driver": str, "store": dict,
                           "outbox": dict, "breakers": dict}, {"timestamp": str})
    mw.check_members(obj["store"], {"ok": bool, "latencyMs": (int, float)}, {"driver": str})
    mw.check_members(obj["outbox"], {"pending": int, "oldestSeconds": (int, float, type(None))},
                     {"parked": int, "bytes": int})
    mw.check_members(obj["breakers"], {"store": str, "openUsers": int})
    assert obj["breakers"]["store"] == "closed"
    assert obj["status"] == "ok" and obj["driver"] == gw.conf["sandbox.driver"], obj
    assert obj["store"]["ok"] is True
    assert obj["outbox"]["pending"] == 0 and re.match(r"\d+\.\d+", obj["version"])


def test_health_starts_nothing(gw):
    before = set(os.listdir(gw.path("sandboxes")))
    gw.call("GET", "/api/super/health")
    gw.request("GET", "/healthz")
    assert set(os.listdir(gw.path("sandboxes"))) == before


def test_absolute_form(gw, user):
    """RFC 9112 3.2.2: the target may be a whole URL."""
    gw.put_ok(user, "a b", b"abs")
    host = "127.0.0.1:%d" % getattr(gw, "port", 80)
    r = gw.call("GET", "http://%s%s" % (host, gw.target(user, "a b", "raw=1")))
    assert r.status == 200 and r.body == b"abs", r


# Parameter, bad values; each is a 400 that names it.
ARGUMENTS = {
    "source": ["", "R2", "both", "auto,r2", "x"],
    "maxWakeTime": ["abc", "-1", "1.5", "", "1e3", "0x10", " 5"],
    "raw": ["2", "yes!", "-1"],
}
LIST_ARGUMENTS = {
    "source": ["x", ""],
    "limit": ["0", "-1", "abc", "", "1.5"],
    "recursive": ["2", "maybe"],
    "cursor": ["!!!", "zzzz", "%00", "%FF"],
    "maxWakeTime": ["abc", "-5"],
}
WRITE_ARGUMENTS = {
    "target": ["x", "auto", "", "BOTH"],
    "skipR2": ["2", "maybe"],
    "maxWakeTime": ["abc", "-1"],
}


def pairs(table):
    return [(k, v) for k, vs in table.items() for v in vs]


def named(r, name):
    obj = mw.check_error(r, "invalid_argument")
    assert name in obj["error"], obj


@mw.rows("name,value", pairs(ARGUMENTS))
def test_bad_read_argument(gw, user, name, value):
    named(gw.get(user, "a", "%s=%s" % (name, mw.enc(value, b"%"))), name)


@mw.rows("name,value", pairs(LIST_ARGUMENTS))
def test_bad_list_argument(gw, user, name, value):
    named(gw.list(user, "%s=%s" % (name, mw.enc(value, b"%"))), name)


@mw.rows("name,value", pairs(WRITE_ARGUMENTS))
def test_bad_write_argument(gw, user, name, value):
    query = "%s=%s" % (name, mw.enc(value, b"%"))
    named(gw.put(user, "a", b"x", query), name)
    named(gw.delete(user, "a", query), name)
    assert gw.content(user, "a") is None, "a refused write wrote"


@mw.rows("query", ["unknown=1", "Raw=1", "x", "=", "&&", "source=r2&unknown=%zz"])
def test_unknown_arguments_are_ignored(gw, user, query):
    gw.put_ok(user, "a", b"x")
    obj = mw.check_json(gw.get(user, "a", query))
    assert obj["content"] == "x"


def test_max_wake_time_is_clamped(gw, user):
    gw.put_ok(user, "a", b"x")
    for v in ("0", "180000", "180001", "999999999", "99999999999999999999999"):
        mw.check_json(gw.get(user, "a", "maxWakeTime=" + v))
