# SPDX-License-Identifier: BSD-2-Clause
"""Exec: every way a command can end, and every way its output is read."""
import base64
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import gateway
import mw
from mwfixtures import combinations

RESULT = {
    "userId": str, "command": str, "processId": str, "exitCode": int, "stdout": str,
    "stderr": str, "stdoutEncoding": str, "stderrEncoding": str, "stdoutTruncated": bool,
    "stderrTruncated": bool, "duration": int, "timestamp": str,
}
STARTED = {
    "userId": str, "command": str, "processId": str, "status": str, "stream": bool,
    "pollEndpoint": str, "streamEndpoint": str, "timestamp": str,
}
STATE = {"status": str, "running": bool, "exitCode": (int, type(None)),
         "startedAt": (str, type(None)), "endedAt": (str, type(None)), "duration": int}
STATUS = dict(STATE, **{
    "userId": str, "processId": str, "found": bool, "stdout": str, "stderr": str,
    "stdoutEncoding": str, "stderrEncoding": str, "stdoutTruncated": bool,
    "stderrTruncated": bool, "nextStdoutOffset": int, "nextStderrOffset": int,
    "timestamp": str})
LISTED = dict(STATE, processId=str, command=str)


@pytest.fixture(params=[c for c in combinations(every=True) if "-dir" in c])
def gw(request, shared):
    """Behind each server; another store changes only where results are kept."""
    return shared.get(request.param)


@pytest.fixture(params=[c for c in combinations() if c.startswith("direct-")])
def store_gw(request, shared):
    return shared.get(request.param)


@pytest.fixture
def box(direct):
    """A user of the plain CGI, for what no server changes."""
    name = "box-%s" % direct.new_user()
    yield name
    direct.end_sandboxes()


def done(r):
    obj = mw.check_json(r)
    mw.check_members(obj, RESULT)
    return obj


def status(r):
    obj = mw.check_json(r)
    mw.check_members(obj, STATUS)
    return obj


def plain(obj, name="stdout"):
    text = obj[name]
    return base64.b64decode(text) if obj[name + "Encoding"] == "base64" else text.encode()


def start(gw, user, command, **kw):
    obj = mw.check_json(gw.exec(user, command, stream=True, **kw))
    mw.check_members(obj, STARTED)
    assert obj["status"] == "started" and obj["stream"] is True, obj
    return obj["processId"]


def wait_end(gw, user, pid, query=""):
    deadline = time.monotonic() + 60
    while True:
        obj = status(gw.process(user, pid, query + "&wait=5000"))
        if not obj["running"]:
            return obj
        assert time.monotonic() < deadline, obj


# ---- how a command ends ----

ENDS = [
    ("true", 0, "", ""),
    ("echo out; echo err >&2", 0, "out\n", "err\n"),
    ("exit 3", 3, "", ""),
    ("kill -9 $$", 137, "", ""),
    ("kill -TERM $$", 143, "", ""),
    ("printf '%s' 'quotes \" '\\'' $HOME `x` \\\\ \n newline'", 0,
     "quotes \" ' $HOME `x` \\\\ \n newline", ""),
    ("cat; echo end", 0, "end\n", ""),
]


def test_ends(gw, user):
    for command, code, out, err in ENDS:
        obj = done(gw.exec(user, command))
        assert (obj["exitCode"], obj["stdout"], obj["stderr"]) == (code, out, err), obj
        assert obj["command"] == command and obj["userId"] == user
        assert obj["stdoutEncoding"] == obj["stderrEncoding"] == "utf-8"
        assert not obj["stdoutTruncated"] and not obj["stderrTruncated"]


def test_not_found_is_an_exit_code(direct, box):
    """Hazard: "not found" in any text meant that the sandbox was gone."""
    obj = done(direct.exec(box, "no-such-command-here"))
    assert obj["exitCode"] == 127 and "not found" in obj["stderr"], obj
    assert done(direct.exec(box, ": >plain; ./plain"))["exitCode"] == 126


