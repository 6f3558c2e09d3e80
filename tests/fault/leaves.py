# SPDX-License-Identifier: BSD-2-Clause
"""Run by test_leftovers.py, by its name: a test with a server, a sandbox, a command in it,
a directory that nobody may enter and a process that nothing ties to the test; its pid goes
into the pipe MW_UP when all is there.  Then it ends as MW_END says."""
import os
import signal
import subprocess

import mw


def test_ends_badly(make):
    gw = make.server("lighttpd", {"sandbox.local.isolation": "auto"})
    gw.put_ok("u", "f", b"x")
    mw.check_json(gw.exec("u", "exec sleep 100000", stream=True))
    os.mkdir(gw.path("closed"), 0)
    loose = subprocess.Popen(["sh", "-c", "sleep 100000 & echo $!"], env={}, cwd="/",
                             stdout=subprocess.PIPE, start_new_session=True)
    os.write(int(os.environ["MW_UP"]), loose.stdout.readline())
    end = os.environ["MW_END"]
    assert end != "fail", "as it was told"
    if end == "crash":
        os._exit(3)
    while True:
        signal.pause()
