# SPDX-License-Identifier: BSD-2-Clause
"""Who there is, how each one is, waking and sleeping (doc/api.md, State)."""
import os
import time

import pytest

import mw

STATE = {"userId": str, "state": str, "gatewayHealthy": bool, "latencyMs": int, "timestamp": str,
         "processCount": (int, type(None)), "uptimeSeconds": (int, type(None)),
         "memoryMB": (int, type(None)), "version": (str, type(None)),
         "lastActivity": (str, type(None)), "lastSyncAt": (str, type(None)),
         "restoreMissing": list, "restoreMissingCount": int}
CHANGE = {"userId": str, "previousState": str, "currentState": str, "action": str,
          "waitedMs": int, "attempts": int, "timestamp": str,
          "restoreMissing": list, "restoreMissingCount": int}


def url(user, what):
    return "/api/super/users/%s/%s" % (user, what)


def get(gw, user, what):
    return gw.call("GET", url(user, what))


def post(gw, user, what, **kw):
    return gw.call("POST", url(user, what), body=b"", **kw)


def state(gw, user):
    obj = mw.check_json(get(gw, user, "state"))
    mw.check_members(obj, STATE)
    return obj


def changed(r, before, after, action, status=200):
    obj = mw.check_json(r, status)
    mw.check_members(obj, CHANGE)
    assert (obj["previousState"], obj["currentState"], obj["action"]) == (before, after, action), obj
    assert obj["attempts"] == int(r.get("X-Attempts")), r
    return obj


def holders(gw, user):
    return [c for c in gw.leftovers(0).values() if c.endswith(" hold " + user)]


def slept(gw):
    """What a sleep brings about: a state, and an action."""
    return ("sleeping", "stopped") if gw.can_stop else (gw.running_state, "none")


def test_a_life(gw, user):
    asleep, action = slept(gw)
    assert state(gw, user)["state"] == gw.absent
    changed(post(gw, user, "wake"), gw.absent, "active", "started")
    obj = state(gw, user)
    assert obj["state"] == "active" and obj["lastActivity"], obj
    # Cloudflare's APIs do not tell.
    assert (obj["uptimeSeconds"] is None) == gw.comes_back_empty, obj
    changed(post(gw, user, "wake"), "active", "active", "none")
    gw.put_ok(user, "f", b"x", "target=container")
    changed(post(gw, user, "sleep"), "active", asleep, action)
    obj = state(gw, user)
    assert obj["state"] == asleep and obj["lastSyncAt"], obj
    assert obj["processCount"] == (0 if gw.can_stop else None), obj
    assert gw.content(user, "f", "source=r2") == b"x", "synced before it slept"
    assert not holders(gw, user)
    changed(post(gw, user, "sleep"), asleep, asleep, "none")
    changed(post(gw, user, "restart?sync=false"), asleep, "active", "restarted")
    assert state(gw, user)["state"] == "active"


def test_wake_without_waiting(gw, user):
    changed(post(gw, user, "wake?wait=false"), gw.absent, gw.absent, "started", 202)
    deadline = time.monotonic() + 30
    while state(gw, user)["state"] != "active":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    post(gw, user, "wake")      # it may run before its wake has ended: that one is joined
    changed(post(gw, user, "wake?wait=0"), "active", "active", "none", 202)


def test_gets_start_nothing(gw, user):
    gw.put_ok(user, "f", b"x", "target=r2")
    for what in ("state", "health", "logs", "logs?tail=1"):
        get(gw, user, what)
    gw.call("GET", "/api/super/users")
    gw.call("GET", "/api/super/state/dashboard")
    mw.check_error(get(gw, user, "logs"), "sandbox_hibernating", userId=user)
    assert not holders(gw, user)
    # A container that is always there was given nothing.
    assert not os.path.exists(gw.sandbox(user)) or \
        (not gw.can_stop and os.listdir(gw.sandbox(user)) == [])


