# SPDX-License-Identifier: BSD-2-Clause
"""The stub itself, by our own signed client: a wrong stub would prove nothing."""
import pytest

from s3client import S3


@pytest.fixture
def s3(stub):
    return S3(stub.host, stub.port, stub.key, stub.secret, stub.region, stub.bucket)


def test_objects(stub, s3):
    for k in ("a", "a/b", "b c", "é", "a+b"):
        s3.put(k, k.encode())
    assert s3.keys("") == ["a", "a+b", "a/b", "b c", "é"]
    assert s3.get("é") == "é".encode() and s3.get("none") is None
    s3.delete("a")
    assert s3.get("a") is None and stub.count("DELETE") == 1


def test_conditions_and_ranges(s3):
    etag = s3.put("k", b"0123456789")
    def call(method, body=b"", **h):
        return s3.call(method, "/bkt/k", (), [(n.replace("_", "-"), v) for n, v in h.items()], body)
    assert call("PUT", b"x", If_None_Match="*")[0] == 412
    assert call("PUT", b"x", If_Match='"no"')[0] == 412
    assert call("GET", If_None_Match=etag)[0] == 304
    assert call("GET", Range="bytes=2-4")[2] == b"234"
    assert call("GET", Range="bytes=-2")[2] == b"89"
    assert call("GET", Range="bytes=10-")[0] == 416
    assert call("PUT", b"x", If_Match=etag)[0] == 200


def test_faults(stub, s3):
    s3.put("k", b"x")
    stub.fail(method="GET", status=503, times=2)
    for want in (503, 503, 200):
        assert s3.call("GET", "/bkt/k")[0] == want
    stub.fail(drop=True)
    with pytest.raises((ConnectionError, OSError)):
        s3.call("GET", "/bkt/k")
    stub.down()
    with pytest.raises((ConnectionError, OSError)):
        s3.call("GET", "/bkt/k")
    stub.back()
    assert s3.get("k") == b"x"