def test_cannot_be_started(direct, box):
    for members in ({"command": "if; then"}, {"command": "echo 'open"},
                    {"command": "pwd", "workingDir": "no/such"},
                    {"command": "pwd", "workingDir": "/no/such"}):
        obj = mw.check_error(direct.exec(box, **members), "command_error", userId=box,
                             command=members["command"])
        assert obj["details"]["processId"], obj
    assert mw.check_json(direct.exec(box, "touch ran; if; then", stream=True), 500)
    assert done(direct.exec(box, "ls"))["stdout"] == ""


def test_env_and_directory_are_data(direct, box):
    """Hazard: they were pasted into shell text."""
    nasty = "'; touch hacked; echo \"$(touch hacked)`touch hacked`\n\\\n\n"
    obj = done(direct.exec(box, 'printf %s "$A" "$B" "$EMPTY" "${EMPTY+set}"', env={
        "A": nasty, "B": "".join(map(chr, range(1, 128))) + "äö\u20ac", "EMPTY": "",
        "mw_job": "x", "mw_name": "y", "PATH": "/usr/bin:/bin"}))
    assert obj["stdout"] == nasty + "".join(map(chr, range(1, 128))) + "äö\u20ac" + "set", obj
    done(direct.exec(box, "mkdir -p \"a dir'; touch hacked\"/b"))
    obj = done(direct.exec(box, "pwd; ls", workingDir="a dir'; touch hacked"))
    assert obj["stdout"].endswith("/a dir'; touch hacked\nb\n"), obj
    assert done(direct.exec(box, "pwd", workingDir="/tmp"))["stdout"] == "/tmp\n"
    assert "hacked" not in done(direct.exec(box, "ls"))["stdout"].splitlines()


def test_as_people_know_it(gw, user):
    obj = done(gw.exec(user, "grep -E '^Sig(Blk|Ign)' /proc/self/status; echo $TERM $LANG; "
                       "for i in HOME USER LOGNAME SHELL PATH; do env | grep -c ^$i=.; done"))
    words = obj["stdout"].split()
    assert mw.no_signal(words[1]) and mw.no_signal(words[3]), obj
    assert words[::2][:2] == ["SigBlk:", "SigIgn:"] and words[4:] == ["dumb", "C.UTF-8"] + ["1"] * 5, obj


def test_undisturbed(direct, box):
    """A command sees no variable, descriptor or word of the wrapper's."""
    obj = done(direct.exec(box, "env; echo $#; umask; ls /proc/self/fd >fds; cat fds"))
    assert "mw_" not in obj["stdout"], obj["stdout"]
    assert obj["stdout"].split()[-6:] == ["0", "0022", "0", "1", "2", "3"], obj["stdout"]


def test_pgrep_does_not_find_the_wrapper(direct, box):
    word = "w%d" % random.randrange(10 ** 9)
    obj = done(direct.exec(box, "ps -A -o args | grep -c '[%s]%s'" % (word[0], word[1:]),
                       env={"V": word}, stdin=word))
    assert obj["stdout"] == "0\n", obj


def test_stdin(gw, user):
    data = "line\n\0NUL and more\0\n" + "x" * 100
    assert done(gw.exec(user, "cat", stdin=data))["stdout"] == data
    assert done(gw.exec(user, "cat; echo", stdin=""))["stdout"] == "\n"
    if gw.kind == "htaccess":
        pytest.skip("mod_fcgid's 128 KiB body limit cannot be raised in .htaccess")
    obj = done(gw.exec(user, "wc -c", stdin="y" * 9000000))
    assert obj["stdout"].strip() == "9000000", obj


def test_long_command(direct, box):
    text = "a" * 131000
    obj = done(direct.exec(box, "printf %%s '%s' | wc -c" % text))
    assert obj["stdout"].strip() == "131000", obj


def test_binary_output(gw, user):
    obj = done(gw.exec(user, r"printf '\000\377\200x'; printf 'a\000b' >&2"))
    assert obj["stdoutEncoding"] == "base64" and obj["stderrEncoding"] == "utf-8", obj
    assert plain(obj) == b"\0\xff\x80x" and plain(obj, "stderr") == b"a\0b"