def test_users_and_dashboard(gw, user):
    names = [user, user + "-b", user + ".c"]
    for n in names[1:]:
        gw.put_ok(n, "f", b"x", "target=r2")
    changed(post(gw, user, "wake"), gw.absent, "active", "started")
    if gw.comes_back_empty:
        names = names[1:]       # nobody can be asked for a list of sandboxes
    seen, cursor = [], ""
    while True:
        obj = mw.check_json(gw.call("GET", "/api/super/users?limit=1" + cursor))
        assert obj["count"] == len(obj["users"]) <= 1, obj
        seen += [u["userId"] for u in obj["users"]]
        if "nextCursor" not in obj:
            break
        cursor = "&cursor=" + obj["nextCursor"]
    assert len(seen) == len(set(seen)) and set(names) <= set(seen), seen
    obj = mw.check_json(gw.call("GET", "/api/super/state/dashboard"))
    by = {u["userId"]: u for u in obj["users"]}
    assert [by[n]["state"] for n in names] == ["active", gw.absent, gw.absent][-len(names):], by
    total = obj["summary"].pop("total")
    assert total == len(by) == sum(obj["summary"].values()), obj["summary"]


def test_health(gw, user):
    there = not gw.can_stop     # somebody else keeps it running
    obj = mw.check_json(get(gw, user, "health"), 503)
    assert obj["healthy"] is False and obj["checks"] == {
        "sandbox": there, "gateway": False, "filesystem": there, "r2": True}, obj
    assert ("sandboxError" in obj["results"]) is not there, obj
    assert obj["results"]["hasConfig"] is (False if there else None), obj
    changed(post(gw, user, "wake"), gw.absent, "active", "started")
    gw.put_ok(user, ".clawdbot/clawdbot.json", b"{}", "target=container")
    obj = mw.check_json(get(gw, user, "health"))
    assert obj["healthy"] is True and set(obj["checks"].values()) == {True}, obj
    assert obj["results"]["hasConfig"] is True and obj["results"]["workingDir"], obj
    assert set(obj["timings"]) == {"sandbox", "gateway", "filesystem", "r2"}, obj
    assert not [k for k in obj["results"] if k.endswith("Error")], obj
    mw.check_json(post(gw, user, "sleep"))
    obj = mw.check_json(get(gw, user, "health"), 200 if there else 503)
    assert obj["results"]["r2LastSync"], obj
    assert there or "hibernat" in obj["results"]["sandboxError"], obj


@pytest.mark.parametrize("method,what,names", [
    ("POST", "wake?maxWakeTime=abc", "maxWakeTime"), ("POST", "wake?maxWakeTime=-1", "maxWakeTime"),
    ("POST", "wake?wait=perhaps", "wait"), ("POST", "sleep?sync=x", "sync"),
    ("POST", "restart?force=2", "force"), ("GET", "logs?tail=0", "tail"), ("GET", "logs?tail=x", "tail")])
def test_bad_values(direct, method, what, names):
    r = direct.call(method, url("u", what), body=b"" if method == "POST" else None)
    assert names in mw.check_error(r, "invalid_argument", userId="u")["error"]


def test_bad_cursors(direct):
    for q in ("limit=0", "limit=x", "cursor=zz", "cursor=2e2e", "cursor=6"):
        r = direct.call("GET", "/api/super/users?" + q)
        assert q.split("=")[0] in mw.check_error(r, "invalid_argument")["error"]


def test_methods_and_secret(gw):
    for what, allow in (("wake", "POST"), ("sleep", "POST"), ("restart", "POST"), ("state", "GET")):
        r = gw.call("DELETE" if allow == "GET" else "GET", url("u", what))
        mw.check_error(r, "method_not_allowed")
        assert allow in r.get("Allow")
        mw.check_error(gw.call(allow, url("u", what), body=b"" if allow == "POST" else None,
                               auth=False, source=gw.new_address()), "forbidden")


def test_running_jobs_keep_it_awake(gw, user):
    changed(post(gw, user, "wake"), gw.absent, "active", "started")
    r = gw.call("POST", url(user, "exec"), [("Content-Type", "application/json")],
                b'{"command":"echo out; sleep 1000","stream":true}')
    assert mw.check_json(r)["status"] == "started"
    for what in ("sleep", "restart?sync=false"):
        obj = mw.check_error(post(gw, user, what), "conflict", userId=user)
        assert "force" in obj["error"], obj
    assert state(gw, user)["state"] == "active"
    changed(post(gw, user, "sleep?force=true"), "active", *slept(gw))
