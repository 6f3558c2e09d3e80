# SPDX-License-Identifier: BSD-2-Clause
"""…/config: get, put, merge patch, history, rollback, reload, and what is refused."""
import json
import os
import threading
import time

import pytest

import mw

PATH = ".clawdbot/clawdbot.json"
GET = {"userId": str, "path": str, "format": str, "config": dict, "notJson": list, "etag": str, "source": str, "lastModified": str,
       "timestamp": str}
CHANGE = dict(GET, success=bool, saved=bool, applied=bool, r2Sync=dict)
SYNCED = {"success": True, "queued": False, "error": None}


def change(gw, method, user, doc, **kw):
    obj = mw.check_json(gw.config(method, user, doc, **kw))
    mw.check_members(obj, CHANGE)
    assert obj["success"] is True and obj["userId"] == user and obj["source"] == "r2"
    return obj


def document(gw, user):
    obj = mw.check_json(gw.config("GET", user))
    mw.check_members(obj, GET)
    return obj["config"]


def text(gw, user, source="r2"):
    return gw.content(user, PATH, "source=" + source)


def versions(gw, user):
    obj = mw.check_json(gw.config("GET", user, rest="/history"))
    mw.check_members(obj, {"userId": str, "versions": list, "count": int, "timestamp": str})
    assert obj["count"] == len(obj["versions"])
    for i, v in enumerate(obj["versions"]):
        mw.check_members(v, {"version": int, "savedAt": str, "size": int, "etag": str, "path": str})
        assert v["version"] == i + 1 and mw.TIME.match(v["savedAt"])
    return obj["versions"]


def rollback(gw, user, version):
    return gw.config("POST", user, {"version": version}, rest="/rollback")


def nowhere(gw):
    """What is said of a document that R2 has not, of a user nobody has woken: Cloudflare's
    APIs cannot tell that there is no sandbox which has it."""
    return "sandbox_hibernating" if gw.comes_back_empty else "file_not_found"


def test_there_is_none(gw, user):
    mw.check_error(gw.config("GET", user), nowhere(gw), userId=user)
    mw.check_error(gw.config("PATCH", user, {"a": 1}), "file_not_found", userId=user)
    assert versions(gw, user) == []
    mw.check_error(rollback(gw, user, 1), "file_not_found")
    mw.check_error(gw.config("POST", user, rest="/reload"), "file_not_found")


def test_put_and_get(gw, user):
    gw.put_ok(user, "f", b"there is a sandbox")
    obj = change(gw, "PUT", user, {"a": {"b": [1, 2]}})
    assert obj["config"] == {"a": {"b": [1, 2]}} and obj["r2Sync"] == SYNCED
    assert obj["saved"] is False, "there was nothing to save"
    assert obj["applied"] is True, "the files of a local sandbox are at hand"
    r = gw.config("GET", user)
    obj = mw.check_json(r)
    mw.check_members(obj, GET)
    assert obj["config"] == {"a": {"b": [1, 2]}} and obj["source"] == "r2"
    assert r.get("ETag") == obj["etag"]
    for source in ("r2", "container"):
        assert json.loads(text(gw, user, source)) == {"a": {"b": [1, 2]}}
    r = gw.config("HEAD", user)
    assert r.status == 200 and r.get("ETag") == obj["etag"] and r.body == b""


EXACT = ('{\n  "big": 123456789012345678901234567890,\n  "float": 1.10, "exp": -0.0E+2,\n'
         '  "z": "\\u00e9\\/", "a": "é\u2028"\n}\n').encode()


def test_as_it_was_written(gw, user):
    """Bytes, numbers, escapes, the order of members: nothing is written anew."""
    assert EXACT.rstrip() in gw.config("PUT", user, EXACT).body
    assert text(gw, user) == EXACT
    assert EXACT in gw.config("GET", user).body
    change(gw, "PATCH", user, b'{"n":9007199254740993,"float":2.50}')
    assert text(gw, user) == EXACT[:-3].replace(b"1.10", b"2.50") + b', "n": 9007199254740993\n}\n'


DOCUMENT = b"""\xef\xbb\xbf// The fleet's own\r
{\r
\t$include: './base.json5', // kept as it is\r
\tmodel: 'm-1',\r
\tlimits: { tokens: 0xffffffffffffffffffff, rate: .5, top: +Infinity, },\r
\t/* of the agents */\r
\tagents: [ 'a', "b\\\r
c", ],\r
\tkey: "${VAR}", // of the environment\r
}\r
"""
VALUE = {"$include": "./base.json5", "model": "m-1",
         "limits": {"tokens": 0xffffffffffffffffffff, "rate": 0.5, "top": None},
         "agents": ["a", "bc"], "key": "${VAR}"}