def test_much_output(direct, box):
    """100 MB: the answer has a MiB, the sandbox keeps 64, the command notices nothing."""
    obj = done(direct.exec(box, "head -c 100000000 /dev/zero | tr '\\0' x; echo ok >&2",
                           limit=100000, timeout=120))
    assert obj["exitCode"] == 0 and obj["stderr"] == "ok\n", obj["stderr"]
    assert obj["stdoutTruncated"] and not obj["stderrTruncated"]
    assert obj["stdout"] == "x" * 1048576
    end = 67108864
    obj = status(direct.process(box, obj["processId"], "stdoutOffset=%d" % (end - 10),
                                timeout=120))
    assert obj["stdout"] == "x" * 10 and obj["stdoutTruncated"], obj
    assert obj["nextStdoutOffset"] == end and obj["status"] == "completed"


def test_truncated_text_is_text(direct, box):
    """The cap falls into a character."""
    obj = done(direct.exec(box, "printf a; i=0; while [ $i -lt 40 ]; do "
                       "head -c 30000 /dev/zero | tr '\\0' x | sed 's/x/\u20ac/g'; i=$((i+1)); done"))
    assert obj["stdoutEncoding"] == "utf-8" and obj["stdoutTruncated"]
    n = len(obj["stdout"].encode())
    assert 1048576 - 4 < n <= 1048576 and set(obj["stdout"][1:]) == {"\u20ac"}
    rest = status(direct.process(box, obj["processId"], "stdoutOffset=%d" % n))
    assert rest["stdoutEncoding"] == "utf-8" and set(rest["stdout"]) == {"\u20ac"}


def test_timeout(gw, user):
    r = gw.exec(user, "echo part; echo err >&2; sleep 60; touch late", limit=1000)
    obj = r.json()
    extra = {"stdout": "part\n", "stderr": "err\n", "exitCode": -1, "partial": True}
    assert r.status == 504 and obj["code"] == "command_timeout" and not obj["retryable"], obj
    for name, value in extra.items():
        assert obj[name] == value, obj
    assert obj["duration"] >= 900 and obj["command"].startswith("echo part")
    obj = status(gw.process(user, obj["details"]["processId"]))
    assert obj["status"] == "timeout" and obj["exitCode"] == -1
    assert done(gw.exec(user, "ls"))["stdout"] == ""


def test_timeout_of_what_ignores_term(direct, box):
    r = direct.exec(box, "trap '' TERM; echo $$; sleep 60; sleep 60", limit=1000)
    assert r.status == 504, r
    pid = r.json()["stdout"].strip()
    obj = done(direct.exec(box, "ps -A -o pgid= | grep -c '^ *%s$'" % pid))
    assert obj["stdout"] == "0\n", obj


def test_timeout_ends_the_whole_session(gw, user):
    r = gw.exec(user, "timeout 100 sleep 77 & echo $!; sleep 60", limit=1000)
    assert r.status == 504, r
    obj = done(gw.exec(user, "[ -d /proc/%d ] || echo gone" % int(r.json()["stdout"])))
    assert obj["stdout"] == "gone\n", obj


def test_children_that_hold_stdout(direct, box):
    before = time.monotonic()
    obj = done(direct.exec(box, "echo a; sleep 50 & echo b"))
    assert obj["stdout"] == "a\nb\n" and time.monotonic() - before < 40, obj


# ---- parameters ----

BAD = [
    ({}, "command"), ({"command": 5}, "command"), ({"command": None}, "command"),
    ({"command": ""}, "command"), ({"command": "a\0b"}, "command"),
    ({"timeout": "abc"}, "timeout"), ({"timeout": 1.5}, "timeout"), ({"timeout": []}, "timeout"),
    ({"maxWakeTime": -1}, "maxWakeTime"), ({"maxWakeTime": "x"}, "maxWakeTime"),
    ({"env": []}, "env"), ({"env": {"A": 1}}, "env"), ({"env": {"A-B": "x"}}, "env"),
    ({"env": {"A": "a\0"}}, "env"), ({"env": {"": "a"}}, "env"), ({"env": {"A": {}}}, "env"),
    ({"env": {"PPID": "1"}}, "env"),
    ({"workingDir": 1}, "workingDir"), ({"workingDir": "a\0b"}, "workingDir"),
    ({"workingDir": "a/../../b"}, "workingDir"), ({"stdin": 1}, "stdin"),
    ({"stream": "yes"}, "stream"), ({"requireGateway": 1}, "requireGateway"),
    ({"idempotencyKey": ""}, "idempotencyKey"), ({"idempotencyKey": "a\n"}, "idempotencyKey"),
    ({"idempotencyKey": "k" * 256}, "idempotencyKey"),
]


