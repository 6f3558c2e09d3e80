# SPDX-License-Identifier: BSD-2-Clause
"""What the wake tests share: a gateway program that counts its starts, and requests
that run side by side."""
import os
import signal
import threading
import time

import gateway
import mw

# It is up once there is a file "up"; "starts" has a line for each start, "pid" its pid.
COUNT = "echo $$ >>starts; echo $$ >pid; "
SETTINGS = {"gateway.probe": "test -f up && kill -0 $(cat pid)", "gateway.port": 0}
GOOD = COUNT + "echo hello; touch up; exec sleep 100000"


def settings(start=GOOD, **more):
    s = dict(SETTINGS, **{"gateway.start": start})
    s.update({k.replace("_", ".", 1): v for k, v in more.items()})
    return s


def counting(make, tmp_path, settings, server="lighttpd", procs=16):
    """A server whose starts of sandboxes leave a line each in gw.counter."""
    tmp_path.chmod(0o755)
    counter, program = tmp_path / "holders", tmp_path / "moltctl"
    program.write_text("#!/bin/sh\n[ \"$1\" != hold ] || echo \"$2\" >>%s\nexec %s \"$@\"\n" % (
        counter, gateway.binary("moltctl")))
    program.chmod(0o755)
    gw = make.server(server, settings, procs=procs, env={"MOLTWORKER_MOLTCTL": str(program)})
    gw.counter = str(counter)
    return gw


def lines(path):
    try:
        with open(path) as f:
            return f.read().split()
    except OSError:
        return []


def starts(gw, user):
    """Pids of the gateway's starts."""
    return lines(gw.sandbox(user, "starts"))


def alive(pid):
    try:
        with open("/proc/%s/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wake(gw, user, query="", **kw):
    return gw.call("POST", "/api/super/users/%s/wake%s" % (user, query), body=b"", **kw)


def sleep(gw, user):
    mw.check_json(gw.call("POST", "/api/super/users/%s/sleep?sync=false" % user, body=b""))


def state(gw, user):
    return mw.check_json(gw.call("GET", "/api/super/users/%s/state" % user))["state"]


def side_by_side(calls):
    """Run the functions at once; their results in order, exceptions raised."""
    results = [None] * len(calls)

    def one(i):
        try:
            results[i] = calls[i]()
        except BaseException as e:      # raised below
            results[i] = e
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for r in results:
        if isinstance(r, BaseException):
            raise r
    return results


def until(what, seconds=20, step=0.02):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(step)


def processes(gw, *words):
    """Pids of what this gateway started whose command line holds the words in a row."""
    want = " " + " ".join(words) + " "
    return [p for p in gateway.processes_of(gw.dir) if want in " %s " % gateway.command_line(p)]


def helpers(gw, user):
    return processes(gw, "wake", user)


def kill(pids, sig=signal.SIGKILL):
    for p in pids:
        try:
            os.kill(p, sig)
        except ProcessLookupError:
            pass
