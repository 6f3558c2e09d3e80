# SPDX-License-Identifier: BSD-2-Clause
"""A process that cannot serve rightly refuses to start, and says why."""
import os
import re
import shutil
import subprocess

import pytest

import gateway
import mw


def without(directory):
    """How to run a program that sees no such directory: the machine may have one."""
    if not os.path.isdir(directory):
        return []
    hide = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", directory]
    if not shutil.which("bwrap") or subprocess.run([*hide, "true"], capture_output=True).returncode:
        pytest.skip("%s is there, and cannot be hidden" % directory)
    return hide


def refuses(gw, *words, program="files.fcgi", hide=()):
    """The responder serves nothing: no 2xx, and the reason on stderr."""
    env = gw.cgi_env("GET", gw.target("u", "f"), [("X-Admin-Secret", gw.secret)], None, None)
    p = subprocess.run([*hide, gateway.binary(program)], env=env, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=20)
    assert p.returncode != 0, (p.returncode, p.stdout, p.stderr)
    r = gateway.parse_cgi(p.stdout, "GET", 0)
    assert r.status in (0, 500, 503), r
    text = p.stderr.decode("utf-8", "replace")
    for w in words:
        assert w in text, "%r is not in %r" % (w, text)
    assert gw.secret not in text + p.stdout.decode("utf-8", "replace")
    return text


# A line too much or wrong, and what the message must name.
BAD = [
    ("unknown key", "colour = 1;", ["colour"]),
    ("unknown in a group", "http: { max_boby = 1; };", ["max_boby"]),
    ("wrong type", "http: { max_body = \"big\"; };", ["http.max_body"]),
    ("bool for int", "retry: { attempts = true; };", ["retry.attempts"]),
    ("int for string", "read: { default_source = 1; };", ["read.default_source"]),
    ("float for int", "retry: { attempts = 1.5; };", ["retry.attempts"]),
    ("negative", "retry: { attempts = -1; };", ["retry.attempts"]),
    ("zero", "retry: { attempts = 0; };", ["retry.attempts"]),
    ("too big", "retry: { attempts = 100001; };", ["retry.attempts"]),
    ("too long", "wake: { max_wait = 86400001; };", ["wake.max_wait"]),
    ("no such word", "read: { default_source = \"r3\"; };", ["read.default_source", "r2"]),
    ("no such source", "read: { default_source = \"xml\"; };", ["read.default_source"]),
    ("group for value", "retry = 3;", ["retry"]),
    ("value for group", "http: { max_body: { x = 1; }; };", ["http.max_body"]),
    ("list of ints", "debug: { allow = [ 1, 2 ]; };", ["debug.allow"]),
    ("no address", "debug: { allow = [ \"localhost\" ]; };", ["debug.allow"]),
    ("bad mask", "metrics: { allow = [ \"127.0.0.1/33\" ]; };", ["metrics.allow"]),
    ("no thread", "batch: { parallel = 0; };", ["batch.parallel", "1..64"]),
    ("threads of a batch", "batch: { parallel = 65; };", ["batch.parallel", "1..64"]),
    ("threads of a sync", "sync: { parallel = 65; };", ["sync.parallel", "1..64"]),
    ("threads of a bulk call", "bulk: { concurrency = 65; };", ["bulk.concurrency", "1..64"]),
    ("syntax", "http: { max_body = ; };", []),
]


