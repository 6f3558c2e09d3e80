# SPDX-License-Identifier: BSD-2-Clause
"""Calls per request, retries, and `attempts` as the upstream counted them."""
import json
import os
import time

import pytest

import mw
from s3stub import QUICK, Fault


@pytest.fixture
def file(r2):
    """A user whose file is in R2 only, as a fresh host finds it."""
    r2.stub.put("users/u/f", b"from R2")
    return r2


@pytest.mark.parametrize("query", ["", "source=r2", "raw=1", "raw=1&source=r2"])
def test_a_hit_is_one_call(file, query):
    for _ in range(3):
        file.stub.reset()
        r = file.get("u", "f", query)
        assert r.status == 200, r
        assert [c.method for c in file.stub.calls] == ["GET"], file.stub.calls
        assert file.stub.calls[0].key == "users/u/f"
        assert r.get("X-Attempts") == "1"


def test_head_is_one_call(file):
    r = file.head("u", "f")
    assert r.status == 200 and len(file.stub.calls) == 1, file.stub.calls


def test_not_modified_is_one_call(file):
    etag = file.raw("u", "f").get("ETag")
    file.stub.reset()
    assert file.raw("u", "f", headers=[("If-None-Match", etag)]).status == 304
    assert len(file.stub.calls) == 1 and file.stub.calls[0].status == 304, file.stub.calls


def test_range_asks_for_the_range_only(file):
    file.stub.put("users/u/big", bytes(1000000))
    file.stub.reset()
    r = file.raw("u", "big", headers=[("Range", "bytes=10-19")])
    assert r.status == 206 and len(r.body) == 10
    (call,) = file.stub.calls
    assert call.headers.get("range") == "bytes=10-19", call.headers


def test_request_id_goes_upstream(file):
    file.raw("u", "f", headers=[("X-Request-Id", "trace-me-42")])
    assert "trace-me-42" in file.stub.calls[0].headers.values()


def test_container_read_never_asks_r2(r2):
    r2.put_ok("u", "f", b"x")
    r2.stub.reset()
    assert r2.content("u", "f", "source=container") == b"x"
    assert r2.stub.calls == []


def test_r2_read_never_touches_the_sandbox(file):
    assert file.content("u", "f", "source=r2") == b"from R2"
    assert file.content("u", "none", "source=r2") is None
    assert not os.path.exists(file.sandbox("u")), "a read of R2 made a sandbox"


def test_plain_put_is_one_call(r2):
    r2.put_ok("u", "warm", b"x")
    r2.stub.reset()
    r2.put_ok("u", "f", b"x")
    assert [c.method for c in r2.stub.calls if c.key == "users/u/f"] == ["PUT"], r2.stub.calls


def test_refused_requests_ask_nobody(r2):
    r2.request("GET", r2.target("u", "f"))
    r2.call("GET", r2.target("u", "../x"))
    r2.get("u", "f", "source=nowhere")
    r2.put_json("u", "f", b"{")
    r2.call("GET", "/healthz")
    assert r2.stub.calls == []


# What R2 says first, how often it is asked in all, what the client gets.
RETRIED = [
    ("503", {"status": 503}), ("500", {"status": 500}), ("429", {"status": 429}),
    ("dropped", {"drop": True}),
    ("503 SlowDown", {"status": 503, "code": "SlowDown"}),
]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("how", [r[1] for r in RETRIED], ids=[r[0] for r in RETRIED])
def test_retried(file, how, times):
    file.raw("u", "f")
    file.stub.reset()
    file.stub.fail(times=times, **how)
    r = file.raw("u", "f", "source=r2")
    assert r.status == 200 and r.body == b"from R2", r
    assert int(r.get("X-Attempts")) == len(file.stub.calls) == times + 1, file.stub.calls


@pytest.mark.parametrize("how", [r[1] for r in RETRIED], ids=[r[0] for r in RETRIED])
def test_given_up_after_three(file, how):
    file.stub.fail(times=99, **how)
    for query in ("source=r2", "source=r2&raw=1"):
        file.stub.calls.clear()
        obj = mw.check_error(file.get("u", "f", query), "store_unavailable", userId="u")
        assert obj["attempts"] == len(file.stub.calls) == 3, (obj, file.stub.calls)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_attempts_is_a_setting(make, stub, attempts):
    gw = make(dict(QUICK, **{"retry.attempts": attempts}), store="s3", s3=stub)
    stub.fail(times=99, status=503)
    obj = mw.check_error(gw.get("u", "f", "source=r2"), "store_unavailable")
    assert obj["attempts"] == stub.count() == attempts


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_writes_are_retried(r2, method, after):
    """Of one known content, so idempotent; even if the first did arrive."""
    r2.put_ok("u", "f", b"old")
    r2.stub.reset()
    r2.stub.fail(method=method, key="users/u/f", status=503, after=after)
    if method == "PUT":
        obj = r2.put_ok("u", "f", b"new")
        assert r2.stub.get("users/u/f") == b"new"
    else:
        obj = mw.check_json(r2.delete("u", "f"))
        assert r2.stub.get("users/u/f") is None
    assert obj["r2Sync"] == {"success": True, "queued": False, "error": None}
    assert r2.stub.count(method, "users/u/f") == 2