def test_bad_parameters(direct, box):
    for members, name in BAD:
        doc = dict(members)
        if name != "command":
            doc["command"] = "touch ran"
        obj = mw.check_error(direct.exec(box, **{k if k != "timeout" else "limit": v
                                              for k, v in doc.items()}), "invalid_argument")
        assert name in obj["error"], (members, obj)
    r = direct.call("POST", "/api/super/users/%s/exec" % box, body=b'{"command":')
    mw.check_error(r, "invalid_json")
    r = direct.call("POST", "/api/super/users/%s/exec" % box, body=b'["ls"]')
    mw.check_error(r, "invalid_argument")


def test_env_that_no_system_takes(direct, box):
    """It is refused before anything runs; what just fits is passed on."""
    most = 128 * 1024 - len("A=") - 1
    assert done(direct.exec(box, "echo ${#A}", env={"A": "x" * most}))["stdout"] == "%d\n" % most
    many = {"V%d" % i: "x" * 100000 for i in range(18)}
    assert done(direct.exec(box, "/bin/echo ok", env=many))["stdout"] == "ok\n"
    for env in {"A": "x" * (most + 1)}, {"V%d" % i: "x" * 100000 for i in range(20)}:
        obj = mw.check_error(direct.exec(box, "touch ran", env=env), "invalid_argument")
        assert obj["error"].startswith("env: "), obj["error"][:200]
    assert done(direct.exec(box, "ls"))["stdout"] == ""


def test_clamps(direct, box):
    """Hazard: timeout:"abc" became NaN and killed the command after 1 ms."""
    for limit in (0, -5, 1):
        assert done(direct.exec(box, "sleep 0.3; echo ok", limit=limit))["stdout"] == "ok\n"
    assert done(direct.exec(box, "echo ok", limit=10 ** 30, maxWakeTime=10 ** 30))["stdout"] == "ok\n"
    obj = done(direct.exec(box, "echo ok", env=None, workingDir=None, stdin=None, unknown={"a": [1]}))
    assert obj["stdout"] == "ok\n"


def test_bad_queries(direct, box):
    pid = start(direct, box, "true")
    for query in ("wait=x", "wait=-1", "stdoutOffset=-1", "stderrOffset=1.5"):
        obj = mw.check_error(direct.process(box, pid, query), "invalid_argument")
        assert query.split("=")[0] in obj["error"], obj
    for bad in ("nope", "job-000000000000000000000000", "%2e%2e%2fx", "a%00b"):
        assert direct.process(box, bad).status in (400, 404)
        assert direct.process(box, bad, method="DELETE", what="").status in (400, 404)
    mw.check_error(direct.process(box, "job-0"), "process_not_found")
    mw.check_error(direct.call("PUT", "/api/super/users/%s/exec" % box, body=b"{}"),
                   "method_not_allowed")


# ---- following ----

def test_stream_and_poll(gw, user):
    pid = start(gw, user, "echo one; sleep 0.5; echo two; echo err >&2; exit 7")
    out, err, offsets = b"", b"", [0, 0]
    while True:
        obj = status(gw.process(user, pid, "stdoutOffset=%d&stderrOffset=%d&wait=10000"
                                % tuple(offsets)))
        out += plain(obj)
        err += plain(obj, "stderr")
        offsets = [obj["nextStdoutOffset"], obj["nextStderrOffset"]]
        if not obj["running"]:
            break
        assert obj["status"] == "running" and obj["exitCode"] is None
    assert (out, err, obj["exitCode"], obj["status"]) == (b"one\ntwo\n", b"err\n", 7, "failed")
    assert mw.TIME.match(obj["startedAt"]) and mw.TIME.match(obj["endedAt"])
    assert obj["duration"] >= 400