@pytest.mark.parametrize("line,words", [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_line(make, line, words):
    gw = make()
    good = gateway.libconfig_text(gw.conf)
    gw.write("moltworker.conf", good + line + "\n")
    number = str(good.count("\n") + 1)
    for program in ("files.fcgi", "health.fcgi"):
        text = refuses(gw, "moltworker.conf", *words, program=program)
        assert number in text or (line.count("{") > line.count("}")), text
    status, _, err = gw.moltctl("config", "check")
    assert status != 0 and all(w in err for w in words) and number in err or "open" in line, err


def test_prefix_needs_its_user(make):
    """Without {user} all users would share one prefix."""
    gw = make()
    gw.configure({"store.prefix": "users/all"})
    refuses(gw, "store.prefix", "{user}")


def test_missing_file(make):
    gw = make()
    os.unlink(gw.path("moltworker.conf"))
    refuses(gw, "moltworker.conf")


def test_good_config_checks(make):
    gw = make()
    status, out, err = gw.moltctl("config", "check")
    assert status == 0, err
    status, out, err = gw.moltctl("config", "show")
    assert status == 0 and gw.path("state") in out and "default" in out, (out, err)
    assert gw.secret not in out


def test_show_masks_credentials(make):
    gw = make({"store.s3.access_key_id": "AKIA-very-private-id"})
    _, out, _ = gw.moltctl("config", "show")
    assert "AKIA-very-private-id" not in out and "access_key_id" in out


SECRETS = [
    ("missing", None, 0o600), ("empty", "", 0o600), ("blank", "\n", 0o600),
    ("spaces", "  \n", 0o600), ("world readable", "Some-secret\n", 0o604),
    ("world writable", "Some-secret\n", 0o602), ("all", "Some-secret\n", 0o666),
    ("group writable", "Some-secret\n", 0o620),
]


@pytest.mark.parametrize("text,mode", [s[1:] for s in SECRETS], ids=[s[0] for s in SECRETS])
def test_secret_file(make, text, mode):
    gw = make()
    gw.secret = "Some-secret"
    if text is None:
        os.unlink(gw.path("admin.secret"))
    else:
        gw.write("admin.secret", text, mode)
    refuses(gw, "admin.secret")


def test_secret_group_readable_by_own_group(make):
    gw = make()
    os.chmod(gw.path("admin.secret"), 0o640)
    mw.check_json(gw.call("GET", "/api/super/health"))


def test_secret_not_configured(make):
    gw = make()
    gw.conf.pop("auth.secret_file")
    gw.configure({})
    default = re.search(r'"(/.*/admin\.secret)"', gw.moltctl("config", "show")[1]).group(1)
    refuses(gw, default, hide=without(os.path.dirname(default)))


def test_secret_is_a_fifo(make):
    gw = make()
    os.unlink(gw.path("admin.secret"))
    os.mkfifo(gw.path("admin.secret"), 0o600)
    refuses(gw, "admin.secret")


@pytest.mark.parametrize("what", ["unwritable", "a file", "parent missing"])
def test_state_path(make, what):
    gw = make()
    os.rmdir(gw.path("state"))
    if what == "unwritable":
        os.mkdir(gw.path("state"), 0o500)
    elif what == "a file":
        gw.write("state", "x")
    else:
        gw.configure({"state.path": "{dir}/no/such/state"})
    refuses(gw, "state")


def test_health_needs_no_store(make):
    """A store that cannot be opened fails only the requests that need it."""
    gw = make({"store.driver": "s3", "store.s3.endpoint": "http://127.0.0.1:1",
               "store.s3.secret_key_file": "{dir}/missing", "store.s3.bucket": "b",
               "store.s3.access_key_id": "k", "retry.store_base": 1})
    mw.check_json(gw.request("GET", "/healthz"))
    r = gw.call("GET", "/api/super/health")
    assert r.status in (200, 503) and r.json()["store"]["ok"] is False, r
    r = gw.get("u", "f", "source=r2")
    assert r.status in (500, 502, 503), r
    obj = mw.check_error(r, r.json()["code"])
    assert obj["code"] != "file_not_found"


def test_environment_wins(make):
    gw = make({"read.default_source": "r2"})
    gw.put_ok("u", "f", b"x")
    assert mw.check_json(gw.get("u", "f"))["source"] == "r2"
    gw.extra_env["MOLTWORKER_READ_DEFAULT_SOURCE"] = "container"
    assert mw.check_json(gw.get("u", "f"))["source"] == "container"
    gw.extra_env["MOLTWORKER_READ_DEFAULT_SOURCE"] = "nowhere"
    refuses(gw, "MOLTWORKER_READ_DEFAULT_SOURCE")


def test_environment_lists_and_nested(make):
    gw = make(env={"MOLTWORKER_STORE_DIR_PATH": "", "MOLTWORKER_DEBUG_ALLOW": "10.0.0.0/8,::1"})
    gw.extra_env["MOLTWORKER_STORE_DIR_PATH"] = gw.path("elsewhere")
    os.mkdir(gw.path("elsewhere"))
    gw.put_ok("u", "f", b"x")
    assert os.listdir(gw.path("elsewhere")) and not os.listdir(gw.path("store"))


def test_broken_file_falls_back_to_last_good(make):
    """A config that broke after it was good: the last good one, with a logged error."""
    gw = make()
    gw.put_ok("u", "f", b"x")
    assert os.path.exists(gw.path("state", "last-good.conf"))
    gw.write("moltworker.conf", gateway.libconfig_text(gw.conf) + "broken\n")
    env = gw.cgi_env("GET", gw.target("u", "f", "raw=1"),
                     [("X-Admin-Secret", gw.secret)], None, None)
    env["MOLTWORKER_STATE_PATH"] = gw.path("state")
    p = subprocess.run([gateway.binary("files.fcgi")], env=env, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=20)
    r = gateway.parse_cgi(p.stdout, "GET", 0)
    assert r.status == 200 and r.body == b"x", (r, p.stderr)
    assert b"moltworker.conf" in p.stderr or "moltworker.conf" in gw.log()
