# SPDX-License-Identifier: BSD-2-Clause
"""A body that is cut on its way: resumed, or seen to be cut by the client."""
import pytest

import mw
from mwfixtures import chosen_servers
from s3stub import QUICK

BODY = bytes((i * 31 + i // 256) & 255 for i in range(400000))


@pytest.fixture(params=[s for s in chosen_servers(every=True) if "htaccess" not in s])
def gw(request, make, stub):
    if request.param == "direct":
        g = make(QUICK, store="s3", s3=stub)
    else:
        g = make.server(request.param, QUICK, store="s3", s3=stub)
    g.stub = stub
    stub.put("users/u/f", BODY)
    return g


@pytest.mark.parametrize("n", [0, 1, 1000, 65536, 200000, 399999])
def test_resumed(gw, n):
    """Range + If-Match from where it ended; the client sees nothing of it."""
    gw.stub.fail(method="GET", cut=n)
    r = gw.raw("u", "f", "source=r2")
    assert r.status == 200 and r.complete and r.body == BODY, (r.status, len(r.body))
    first, second = gw.stub.calls[-2:]
    if n:
        assert second.headers.get("range") in ("bytes=%d-" % n, "bytes=%d-399999" % n), second.headers
        assert second.headers.get("if-match", "").strip('"') == gw.stub.objects["users/u/f"][1].strip('"')


def test_resumed_twice(gw):
    gw.stub.fail(method="GET", cut=1000)
    gw.stub.fail(method="GET", cut=5000)
    r = gw.raw("u", "f", "source=r2")
    assert r.complete and r.body == BODY
    assert [(c.headers.get("range") or "").replace("399999", "") for c in gw.stub.calls] == [
        "", "bytes=1000-", "bytes=6000-"]


def test_resumed_range(gw):
    gw.stub.fail(method="GET", cut=1000)
    r = gw.raw("u", "f", "source=r2", [("Range", "bytes=50000-149999")])
    assert r.status == 206 and r.complete and r.body == BODY[50000:150000]
    assert gw.stub.calls[-1].headers.get("range") == "bytes=51000-149999"


def test_changed_meanwhile_is_cut(gw):
    """The object is another one now: the two must never be glued together."""
    gw.stub.fail(method="GET", cut=100000)
    stub, take = gw.stub, gw.stub.take

    def changing(call):
        fault = take(call)
        if "range" in call.headers:
            stub.put("users/u/f", b"#" * len(BODY))
        return fault
    stub.take = changing
    r = gw.raw("u", "f", "source=r2")
    stub.take = take
    assert not r.complete, "a cut transfer looks whole"
    assert BODY.startswith(r.body), "bytes of two versions"


def test_never_to_be_had_is_cut(gw):
    gw.stub.fail(method="GET", cut=100000)
    gw.stub.fail(method="GET", times=99, status=503)
    r = gw.raw("u", "f", "source=r2")
    assert not r.complete and BODY.startswith(r.body), (r.status, len(r.body))


def test_json_is_whole_or_an_error(gw):
    """A JSON answer is complete before its status line goes out."""
    gw.stub.put("users/u/t", b"text " * 20000)
    gw.stub.fail(method="GET", cut=1000)
    obj = mw.check_json(gw.get("u", "t", "source=r2"))
    assert obj["content"] == "text " * 20000
    gw.stub.fail(method="GET", times=99, cut=10)
    r = gw.get("u", "t", "source=r2")
    mw.check_error(r, "store_unavailable")


def test_wrong_etag_is_not_served_glued(gw):
    """The resumed answer lies about its ETag."""
    gw.stub.fail(method="GET", cut=100000)
    gw.stub.fail(method="GET", etag='"%s"' % ("f" * 32))
    r = gw.raw("u", "f", "source=r2")
    assert not r.complete or r.body == BODY


@pytest.mark.parametrize("heedless", [False, True])
def test_if_range_is_ours_to_compare(r2, heedless):
    """Whether the store heeds If-Match or not: a part of another version never goes out."""
    r2.stub.heedless = heedless
    r2.stub.put("users/u/f", BODY)
    etag = r2.stub.objects["users/u/f"][1]

    def part(tag, value):
        return r2.raw("u", "f", "source=r2", [("Range", value), ("If-Range", tag)])
    for value in ("bytes=5-9", "bytes=-4", "bytes=399999-", "bytes=400000-", "bytes=-0"):
        r = part('"other"', value)
        assert r.status == 200 and r.body == BODY and r.complete, (value, r)
    assert part(etag, "bytes=5-9").body == BODY[5:10]
    mw.check_error(part(etag, "bytes=400000-"), "range_not_satisfiable")


@pytest.mark.parametrize("tag", ['"a b"', '"\xe9"', '"\t"', 'a b'])
def test_no_entity_tag(r2, tag):
    """What is none by RFC 9110 is not handed on, in a header or in JSON."""
    r2.stub.put("users/u/f", b"x")
    for query in ("source=r2", "source=r2&raw=1"):
        r2.stub.fail(method="GET", etag=tag)
        mw.check_error(r2.get("u", "f", query), "store_error")