def test_wait_is_held_until_something_is_new(gw, user):
    pid = start(gw, user, "sleep 1; echo x; sleep 30")
    obj = status(gw.process(user, pid, "wait=20000"))
    assert obj["stdout"] == "x\n" and obj["running"], obj
    before = time.monotonic()
    obj = status(gw.process(user, pid, "stdoutOffset=2&wait=700"))
    assert obj["stdout"] == "" and obj["nextStdoutOffset"] == 2
    assert time.monotonic() - before >= 0.6
    status(gw.process(user, pid, method="DELETE", what=""))


LIAR = """mw_n=$1 mw_m=$2 mw_do=$3 mw_id=$4 mw_marker=$5 mw_wait=$6
shift 6
echo "$mw_do" >>"$MW_ROOT/calls"
exec sh "$MW_RUN_DIR/true.sh" "$mw_n" "$mw_m" "$mw_do" "$mw_id" "$mw_marker" 0 "$@"
"""


def lie(gw, user):
    """Its user has changed the wrapper: it waits for nothing.  What it was called for."""
    script, = [os.path.join(d, f) for d, _, files in os.walk(gw.run_dir(user))
               for f in files if re.match("job-[0-9a-f]{16}$", f)]
    os.rename(script, os.path.join(os.path.dirname(script), "true.sh"))
    with open(script, "w") as f:
        f.write(LIAR)
    return lambda: sum(1 for _ in open(gw.sandbox(user, "calls")))


def test_a_sandbox_that_does_not_wait(direct, box):
    """It is asked ten times a second, not as often as it can answer."""
    pid = start(direct, box, "sleep 60")
    calls = lie(direct, box)
    assert status(direct.process(box, pid, "wait=1500"))["running"]
    assert 2 <= calls() <= 16
    os.unlink(direct.sandbox(box, "calls"))
    assert done(direct.exec(box, "sleep 1.5"))["exitCode"] == 0
    assert 2 <= calls() <= 18
    short = start(direct, box, "sleep 1.5")
    os.unlink(direct.sandbox(box, "calls"))
    evs = events(direct.process(box, short, what="/stream").body.decode())
    assert evs[-1][0] == "exit" and 2 <= calls() <= 18
    status(direct.process(box, pid, method="DELETE", what=""))


def test_kill(direct, box):
    for command, code in (("echo x; sleep 60", 143),
                          ("trap '' TERM; echo x; sleep 60; sleep 60", 137)):
        pid = start(direct, box, command)
        status(direct.process(box, pid, "wait=20000"))
        obj = status(direct.process(box, pid, method="DELETE", what="", timeout=60))
        assert obj["status"] == "killed" and obj["exitCode"] == code, obj
        again = status(direct.process(box, pid, method="DELETE", what=""))
        assert again["status"] == "killed" and again["endedAt"] == obj["endedAt"]
    pid = done(direct.exec(box, "exit 4"))["processId"]
    assert status(direct.process(box, pid, method="DELETE", what=""))["exitCode"] == 4


def test_kill_ends_a_blocking_exec(gw, user):
    if gw.kind != "direct" and gw.procs < 2:
        pytest.skip("one process only")
    got = {}
    t = threading.Thread(target=lambda: got.update(r=gw.exec(user, "echo x; sleep 50", limit=60000,
                                                             timeout=100)))
    t.start()
    deadline = time.monotonic() + 30
    listed = []
    while not listed and time.monotonic() < deadline:
        listed = [p for p in mw.check_json(gw.call("GET", "/api/super/users/%s/exec" % user))
                  ["processes"] if p["startedAt"]]
    status(gw.process(user, listed[0]["processId"], method="DELETE", what=""))
    t.join()
    obj = done(got["r"])
    assert obj["exitCode"] == 143 and obj["stdout"] == "x\n", obj


def test_list(direct, box):
    obj = mw.check_json(direct.call("GET", "/api/super/users/%s/exec" % box))
    mw.check_members(obj, {"userId": str, "processes": list, "count": int, "timestamp": str})
    assert obj["count"] == 0
    first = done(direct.exec(box, "exit 2"))["processId"]
    second = start(direct, box, "sleep 30")
    obj = mw.check_json(direct.call("GET", "/api/super/users/%s/exec" % box))
    assert [p["processId"] for p in obj["processes"]] == [second, first] and obj["count"] == 2
    for p in obj["processes"]:
        mw.check_members(p, LISTED)
    assert [p["status"] for p in obj["processes"]] == ["running", "failed"], obj
    status(direct.process(box, second, method="DELETE", what=""))