def test_json5(gw, user):
    obj = change(gw, "PUT", user, DOCUMENT)
    assert obj["config"] == VALUE and obj["notJson"] == ["/limits/top"]
    assert obj["format"] == "json5" and obj["path"] == PATH and text(gw, user) == DOCUMENT
    r = gw.config("GET", user, query="raw=1")
    assert r.body == DOCUMENT and r.get("ETag") == obj["etag"]
    assert r.get("Content-Type") == "application/json5"
    # A patch is JSON5, too; what it does not touch stays.
    obj = change(gw, "PATCH", user, b"{model: null, limits: {rate: 0.25,}, 'a-b': {c: [1,]}, // why\n}")
    want = DOCUMENT.replace(b"\tmodel: 'm-1',\r\n", b"").replace(b".5,", b"0.25,").replace(
        b"environment\r\n", b"environment\r\n\t'a-b': {\r\n\t\tc: [1],\r\n\t},\r\n")
    assert text(gw, user) == want
    assert obj["config"]["a-b"] == {"c": [1]} and "model" not in obj["config"]
    # The history's own text, and its value.
    (v,) = versions(gw, user)
    r = gw.config("GET", user, rest="/history/1", query="raw=1")
    assert r.body == DOCUMENT and r.get("ETag") == v["etag"]
    obj = mw.check_json(gw.config("GET", user, rest="/history/1"))
    mw.check_members(obj, {"userId": str, "version": int, "savedAt": str, "size": int, "etag": str,
                           "path": str, "format": str, "config": dict, "notJson": list,
                           "timestamp": str})
    assert obj["config"] == VALUE and obj["path"] == PATH
    mw.check_error(gw.config("GET", user, rest="/history/2"), "file_not_found")
    mw.check_error(gw.config("GET", user, rest="/history/x"), "invalid_argument")
    assert mw.check_json(rollback(gw, user, 1))["config"] == VALUE
    assert text(gw, user) == DOCUMENT
    mw.check_json(gw.config("POST", user, rest="/reload"))


def test_no_infinity_in_json(direct):
    user = direct.new_user()
    assert change(direct, "PUT", user, b'{"a": 1}')["format"] == "json"
    obj = mw.check_error(direct.config("PATCH", user, b"{b: [NaN]}"), "invalid_argument")
    assert "NaN" in obj["error"] and text(direct, user) == b'{"a": 1}'
    assert change(direct, "PATCH", user, b"{b: .5}")["format"] == "json"
    assert text(direct, user) == b'{"a": 1, "b": 0.5}'


def test_the_last_line_keeps_its_end(direct):
    user = direct.new_user()
    change(direct, "PUT", user, b'{\n  "a": 1\n}\n')
    change(direct, "PATCH", user, {"a": None, "b": 2})
    assert text(direct, user) == b'{\n  "b": 2\n}\n'


def test_patch(gw, user):
    change(gw, "PUT", user, {"a": 1, "b": {"c": 2, "d": 3}, "e": [1]})
    obj = change(gw, "PATCH", user, {"a": None, "b": {"c": None, "x": {"y": None}}, "e": [2, 3]})
    assert obj["config"] == {"b": {"d": 3, "x": {}}, "e": [2, 3]} == document(gw, user)
    assert obj["saved"] is True and obj["r2Sync"] == SYNCED
    assert json.loads(text(gw, user, "container")) == obj["config"]


