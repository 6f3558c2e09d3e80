# SPDX-License-Identifier: BSD-2-Clause
"""`moltctl serve`: starts, tells its URL, respawns what dies, leaves nothing."""
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

import gateway
import mw
from wakes import until

KINDS = ["lighttpd", "apache", "nginx", "cgi", "htaccess"]


@pytest.mark.parametrize("kind", KINDS)
def test_start_and_stop(make, kind):
    gw = make.server(kind)
    assert "http://127.0.0.1:%d" % gw.port in gw.ready_line, gw.ready_line
    gw.put_ok("u", "f", b"x")
    assert gw.content("u", "f") == b"x"
    start = time.monotonic()
    gw.end()                            # checks that nothing is left running or on disk
    assert time.monotonic() - start < 15
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", gw.port)) != 0
    gw.serve = None


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signals(make, how):
    gw = make.server("lighttpd")
    gw.serve.send_signal(how)
    # A responder that does not hear it is killed after 15 seconds.
    assert gw.serve.wait(14) in (0, -how, 128 + how)


@pytest.mark.parametrize("name", ["files.fcgi", "health.fcgi"])
def test_respawn(make, name):
    gw = make.server("lighttpd", procs=2)
    gw.put_ok("u", "f", b"x")
    first = gw.responders(name)
    assert len(first) == 2, first
    for _ in range(3):
        for pid in gw.responders(name):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(gw.responders(name)) < 2:
            assert time.monotonic() < deadline, "not respawned"
            time.sleep(0.05)
    assert not set(first) & set(gw.responders(name))
    assert gw.content("u", "f") == b"x"
    mw.check_json(gw.call("GET", "/api/super/health"))


def lagging(pid, cpu):
    """The process runs only where and when nobody else wants to."""
    os.sched_setaffinity(pid, {cpu})
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


@pytest.mark.parametrize("procs", [1, 2])
@pytest.mark.parametrize("kind", ["lighttpd", "nginx"])
def test_the_death_of_idle_processes_is_not_seen(make, kind, procs):
    """Killed, but not yet dead, since the processor is busy: a process that waited for a
    request takes none with it any more."""
    gw = make.server(kind, procs=procs)
    gw.put_ok("u", "f", b"x")
    cpu = min(os.sched_getaffinity(0))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(busy.pid, {cpu})
        for _ in range(20):
            idle = gw.responders("files.fcgi")
            for pid in idle:
                lagging(pid, cpu)
            for pid in idle:
                os.kill(pid, signal.SIGKILL)
            assert gw.content("u", "f") == b"x"
            until(lambda: len(set(gw.responders("files.fcgi")) - set(idle)) == procs)
    finally:
        busy.kill()
        busy.wait()


@pytest.mark.parametrize("args,says", [
    (["--server", "iis"], "iis"), (["--port", "0"], "port"), (["--port", "99999"], "port"),
    (["--port", "x"], "port"), (["--procs", "0"], "procs"), (["--nonsense"], "nonsense"),
    (["--config", "/nonexistent.conf"], "/nonexistent.conf")])
def test_bad_arguments(make, args, says):
    gw = make()
    status, _, err = gw.moltctl("serve", "--port", str(mw.free_port()), *args)
    assert status not in (0, None) and says in err, (status, err)


def test_port_in_use(make):
    gw = make()
    with socket.socket() as s:
        s.bind(("127.0.0.1", mw.free_port()))
        s.listen()
        status, _, err = gw.moltctl("serve", "--port", str(s.getsockname()[1]),
                                    "--server", "lighttpd")
    assert status != 0 and err.strip(), (status, err)
    assert not gw.leftovers(30)


def test_bad_config_refuses(make):
    gw = make()
    gw.write("moltworker.conf", "nonsense = 1;\n")
    status, _, err = gw.moltctl("serve", "--config", gw.path("moltworker.conf"),
                                "--port", str(mw.free_port()))
    assert status != 0 and "nonsense" in err, (status, err)


def test_sixty_four_at_once(make):
    """More requests than processes: all are served."""
    import threading
    gw = make.server("lighttpd", procs=3)
    gw.put_ok("u", "f", b"x" * 10000)
    results = []

    def read():
        results.append(gw.content("u", "f"))
    threads = [threading.Thread(target=read) for _ in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [b"x" * 10000] * 64


def test_a_client_that_goes_away(make):
    """Half a request, then silence or a reset: others are served."""
    gw = make.server("lighttpd", procs=1)
    head = ("PUT %s HTTP/1.1\r\nHost: x\r\nX-Admin-Secret: %s\r\nContent-Type: text/plain\r\n"
            "Content-Length: 100000\r\n\r\npart" % (gw.target("u", "f"), gw.secret)).encode()
    socks = []
    for _ in range(5):
        s = socket.create_connection(("127.0.0.1", gw.port))
        s.sendall(head)
        socks.append(s)
    gw.put_ok("u", "g", b"x", timeout=10)
    for s in socks:
        s.close()
    gw.put_ok("u", "g", b"y", timeout=10)
    assert gw.content("u", "f") is None, "a short body is no file"


def test_help_names_no_secret(make):
    gw = make()
    p = subprocess.run([gateway.binary("moltctl")], env=gw.env(), capture_output=True, timeout=10)
    assert b"serve" in p.stdout + p.stderr
