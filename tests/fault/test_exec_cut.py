# SPDX-License-Identifier: BSD-2-Clause
"""Hazard: a lost connection ran a command again.  The connection to the sandbox
is cut at every byte, responders are killed: each command, which appends to a
file, has run exactly once, and its client got the right answer or an honest error.

MW_LONG=1: every byte, and many more kills."""
import os
import random
import signal
import socket
import threading
import time

import pytest

import gateway
import mw

LONG = bool(os.environ.get("MW_LONG"))
QUICK = {"retry.base": 5, "retry.max": 20, "retry.budget": 100000, "wake.ready_ttl": 600000,
         "breaker.failures": 1000}


EXEC = b"\x04"                  # the type of its frame


class Proxy:
    """Stands in front of the agent's socket.  plan: for each connection to come, a
    function (client, agent) that carries it; without one it is carried whole."""

    def __init__(self, path):
        self.path, self.real = path, path + ".real"
        os.rename(path, self.real)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.plan, self.count, self.answer = [], 0, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            # Only commands are cut, whoever else asks how the sandbox is.
            kind = client.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL)[3:4]
            how = self.plan.pop(0) if self.plan and kind == EXEC else whole
            threading.Thread(target=self.carry, args=(client, how), daemon=True).start()

    def carry(self, client, how):
        agent = socket.socket(socket.AF_UNIX)
        try:
            agent.connect(self.real)
            n = how(client, agent)
            self.answer = n if n is not None else self.answer
        except OSError:
            pass
        for s in (client, agent):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def close(self):
        self.listener.close()
        os.rename(self.real, self.path)


def request(client, agent):
    """Pass on one whole request: a head of eight bytes says how long it is."""
    head = b""
    while len(head) < 8:
        got = client.recv(8 - len(head))
        if not got:
            raise OSError("no request")
        head += got
    left = int.from_bytes(head[4:], "big")
    agent.sendall(head)
    while left:
        got = client.recv(min(left, 65536))
        if not got:
            raise OSError("half a request")
        agent.sendall(got)
        left -= len(got)


def whole(client, agent):
    request(client, agent)
    n = 0
    while True:
        got = agent.recv(65536)
        if not got:
            return n
        client.sendall(got)
        n += len(got)


def answer_cut_after(n, cuts=None):
    """The agent's work is done; its answer ends after n bytes.  cuts gets an element
    if there were more: the frames of an answer are not always the same."""
    def carry(client, agent):
        request(client, agent)
        left = n
        while left:
            got = agent.recv(left)
            if not got:
                return
            left -= len(got)
            if not left and agent.recv(1) and cuts is not None:
                cuts.append(n)
            client.sendall(got)
        if not n and agent.recv(1) and cuts is not None:
            cuts.append(n)
    return carry


def request_cut_after(n):
    """The agent gets n bytes of the request."""
    def carry(client, agent):
        got = b""
        while len(got) < n:
            more = client.recv(n - len(got))
            if not more:
                return
            got += more
        agent.sendall(got)
    return carry


def cut_at(seconds):
    """Cut while the command runs."""
    def carry(client, agent):
        request(client, agent)
        agent.settimeout(seconds)
        try:
            client.sendall(agent.recv(65536))
        except TimeoutError:
            pass
    return carry


@pytest.fixture
def cut(make):
    gw = make(QUICK)
    gw.without_drain()                  # it looks at jobs, too
    assert mw.check_json(gw.exec("u", "true"))["exitCode"] == 0
    deadline = time.monotonic() + 30
    while any(" wake u" in gateway.command_line(p) for p in gateway.processes_of(gw.dir)):
        assert time.monotonic() < deadline, "the wake does not end"
    gw.proxy = Proxy(gw.path("sandboxes", ".run", "u", "sock"))
    yield gw
    gw.proxy.close()


def ran(gw, name):
    try:
        with open(gw.sandbox("u", name)) as f:
            return f.read()
    except FileNotFoundError:
        return ""


def once(gw, name, plan, command="echo x >>%s; echo out; echo err >&2; exit 3"):
    gw.proxy.plan = list(plan)
    r = gw.exec("u", command % name)
    assert not gw.proxy.plan, "not all of the plan was asked for"
    obj = mw.check_json(r)
    assert (obj["exitCode"], obj["stdout"], obj["stderr"]) == (3, "out\n", "err\n"), obj
    assert ran(gw, name) == "x\n", (name, ran(gw, name))
    return r


