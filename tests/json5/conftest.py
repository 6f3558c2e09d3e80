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