def test_other_users_see_nothing(direct, box):
    """Hazard: any box could read any job."""
    pid = done(direct.exec(box, "echo secret"))["processId"]
    other = "x" + box
    mw.check_error(direct.process(other, pid), "process_not_found")
    mw.check_error(direct.process(other, pid, what="/stream"), "process_not_found")
    mw.check_error(direct.process(other, pid, method="DELETE", what=""), "process_not_found")
    assert mw.check_json(direct.call("GET", "/api/super/users/%s/exec" % other))["count"] == 0


def test_idempotency_key(direct, box):
    members = {"command": "echo once >>times; cat times", "env": {"A": "1"},
               "idempotencyKey": "k1"}
    first = done(direct.exec(box, **members))
    again = done(direct.exec(box, **members))
    assert again["processId"] == first["processId"] and again["stdout"] == "once\n"
    for change in ({"command": "echo twice"}, {"env": {"A": "2"}}, {"stdin": "x"},
                   {"workingDir": "/tmp"}):
        obj = mw.check_error(direct.exec(box, **dict(members, **change)), "conflict")
        assert "idempotencyKey" in obj["error"]
    got = []
    threads = [threading.Thread(target=lambda: got.append(direct.exec(
        box, "sleep 0.3; echo once >>many; cat many", idempotencyKey="k2")))
        for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    objs = [done(r) for r in got]
    assert {o["stdout"] for o in objs} == {"once\n"} and len({o["processId"] for o in objs}) == 1
    assert done(direct.exec("x" + box, **members))["processId"] != first["processId"]


# ---- SSE ----

def events(text):
    """[(event, id, data)]; comments are dropped."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n")
                      if line and not line.startswith(":"))
        if fields:
            found.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return found


def joined(evs, name):
    return b"".join(base64.b64decode(d["data"]) if d["encoding"] == "base64" else
                    d["data"].encode() for e, _, d in evs if e == name)


def test_sse(gw, user):
    pid = start(gw, user, r"echo ä; echo e >&2; sleep 0.3; printf '\377\000'; exit 3")
    r = gw.process(user, pid, what="/stream")
    assert r.status == 200 and r.complete, r
    assert r.get("Content-Type").startswith("text/event-stream")
    evs = events(r.body.decode())
    assert joined(evs, "stdout") == "ä\n".encode() + b"\xff\0" and joined(evs, "stderr") == b"e\n"
    assert evs[-1][0] == "exit" and evs[-1][2]["exitCode"] == 3
    mw.check_members(evs[-1][2], dict(STATE, userId=str, processId=str))
    target = "/api/super/users/%s/exec/%s/stream" % (user, pid)
    for i, (_, ident, _) in enumerate(evs):
        rest = events(gw.call("GET", target, [("Last-Event-ID", ident)]).body.decode())
        for name in ("stdout", "stderr"):
            assert joined(evs[:i + 1], name) + joined(rest, name) == joined(evs, name), ident
    # in the middle of a character
    rest = events(gw.call("GET", target, [("Last-Event-ID", "1-0")]).body.decode())
    assert joined(rest, "stdout") == "ä\n".encode()[1:] + b"\xff\0"
    mw.check_error(gw.call("GET", target, [("Last-Event-ID", "x")]), "invalid_argument")


def test_sse_is_live(gw, user):
    """Each event arrives when it is written, not at the end."""
    if gw.kind == "direct":
        pytest.skip("no connection to read from")
    if gw.kind == "htaccess":
        pytest.skip("mod_fcgid collects 64 KiB, and a .htaccess cannot change that")
    pid = start(gw, user, "echo first; sleep 2; echo second")
    seen = {}
    with socket.create_connection(("127.0.0.1", gw.port), 60) as s:
        s.sendall(mw.head_bytes("GET", "/api/super/users/%s/exec/%s/stream" % (user, pid),
                                [("X-Admin-Secret", gw.secret)], None, "localhost"))
        text = b""
        while b"event: exit" not in text:
            got = s.recv(65536)
            assert got, text
            text += got
            for word in (b"first", b"second"):
                if word in text:
                    seen.setdefault(word, time.monotonic())
    assert seen[b"second"] - seen[b"first"] > 1, seen


def resident(pid):
    """Its own memory, without pages of the programs and libraries it runs."""
    with open("/proc/%d/statm" % pid) as f:
        _, resident, shared = f.read().split()[:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE")


def test_sse_holds_no_memory_of_its_looks(direct, box):
    """Many of them, and the responder is as large as after the first few."""
    if gateway.SANITIZED or not direct.local:
        pytest.skip("a sanitizer keeps what was freed; a slow driver has too few looks")
    pid = start(direct, box, "while sleep 0.002; do echo x; done", limit=120000)
    target = "/api/super/users/%s/exec/%s/stream" % (box, pid)
    env = direct.cgi_env("GET", target, [("X-Admin-Secret", direct.secret)], None, None)
    sizes = []
    with subprocess.Popen([gateway.binary("exec.fcgi")], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        for line in p.stdout:
            if line.startswith(b"event: stdout"):
                sizes.append(resident(p.pid))
                if len(sizes) == 50:
                    mw.check_json(direct.process(box, pid, method="DELETE", what=""))
        assert p.wait() == 0 and line == b"\n"
    assert len(sizes) >= 50
    # It was more than 300 bytes for each.  The last looks find the job ended, and keep its result.
    assert sizes[49] - sizes[10] < 4096 + 100 * 40, (len(sizes), sizes[10], sizes[49])


# ---- many readers ----

def test_parallel_pollers(direct, box):
    """Hazard: each poll returned all of it.  Random offsets rebuild the same bytes."""
    seed = random.randrange(10 ** 6)
    want = "".join("%d ä\u20ac\n" % i for i in range(400)).encode()
    pid = start(direct, box, "i=0; while [ $i -lt 400 ]; do printf '%d ä\u20ac\\n' $i; "
                "[ $((i % 40)) -ne 0 ] || sleep 0.05; i=$((i+1)); done")
    failures = []

    def poll(n):
        rnd = random.Random("%d.%d" % (seed, n))
        try:
            have, end = bytearray(), False
            while not end:
                back = rnd.randrange(0, 30) if have else 0
                at = max(0, len(have) - back)
                obj = status(direct.process(box, pid, "stdoutOffset=%d&wait=2000" % at, timeout=60))
                got = plain(obj)
                assert obj["nextStdoutOffset"] == at + len(got)
                have[at:at + len(got)] = got
                end = not obj["running"] and obj["nextStdoutOffset"] >= len(have)
            assert bytes(have) == want
        except Exception as e:          # a thread's failure is the test's
            failures.append((seed, n, e))
    threads = [threading.Thread(target=poll, args=(n,)) for n in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures


# ---- results that outlive the sandbox ----

def test_result_after_sleep(store_gw):
    """Hazard: results vanished."""
    gw, user = store_gw, "%s-%s" % (store_gw.name, store_gw.new_user())
    done_pid = start(gw, user, r"echo kept; printf '\377' >&2; exit 5")
    obj = wait_end(gw, user, done_pid)
    gw.end_sandboxes()
    after = status(gw.process(user, done_pid))
    assert {k: v for k, v in after.items() if k != "timestamp"} == \
        {k: v for k, v in obj.items() if k != "timestamp"}
    assert status(gw.process(user, done_pid, "stdoutOffset=2"))["stdout"] == "pt\n"
    evs = events(gw.process(user, done_pid, what="/stream").body.decode())
    assert joined(evs, "stdout") == b"kept\n" and joined(evs, "stderr") == b"\xff"
    r = gw.list(user, "source=r2&recursive=true")
    assert r.status == 404 or b"moltworker" not in r.body, r


def holders(gw, user):
    return [c for c in gw.leftovers(0).values() if c.endswith(" hold " + user)]


def test_status_never_wakes(direct, box):
    pid = start(direct, box, "sleep 60")
    direct.end_sandboxes()
    # An empty one that has its name already is no reason to wait for anything.
    code = "process_lost" if direct.comes_back_empty else "sandbox_hibernating"
    for what in ("/status", "/stream", ""):
        r = direct.process(box, pid, what=what, method="GET" if what else "DELETE")
        mw.check_error(r, code)
    assert mw.check_json(direct.call("GET", "/api/super/users/%s/exec" % box))["count"] == 1
    assert not holders(direct, box)


def test_lost(direct, box):
    """The sandbox is replaced by an empty one while the command runs."""
    pid = start(direct, box, "echo x; sleep 60")
    finished = done(direct.exec(box, "echo y"))["processId"]
    direct.replace(box)
    assert done(direct.exec(box, "echo new"))["stdout"] == "new\n"
    for _ in range(2):
        mw.check_error(direct.process(box, pid), "process_lost")
    mw.check_error(direct.process(box, finished), "process_lost")
    mw.check_error(direct.process(box, pid, method="DELETE", what=""), "process_lost")
    assert [p["status"] for p in mw.check_json(direct.call(
        "GET", "/api/super/users/%s/exec" % box))["processes"]] == ["completed", "completed", "lost"]


def test_lost_without_its_processes(direct, box):
    """The same instance, but everything in it was killed."""
    pid = start(direct, box, "echo x; sleep 60")
    status(direct.process(box, pid, "wait=20000"))
    direct.end_sandboxes()
    assert done(direct.exec(box, "echo again"))["stdout"] == "again\n"
    mw.check_error(direct.process(box, pid), "process_lost")


# ---- many jobs ----

def test_turns(make):
    """Beyond exec.max_jobs a command waits for its turn, and then it is a 429."""
    gw = make({"exec.max_jobs": 2})
    pids = [start(gw, "u", "sleep 60") for _ in range(2)]
    r = gw.exec("u", "echo x", maxWakeTime=0)
    assert mw.check_error(r, "too_many_requests")["error"].count("max_jobs")
    assert done(gw.exec("other", "echo x"))["exitCode"] == 0
    got = {}
    t = threading.Thread(target=lambda: got.update(r=gw.exec("u", "echo turn", timeout=60)))
    t.start()
    time.sleep(0.5)
    assert not got
    status(gw.process("u", pids[0], method="DELETE", what=""))
    t.join()
    assert done(got["r"])["stdout"] == "turn\n"


def test_ended_jobs_hold_no_place(make):
    """Nobody has asked for their status, and they make room all the same."""
    gw = make({"exec.max_jobs": 2})
    for _ in range(2):
        start(gw, "u", "true")
    assert done(gw.exec("u", "echo room"))["stdout"] == "room\n"


def start_and_term(gw, name, delay):
    """A blocking exec, and TERM for its responder `delay` after its job is listed."""
    got = {}
    t = threading.Thread(target=lambda: got.update(r=gw.exec(
        "u", "echo x >>%s; sleep 30" % name, limit=60000, timeout=100)))
    before = mw.check_json(gw.call("GET", "/api/super/users/u/exec"))["count"]
    t.start()
    deadline = time.monotonic() + 30
    while mw.check_json(gw.call("GET", "/api/super/users/u/exec"))["count"] == before:
        assert time.monotonic() < deadline
    time.sleep(delay)
    began = time.monotonic()
    for pid in gw.responders("exec.fcgi"):
        os.kill(pid, signal.SIGTERM)
    t.join()
    assert time.monotonic() - began < 20
    return got["r"]


def test_term_ends_the_wait_not_the_command(make):
    """Wherever it meets the request, also in its first call: what was or may have been
    started is named, and what is not named was not started."""
    gw = make.server("lighttpd")
    done(gw.exec("u", "true"))
    named = 0
    for n, delay in enumerate((0, 0.4, 0.8, 2.5)):
        r = start_and_term(gw, "t%d" % n, delay)
        obj = mw.check_error(r, "sandbox_unavailable", retryable=b'"processId"' not in r.body)
        assert int(r.get("Retry-After")) > 0
        if "details" in obj:
            named += 1
            end = status(gw.process("u", obj["details"]["processId"], method="DELETE", what=""))
            assert end["status"] == "killed", end   # it had been running on
        else:
            time.sleep(1)
        assert os.path.exists(gw.sandbox("u", "t%d" % n)) == ("details" in obj), obj
    assert named >= 2