BAD = [
    ("nothing", b"", "invalid_json"), ("not JSON5", b"{a-b:1}", "invalid_json"),
    ("cut", b'{"a":', "invalid_json"), ("two", b"{}{}", "invalid_json"),
    ("twice", b'{"a":1,"b":{"x":1,"\\u0078":2}}', "invalid_json"),
    ("deep", b'{"a":' * 40 + b"1" + b"}" * 40, "invalid_json"),
    ("not UTF-8", b'{"a":"\xff"}', "invalid_json"),
    ("array", b"[1]", "invalid_argument"), ("null", b"null", "invalid_argument"),
    ("string", b'"x"', "invalid_argument"),
]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("body,code", [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_body(direct, method, body, code):
    user = direct.new_user()
    direct.put_ok(user, PATH, b'{"a":1}', "target=r2")
    mw.check_error(direct.config(method, user, body), code, userId=user)
    assert text(direct, user) == b'{"a":1}' and versions(direct, user) == []


@pytest.mark.parametrize("stored", [b"", b"{broken", b'{"a":1,"a":2}', b"[1]", b'{"a":' * 40],
                         ids=["empty", "broken", "twice", "array", "deep"])
def test_an_unparsable_document(gw, user, stored):
    """409, and it is not replaced by the patch alone, nor by anything."""
    gw.put_ok(user, PATH, stored)
    for method, doc in (("GET", None), ("PATCH", {"b": 2}), ("PUT", {"b": 2})):
        r = gw.config(method, user, doc)
        obj = mw.check_error(r, "conflict", userId=user)
        assert "R2" in obj["error"] and "anew" not in obj["error"] and "line 1" in obj["error"] or \
            stored == b"[1]"
    mw.check_error(gw.config("POST", user, rest="/reload"), "conflict")
    assert text(gw, user) == stored == text(gw, user, "container")
    assert versions(gw, user) == []
    # Whoever has seen it may replace it, and it is still in the history.
    etag = gw.config("GET", user).get("ETag")
    assert change(gw, "PUT", user, {"b": 2}, headers=[("If-Match", etag)])["saved"] is True
    assert document(gw, user) == {"b": 2} and versions(gw, user)[0]["size"] == len(stored)
    # ... from where it comes back, byte for byte.
    obj = mw.check_json(rollback(gw, user, 1))
    assert obj["config"] is None and obj["format"] is None and obj["notJson"] == []
    r = gw.config("GET", user, query="raw=1")
    assert (r.status, r.body, r.get("ETag")) == (200, stored, etag)
    assert r.get("Content-Type") == "application/octet-stream"
    assert mw.check_json(rollback(gw, user, 1))["config"] == {"b": 2}


def test_history_and_rollback(gw, user):
    for i in range(13):
        change(gw, "PUT", user, {"n": i})
    v = versions(gw, user)
    assert len(v) == 10 and [x["savedAt"] for x in v] == sorted(
        (x["savedAt"] for x in v), reverse=True)
    assert change(gw, "PUT", user, {"n": 12})["saved"] is False, "nothing was replaced"
    # 1 is the newest backup: what was there before the last change.
    obj = mw.check_json(rollback(gw, user, 1))
    assert obj["config"] == {"n": 11} and obj["saved"] is True
    assert document(gw, user) == {"n": 11}
    # Its history now begins with 12, so 10 is version 3 of it, and 12 version 1.
    assert mw.check_json(rollback(gw, user, 3))["config"] == {"n": 10}
    assert mw.check_json(rollback(gw, user, 2))["config"] == {"n": 12}
    assert len(versions(gw, user)) == 10
    assert json.loads(text(gw, user, "container")) == {"n": 12}
    # Nothing of it is among the user's files.
    names = [f["relativePath"] for f in mw.check_json(
        gw.list(user, "source=r2&recursive=true"))["files"]]
    assert names == [PATH]


BAD_VERSIONS = [b"", b"{}", b"[]", b'{"version":"1"}', b'{"version":0}', b'{"version":-1}',
                b'{"version":1.5}', b'{"version":null}', b'{"version":1,"version":2}']


@pytest.mark.parametrize("body", BAD_VERSIONS, ids=[b.decode() or "nothing" for b in BAD_VERSIONS])
def test_bad_version(direct, body):
    r = direct.config("POST", direct.new_user(), body, rest="/rollback")
    mw.check_error(r, "invalid_json" if body == b"" else "invalid_argument")


def test_if_match(gw, user):
    etag = change(gw, "PUT", user, {"n": 0})["etag"]
    for method in ("PUT", "PATCH"):
        mw.check_error(gw.config(method, user, {"n": 9}, headers=[("If-Match", '"other"')]),
                       "precondition_failed")
        new = change(gw, method, user, {method: 1}, headers=[("If-Match", etag)])["etag"]
        assert new != etag
        mw.check_error(gw.config(method, user, {"n": 9}, headers=[("If-Match", etag)]),
                       "precondition_failed")
        etag = new
    mw.check_error(gw.config("PUT", user, {}, headers=[("If-None-Match", "*")]),
                   "precondition_failed")
    mw.check_error(gw.config("PUT", user, {}, headers=[("If-Match", "x")]), "invalid_argument")
    assert document(gw, user) == {"PUT": 1, "PATCH": 1}


def at_once(*calls):
    got = [None] * len(calls)

    def run(i):
        got[i] = calls[i]()
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return got


def test_two_puts_with_one_etag(gw, user):
    """Exactly one of them wins."""
    for i in range(3):
        etag = change(gw, "PUT", user, {"base": i})["etag"]
        got = at_once(*[lambda k=k: gw.config("PUT", user, {"by": k}, headers=[("If-Match", etag)])
                        for k in (1, 2)])
        assert sorted(r.status for r in got) == [200, 412], got
        (won,) = [r.json()["config"] for r in got if r.status == 200]
        assert document(gw, user) == won


def test_no_patch_is_lost(gw, user):
    change(gw, "PUT", user, {})
    got = at_once(*[lambda k=k: gw.config("PATCH", user, {"k%d" % k: k}) for k in range(6)])
    assert [r.status for r in got] == [200] * 6, got
    assert document(gw, user) == {"k%d" % k: k for k in range(6)}


def test_the_sandbox_has_a_newer_one(make):
    """A running gateway rewrote its own: no change is made over it."""
    gw = make({"wake.ready_ttl": 600000})
    gw.put_ok("u", "f", b"wakes it")
    change(gw, "PUT", "u", {"n": 1})
    time.sleep(1.1)             # R2's Last-Modified has whole seconds
    with open(gw.sandbox("u", PATH), "w") as f:
        f.write('{"n": 2}')
    for r in (gw.config("PUT", "u", {"n": 3}), gw.config("PATCH", "u", {"m": 3}),
              gw.config("POST", "u", rest="/reload")):
        obj = mw.check_error(r, "conflict")
        assert "newer" in obj["error"]
    assert text(gw, "u") == b'{"n": 1}' and text(gw, "u", "container") == b'{"n": 2}'
    assert versions(gw, "u") == []
    # The same content is no conflict; nor is an older one; force overrules.
    with open(gw.sandbox("u", PATH), "w") as f:
        f.write('{"n": 1}')
    change(gw, "PATCH", "u", {"m": 3})
    with open(gw.sandbox("u", PATH), "w") as f:
        f.write('{"old": 1}')
    os.utime(gw.sandbox("u", PATH), (1e9, 1e9))
    change(gw, "PATCH", "u", {"m": 4})
    with open(gw.sandbox("u", PATH), "w") as f:
        f.write('{"n": 5}')
    assert change(gw, "PATCH", "u", {"m": 5}, query="force=true")["config"] == {"n": 1, "m": 5}
    assert json.loads(text(gw, "u", "container")) == {"n": 1, "m": 5}


def test_newer_by_a_write_to_the_sandbox_alone(gw, user):
    change(gw, "PUT", user, {"n": 1})
    gw.put_ok(user, PATH, b'{"n":2}', "target=container")
    for method in ("PUT", "PATCH"):
        mw.check_error(gw.config(method, user, {"n": 3}), "conflict")
    assert document(gw, user) == {"n": 2}, "the newer one is shown"
    assert text(gw, user) == b'{"n": 1}'


def test_a_document_that_r2_does_not_have(gw, user):
    gw.put_ok(user, PATH, b'{"n":1}', "target=container")
    obj = mw.check_json(gw.config("GET", user))
    assert obj["config"] == {"n": 1} and obj["source"] == "container"
    # It is newer in the sandbox, by our own doing: a sync brings it to R2.
    mw.check_error(gw.config("PATCH", user, {"m": 2}), "conflict")
    assert change(gw, "PATCH", user, {"m": 2}, query="force=true")["config"] == {"n": 1, "m": 2}
    assert json.loads(text(gw, user)) == {"n": 1, "m": 2}


def test_reload(gw, user):
    """The sandbox's file is written anew, also when it has not changed."""
    gw.put_ok(user, "f", b"there is a sandbox")
    change(gw, "PUT", user, {"n": 1})
    path = gw.sandbox(user, PATH)
    before = os.stat(path).st_ino
    obj = mw.check_json(gw.config("POST", user, rest="/reload"))
    mw.check_members(obj, {"userId": str, "success": bool, "path": str, "applied": bool,
                           "etag": str, "timestamp": str})
    assert obj["applied"] is True and os.stat(path).st_ino != before
    gw.put_ok(user, PATH, b'{"n":2}', "target=r2")
    os.unlink(path)
    assert mw.check_json(gw.config("POST", user, rest="/reload"))["applied"] is True
    assert text(gw, user, "container") == b'{"n":2}'


def test_get_never_wakes(make):
    gw = make()
    mw.check_error(gw.config("GET", "nobody"), nowhere(gw))
    assert not gw.can_stop or not os.path.exists(gw.sandbox("nobody"))
    assert "[WAKE]" not in gw.log()
    change(gw, "PUT", "u", {"a": 1})
    obj = change(gw, "PATCH", "u", {"b": 1})
    assert obj["applied"] is False, "it gets it at its next wake"
    assert mw.check_json(gw.config("POST", "u", rest="/reload"))["applied"] is False
    assert "[WAKE]" not in gw.log(), "nor does a change that R2 can take"
    assert gw.content("u", PATH, "source=container") == b'{"a": 1, "b": 1}'


def test_methods_and_secret(gw, user):
    for method, rest, allow in (("DELETE", "", "GET, HEAD, PATCH, PUT"), ("POST", "", None),
                                ("PUT", "/history", "GET, HEAD"), ("GET", "/rollback", "POST"),
                                ("GET", "/reload", "POST")):
        r = gw.config(method, user, b"" if method != "GET" else None, rest=rest)
        mw.check_error(r, "method_not_allowed")
        if allow:
            assert ", ".join(sorted(r.get("Allow").split(", "))) == allow
    mw.check_error(gw.config("GET", user, rest="/nothing"), "not_found")
    mw.check_error(gw.config("GET", user, auth=False), "forbidden")


def test_settings(make):
    gw = make({"gateway.config_path": "etc/app.json"})
    change(gw, "PUT", "u", {"x": 1})
    assert json.loads(gw.content("u", "etc/app.json", "source=r2")) == {"x": 1}


OPEN = ".openclaw/openclaw.json"


def test_first_of_several_paths(make):
    """In R2 first, whichever is the first there, then in the sandbox that is awake."""
    gw = make({"gateway.config_path": [OPEN, PATH], "wake.ready_ttl": 600000})
    assert change(gw, "PUT", "new", {"n": 1})["path"] == OPEN, "a new one is made there"
    gw.put_ok("u", PATH, b"{n: 1}", "target=r2")
    obj = mw.check_json(gw.config("GET", "u"))
    assert obj["path"] == PATH and obj["config"] == {"n": 1}
    assert change(gw, "PATCH", "u", {"m": 2})["path"] == PATH
    assert gw.content("u", OPEN, "source=r2") is None
    etag = obj["etag"]
    # Another one before it counts from now on; the history knows whose a version is.
    gw.put_ok("u", OPEN, b"{open: 1}", "target=r2")
    mw.check_error(gw.config("PUT", "u", {}, headers=[("If-Match", etag)]), "precondition_failed")
    assert change(gw, "PATCH", "u", {"open": 2})["path"] == OPEN
    assert [v["path"] for v in versions(gw, "u")] == [OPEN, PATH]
    obj = mw.check_json(rollback(gw, "u", 2))
    assert obj["path"] == PATH and text(gw, "u") == b"{n: 1}"
    assert gw.content("u", OPEN, "source=r2") == b"{open: 2}"
    assert mw.check_json(gw.config("POST", "u", rest="/reload"))["path"] == OPEN


def test_a_later_path_in_the_sandbox_alone(make):
    gw = make({"gateway.config_path": [OPEN, PATH], "wake.ready_ttl": 600000})
    gw.put_ok("u", PATH, b"{n: 1}", "target=container")
    obj = mw.check_json(gw.config("GET", "u"))
    assert (obj["path"], obj["source"], obj["config"]) == (PATH, "container", {"n": 1})
    assert change(gw, "PATCH", "u", {"n": 2}, query="force=true")["path"] == PATH
    obj = gw.call("GET", "/api/super/users/u/health").json()
    assert obj["results"]["hasConfig"] is True, obj


def test_one_lock_for_all_paths(make):
    """Of patches at once of a user who has the second path only, none is lost or misplaced."""
    gw = make({"gateway.config_path": [OPEN, PATH]})
    gw.put_ok("u", PATH, b"{}", "target=r2")
    got = at_once(*[lambda k=k: gw.config("PATCH", "u", {"k%d" % k: k}) for k in range(6)])
    assert [r.status for r in got] == [200] * 6, got
    assert document(gw, "u") == {"k%d" % k: k for k in range(6)}
    assert gw.content("u", OPEN, "source=r2") is None


def test_too_large(direct):
    user = direct.new_user()
    mw.check_error(direct.config("PUT", user, {"x": "y" * (1 << 20)}), "body_too_large")
    change(direct, "PUT", user, {"x": "y" * 900000})
    mw.check_error(direct.config("PATCH", user, {"z": "y" * 900000}), "body_too_large")
    direct.put_ok(user, PATH, b" " * (1 << 20) + b"{}", "target=r2")
    mw.check_error(direct.config("GET", user), "file_too_large")
