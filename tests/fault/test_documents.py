# SPDX-License-Identifier: BSD-2-Clause
"""Configuration documents with R2 down, slow, or changed by somebody else."""
import json

import mw

PATH = ".clawdbot/clawdbot.json"
KEY = "users/u/" + PATH
HISTORY = "users/u/.moltworker/config/"


def change(gw, method, doc, **kw):
    return mw.check_json(gw.config(method, "u", doc, **kw))


def backups(stub):
    return [stub.get(k) for k in stub.keys(HISTORY)]


def test_calls(r2):
    """A change reads what it replaces, saves it, and writes: no call without a reason."""
    change(r2, "PUT", {"n": 1})
    r2.stub.reset()
    r = r2.config("GET", "u")
    assert [c.method for c in r2.stub.calls] == ["GET"] and r.get("X-Attempts") == "1"
    r2.stub.reset()
    change(r2, "PUT", {"n": 2})
    assert [c.method for c in r2.stub.calls] == ["GET", "GET", "PUT", "PUT"], r2.stub.calls
    assert r2.stub.calls[0].key == r2.stub.calls[3].key == KEY


def test_put_is_queued(r2):
    """R2 down: it is in the outbox, in the sandbox, and read back."""
    r2.put_ok("u", "f", b"wakes it")
    change(r2, "PUT", {"n": 1})
    r2.stub.down()
    obj = change(r2, "PUT", {"n": 2})
    assert obj["r2Sync"]["queued"] is True and obj["r2Sync"]["error"]
    assert obj["saved"] is False and obj["applied"] is True
    obj = mw.check_json(r2.config("GET", "u"))
    assert obj["config"] == {"n": 2} and obj["source"] == "r2"
    assert r2.content("u", PATH, "source=container") == b'{"n": 2}'
    # What is pending is what a patch, and a condition, are about.
    obj = change(r2, "PATCH", {"m": 3}, headers=[("If-Match", obj["etag"])])
    assert obj["config"] == {"n": 2, "m": 3} and obj["r2Sync"]["queued"] is True
    r2.stub.back()
    assert r2.drain() == 0
    assert r2.stub.get(KEY) == b'{"n": 2, "m": 3}'


def test_patch_needs_r2(r2):
    """It must not be made of a copy that may be old: 503, and nothing changed."""
    r2.put_ok("u", "f", b"wakes it")
    change(r2, "PUT", {"n": 1})
    r2.stub.down()
    mw.check_error(r2.config("PATCH", "u", {"m": 1}), "store_unavailable")
    mw.check_error(r2.config("PUT", "u", {"m": 1}, headers=[("If-Match", '"x"')]),
                   "store_unavailable")
    mw.check_error(r2.config("GET", "u", rest="/history"), "store_unavailable")
    mw.check_error(r2.config("POST", "u", {"version": 1}, rest="/rollback"), "store_unavailable")
    obj = mw.check_json(r2.config("GET", "u"))
    assert obj["config"] == {"n": 1} and obj["source"] == "container"
    r2.stub.back()
    assert r2.drain() == 0 and r2.stub.get(KEY) == b'{"n": 1}'


def test_an_outage_is_no_404(r2):
    r2.stub.down()
    mw.check_error(r2.config("GET", "u"), "store_unavailable")


def test_a_patch_that_was_overtaken(r2):
    """Another host writes between the read and the write: the patch is made again."""
    change(r2, "PUT", {"n": 1})
    theirs = iter([b'{"theirs":1}', b'{"theirs":2}'])

    class Overtake(list):
        def append(self, call):
            list.append(self, call)
            if call.method == "PUT" and call.key == KEY:
                body = next(theirs, None)
                if body is not None:
                    r2.stub.objects[KEY] = (body, '"%s"' % body.hex(), "application/json", {}, 1e9)
    r2.stub.calls = Overtake()
    assert change(r2, "PATCH", {"mine": 1})["config"] == {"theirs": 2, "mine": 1}
    assert r2.stub.get(KEY) == b'{"theirs":2,"mine":1}'
    assert b'{"n": 1}' in backups(r2.stub) and b'{"theirs":2}' in backups(r2.stub)


def test_history_that_cannot_be_written(r2):
    """A full or refusing history keeps no change back, and says so."""
    change(r2, "PUT", {"n": 1})
    r2.stub.fail(method="PUT", key=HISTORY, times=99, status=503)
    obj = change(r2, "PUT", {"n": 2})
    assert obj["saved"] is False and obj["r2Sync"]["success"] is True
    assert r2.stub.get(KEY) == b'{"n": 2}' and backups(r2.stub) == []


def test_what_a_failed_change_left(r2):
    """It was saved, then not written: the next one does not save it again."""
    change(r2, "PUT", {"n": 1})
    r2.stub.fail(method="PUT", key=KEY, status=403)
    mw.check_error(r2.config("PUT", "u", {"n": 2}), "store_error")
    assert backups(r2.stub) == [b'{"n": 1}'] and r2.stub.get(KEY) == b'{"n": 1}'
    assert change(r2, "PUT", {"n": 3})["saved"] is True
    assert backups(r2.stub) == [b'{"n": 1}']


def test_ten_are_kept(r2):
    for i in range(15):
        change(r2, "PUT", {"n": i})
    assert [json.loads(b)["n"] for b in backups(r2.stub)] == list(range(4, 14))
    r2.stub.put(HISTORY + "README", b"not one of ours")
    assert len(mw.check_json(r2.config("GET", "u", rest="/history"))["versions"]) == 10


def test_log_line(r2):
    r2.config("GET", "u")
    assert "[CONFIG]" in r2.log()
