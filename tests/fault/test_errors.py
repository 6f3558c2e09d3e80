# SPDX-License-Identifier: BSD-2-Clause
"""For every row of the error table a request that produces exactly that status, code
and body.  check_error holds the status, the type, retryable, the members, and that
`attempts` and X-Attempts agree; the stub that `attempts` is the truth."""
import os
import re
import threading

import pytest

import mw
from agentstub import Agent
from s3stub import QUICK

# What no route of this version, or none of its drivers, can come to.
LATER = {
    "too_many_operations": "batch", "process_not_found": "exec", "process_lost": "exec",
    "command_error": "exec", "command_timeout": "exec", "gateway_failed": "the gateway's start",
    "sandbox_not_found": "a driver that cannot create", "sandbox_timeout": "a driver over a network",
}


def invalid_json(gw):
    return gw.put_json("u", "f", b"{")


def invalid_path(gw):
    return gw.get("u", "a/../b")


def invalid_user_id(gw):
    return gw.get("-u", "f")


def invalid_argument(gw):
    return gw.get("u", "f", "source=nowhere")


def forbidden(gw):
    return gw.request("GET", gw.target("u", "f"))


def not_found(gw):
    return gw.call("GET", "/api/super/nothing/here")


def file_not_found(gw):
    return gw.get("u", "none")


def method_not_allowed(gw):
    return gw.call("POST", gw.target("u", "f"), body=b"")


def conflict(gw):
    gw.put_ok("u", "dir/f", b"x")
    return gw.get("u", "dir", "source=container")


def precondition_failed(gw):
    return gw.put("u", "f", b"x", headers=[("If-Match", '"other"')])


def body_too_large(gw):
    gw.configure({"http.max_body": 10})
    return gw.put("u", "f", bytes(11))


def file_too_large(gw):
    gw.stub.fail(method="PUT", status=413, code="EntityTooLarge")
    return gw.put("u", "f", b"x", "target=r2")


def unsupported_media_type(gw):
    return gw.put("u", "f", b"x", headers=[("Content-Encoding", "gzip")])


def range_not_satisfiable(gw):
    gw.put_ok("u", "f", b"x")
    gw.stub.reset()
    return gw.raw("u", "f", headers=[("Range", "bytes=5-")])


def too_many_requests(gw):
    for _ in range(10):
        gw.request("GET", gw.target("u", "f"), source="127.8.1.1")
    return gw.request("GET", gw.target("u", "f"), source="127.8.1.1")


def permission_denied(gw):
    gw.put_ok("u", "f", b"x", "target=container")
    os.chmod(gw.sandbox("u", "f"), 0)
    return gw.get("u", "f", "source=container")


def not_supported(gw):
    gw.stub.fail(method="PUT", status=501)
    return gw.put("u", "f", b"x", "target=r2")


def storage_full(gw):
    gw.configure({"outbox.max_bytes": 1})
    gw.stub.fail(times=99, status=503)
    return gw.put("u", "f", b"xyz", "target=r2")


def deadline_exceeded(gw):
    """Another request keeps the path for longer than this one has time."""
    gw.configure({"sandbox.timeout": 1})
    gw.stub.fail(method="PUT", key="users/u/f", delay=12)
    t = threading.Thread(target=lambda: gw.put("u", "f", b"x", "target=r2"))
    t.start()
    while gw.stub.count("PUT") == 0:
        pass
    r = gw.delete("u", "f", "maxWakeTime=0")
    t.join(60)
    gw.stub.reset()
    return r


def internal_error(gw):
    gw.configure({"sandbox.driver": "container",
                  "sandbox.container.url": "http://127.0.0.1:1"})     # names no user
    return gw.get("u", "f", "source=container")


def store_error(gw):
    gw.stub.fail(status=403)
    return gw.get("u", "f", "source=r2")


def sandbox_hibernating(gw):
    os.mkdir(gw.sandbox("u"), 0o700)
    return gw.get("u", "f", "source=container&maxWakeTime=0")


def sandbox_unreachable(gw):
    Agent(gw, "u", "drop")
    return gw.get("u", "f", "source=container")


def sandbox_unavailable(gw):
    gw.configure({"breaker.failures": 3})
    Agent(gw, "u", "drop")
    mw.check_error(gw.get("u", "f", "source=container"), "sandbox_unreachable")
    return gw.get("u", "f", "source=container")


def wake_timeout(gw):
    gw.configure({"wake.max_wait": 300})
    Agent(gw, "u", "silent")
    r = gw.get("u", "f", "source=container")
    assert not re.search(r"within (-|0 ms)", r.json()["error"])
    return r


def sandbox_capacity(gw):
    Agent(gw, "u", "full")
    return gw.get("u", "f", "source=container")


def store_unavailable(gw):
    gw.stub.fail(times=99, status=503)
    return gw.get("u", "f", "source=r2")


RECIPES = {f.__name__: f for f in (
    invalid_json, invalid_path, invalid_user_id, invalid_argument, forbidden, not_found,
    file_not_found, method_not_allowed, conflict, precondition_failed, body_too_large,
    file_too_large, unsupported_media_type, range_not_satisfiable, too_many_requests, permission_denied, not_supported,
    storage_full, deadline_exceeded, internal_error, store_error, sandbox_hibernating,
    sandbox_unreachable, sandbox_unavailable, wake_timeout, sandbox_capacity, store_unavailable)}

# Whom the store was asked for, when only the store was asked.
STORE_ONLY = {"file_too_large", "range_not_satisfiable", "not_supported", "store_error",
              "store_unavailable"}


def test_every_row_has_its_request():
    assert set(RECIPES) | set(LATER) == set(mw.ERRORS) and not set(RECIPES) & set(LATER)


@pytest.mark.parametrize("code", sorted(RECIPES))
def test_error(r2, code):
    r = RECIPES[code](r2)
    obj = mw.check_error(r, code)
    if code in STORE_ONLY:
        assert obj["attempts"] == len(r2.stub.calls) > 0, (obj, r2.stub.calls)
