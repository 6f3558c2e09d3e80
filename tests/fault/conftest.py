# SPDX-License-Identifier: BSD-2-Clause
"""pytest finds the shared fixtures and the TAP reporter here."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "http"))

import pytest  # noqa: E402

pytest.register_assert_rewrite("mw", "gateway")


def pytest_configure(config):
    import mwfixtures
    if not config.pluginmanager.has_plugin("mwfixtures"):
        config.pluginmanager.register(mwfixtures, "mwfixtures")


@pytest.fixture
def stub():
    """The fault-injecting S3 server."""
    import mw
    from s3stub import Stub
    s = Stub(mw.free_port())
    yield s
    s.down()


@pytest.fixture(scope="module")
def cloud():
    """Cloudflare's two APIs, for the tests of a file."""
    import cloudpeer
    why = cloudpeer.missing()
    if why:
        pytest.skip(why)
    peer = cloudpeer.CloudPeer()
    yield peer
    peer.stop()


@pytest.fixture
def r2(make, stub):
    """A plain CGI over the stub: r2.stub is the stub, r2.reset() before what is counted."""
    from s3stub import QUICK
    gw = make(QUICK, store="s3", s3=stub)
    gw.stub = stub
    gw.without_drain()
    return gw