def test_a_conditional_put_whose_answer_was_lost(r2):
    """The retry must not say 412 about our own write."""
    etag = r2.put_ok("u", "f", b"old")["etag"]
    r2.stub.fail(method="PUT", key="users/u/f", drop=True, after=True)
    r = r2.put("u", "f", b"new", headers=[("If-Match", etag)])
    assert r.status == 200, r
    assert r2.content("u", "f") == b"new" and r2.content("u", "f", "source=container") == b"new"


REFUSED = [
    ("403", {"status": 403}, "store_error"),
    ("401", {"status": 401, "code": "Unauthorized"}, "store_error"),
    ("no bucket", {"status": 404, "code": "NoSuchBucket"}, "store_error"),
    ("expired", {"status": 400, "code": "ExpiredRequest"}, "store_error"),
]


@pytest.mark.parametrize("how,code", [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused_for_good(file, how, code):
    """Bad credentials, no bucket: 502 at once, never 404, never retried."""
    file.stub.fail(times=99, **how)
    obj = mw.check_error(file.get("u", "f", "source=r2"), code, userId="u")
    assert obj["attempts"] == len(file.stub.calls) == 1, file.stub.calls
    assert file.s3.secret not in json.dumps(obj) and "AWS4" not in json.dumps(obj)


def test_retry_after_is_honoured(file):
    file.stub.fail(times=1, status=503, headers={"Retry-After": "1"})
    r = file.raw("u", "f", "source=r2")
    assert r.status == 200 and 0.9 <= r.elapsed, r


def test_retry_after_that_does_not_fit_is_passed_on(file):
    file.stub.fail(times=99, status=503, headers={"Retry-After": "700"})
    r = file.get("u", "f", "source=r2")
    mw.check_error(r, "store_unavailable")
    assert r.get("Retry-After") == "700" and r.elapsed < 60, r
    assert len(file.stub.calls) == 1


def test_retry_after_as_a_date(file):
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 900))
    file.stub.fail(times=99, status=503, headers={"Retry-After": date})
    r = file.get("u", "f", "source=r2")
    mw.check_error(r, "store_unavailable")
    assert r.elapsed < 60


def test_a_client_error_is_not_retried(file):
    etag = '"other"'
    r = file.put("u", "f", b"x", headers=[("If-Match", etag)])
    mw.check_error(r, "precondition_failed")
    assert file.stub.count("PUT") == 0
    assert file.content("u", "none", "source=r2") is None
    assert file.stub.count("GET", "users/u/none") == 1


def test_budget_ends_retries(make, stub):
    """An outage must not triple its own load: 500 tokens, 5 a retry."""
    gw = make(dict(QUICK, **{"retry.budget": 20}), store="s3", s3=stub)
    stub.fail(times=10 ** 6, status=503)
    counts = []
    for _ in range(8):
        stub.calls.clear()
        obj = mw.check_error(gw.get("u", "f", "source=r2"), "store_unavailable")
        counts.append(stub.count())
        assert obj["attempts"] == stub.count()
    assert counts[0] == 3 and counts[-1] == 1 and sum(counts) == 8 + 4, counts


def test_breaker_ignores_client_errors(make, stub):
    gw = make(dict(QUICK, **{"breaker.failures": 3}), store="s3", s3=stub)
    for _ in range(8):
        mw.check_error(gw.get("u", "none", "source=r2"), "file_not_found")
    assert stub.count() == 8


def test_slow_r2_is_given_up(make, stub):
    """No upstream call outlives its time limit."""
    gw = make(dict(QUICK, **{"store.timeout": 400}), store="s3", s3=stub)
    stub.put("users/u/f", b"x")
    stub.fail(times=99, hang=60)
    r = gw.get("u", "f", "source=r2", timeout=60)
    obj = mw.check_error(r, "store_unavailable")
    assert r.elapsed < 15 and obj["attempts"] == stub.count() >= 1


def test_wrong_etag_of_a_put(r2):
    """R2 says it stored something else: not a success."""
    r2.put_ok("u", "warm", b"x")
    r2.stub.fail(method="PUT", times=1, etag='"%s"' % ("0" * 32))
    r = r2.put("u", "f", b"content")
    assert r.status == 200, r
    assert r2.stub.get("users/u/f") == b"content"
    assert r2.drain() in (0, 1)
    assert r2.content("u", "f") == b"content"


def test_fault_times():
    """The tests above rest on this."""
    f = Fault(times=2)
    assert f.times == 2 and f.method is None