def test_answer_is_cut(cut):
    once(cut, "whole", [whole])
    deadline = time.monotonic() + 60
    while cut.proxy.answer < 100:
        assert time.monotonic() < deadline
    cuts = []
    for n in range(0, cut.proxy.answer, 1 if LONG else 5):
        r = once(cut, "a%d" % n, [answer_cut_after(n, cuts)])
        assert r.get("X-Attempts") == ("2" if n in cuts else "1"), r
    assert len(cuts) >= (100 if LONG else 20), cuts
    once(cut, "twice", [answer_cut_after(50), answer_cut_after(0)])


def test_request_is_cut(cut):
    places = {0, 1, 7, 8, 9, 27, 28, 29, 100, 1000, 5000, 9000}
    for n in sorted(places | set(range(0, 9000, 50) if LONG else ())):
        once(cut, "r%d" % n, [request_cut_after(n)])


def test_cut_while_it_runs(cut):
    slow = "echo x >>%s; echo out; sleep 0.3; echo err >&2; exit 3"
    for n in range(60 if LONG else 6):
        once(cut, "w%d" % n, [cut_at(0.005 + n * (0.01 if LONG else 0.1))], slow)


def test_no_answer_at_all(cut):
    """Every attempt is cut: an error that names the process, which ran, and is none to repeat."""
    cut.proxy.plan = [answer_cut_after(40) for _ in range(3)]
    obj = mw.check_error(cut.exec("u", "echo x >>none; echo out"), "sandbox_unreachable",
                         userId="u", attempts=3, retryable=False)
    pid = obj["details"]["processId"]
    deadline = time.monotonic() + 60
    while True:
        obj = mw.check_json(cut.process("u", pid, "wait=5000"))
        if not obj["running"]:
            break
        assert time.monotonic() < deadline
    assert obj["stdout"] == "out\n" and obj["exitCode"] == 0 and ran(cut, "none") == "x\n"


def test_client_repeats_with_a_key(cut):
    for n in range(5):
        cut.proxy.plan = [answer_cut_after(n * 9)] * 3
        mw.check_error(cut.exec("u", "echo x >>k%d" % n, idempotencyKey="k%d" % n),
                       "sandbox_unreachable")
        obj = mw.check_json(cut.exec("u", "echo x >>k%d" % n, idempotencyKey="k%d" % n))
        assert obj["exitCode"] == 0 and ran(cut, "k%d" % n) == "x\n"


def test_upload_is_cut(cut):
    """What does not fit one call goes in parts, each of which may be lost."""
    for n in range(4):
        cut.proxy.plan = [whole] * n + [answer_cut_after(4)]
        obj = mw.check_json(cut.exec("u", "echo x >>p%d; wc -c" % n, stdin="y" * 9000000))
        assert obj["stdout"].strip() == "9000000" and ran(cut, "p%d" % n) == "x\n", obj


def test_responders_are_killed(make):
    gw = make.server("lighttpd", QUICK, procs=3)
    assert mw.check_json(gw.exec("u", "true"))["exitCode"] == 0
    seed = int(os.environ.get("MW_SEED", str(random.SystemRandom().randrange(10 ** 6))))
    rnd, cuts = random.Random(seed), 0
    for n in range(100 if LONG else 12):
        killer = threading.Timer(rnd.uniform(0, 0.15), lambda: [
            os.kill(p, signal.SIGKILL) for p in gw.responders("exec.fcgi")])
        killer.start()
        deadline = time.monotonic() + 30
        while True:
            r = gw.exec("u", "echo x >>q%d; sleep 0.05; echo out" % n, idempotencyKey="q%d" % n)
            if r.status == 200 and r.complete:
                break
            cuts += 1
            assert r.status in (0, 500, 502, 503, 504), (seed, r)
            assert time.monotonic() < deadline, (seed, r)
            time.sleep(0.02)
        killer.join()
        assert r.json()["stdout"] == "out\n" and ran(gw, "q%d" % n) == "x\n", (seed, n, r)
    assert cuts > 0, "nothing was killed in time (seed %d)" % seed
