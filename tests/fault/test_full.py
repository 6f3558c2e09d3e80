# SPDX-License-Identifier: BSD-2-Clause
"""A full disk, a real one: a small tmpfs in a mount namespace of its own."""
import subprocess
import time

import pytest

import gateway
import mw

MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"'


def put_on(gw, where, size, body):
    """One PUT to R2 alone by plain CGI, with a tmpfs of `size` bytes at `where`."""
    target = "/api/super/users/u/files/f?target=r2"
    env = gw.cgi_env("PUT", target, [("X-Admin-Secret", gateway.SECRET),
                                     ("Content-Type", "application/octet-stream")],
                     len(body), None)
    p = subprocess.run(["unshare", "-Urm", "sh", "-c", MOUNT, "sh", str(size), where,
                        gateway.binary("files.fcgi")], env=env, input=body,
                       capture_output=True, timeout=30)
    assert p.stdout, p.stderr
    return gateway.parse_cgi(p.stdout, "PUT", time.monotonic())


@pytest.fixture(scope="module")
def namespaces():
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode != 0:
        pytest.skip("user namespaces are refused here, so no tmpfs can be mounted")


def test_spool_is_full(make, namespaces):
    """Nothing is acknowledged, nothing was changed."""
    gw = make()
    gw.put_ok("u", "f", b"old", "target=r2")
    r = put_on(gw, gw.path("state", "spool"), 64 * 1024, b"n" * 200000)
    obj = mw.check_error(r, "storage_full", userId="u", path="/f")
    assert r.status == 507 and obj["retryable"] is True
    assert gw.content("u", "f", "source=r2") == b"old"
    r = put_on(gw, gw.path("state", "spool"), 64 * 1024, b"small")
    assert r.status == 200, r
    assert gw.content("u", "f", "source=r2") == b"small"


def test_state_is_full(make, namespaces):
    """The whole state directory, spool and databases, on a disk that is too small."""
    gw = make()
    gw.put_ok("u", "f", b"old", "target=r2")
    r = put_on(gw, gw.path("state"), 2 << 20, b"n" * (3 << 20))
    assert r.status == 507 and mw.check_error(r, "storage_full")["retryable"] is True
    assert gw.content("u", "f", "source=r2") == b"old"
