# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures and the TAP reporter, shared by the three directories of tests.

MW_SERVERS  what to run the contract suite over: direct (no server) and the words of
            moltctl serve --server; also those of fronts.py.  Unless it is set: all of them in files that say
            EVERY_SERVER, since their subject is what servers do to a request; direct,
            lighttpd, Apache and nginx in the others.  MW_SERVERS=every: all in all files
MW_STORES   dir,s3; s3 is a real S3 server (Swift), behind direct and lighttpd;
            rgw is Ceph's, which knows conditional writes: for those tests only
MW_DRIVERS  local,engine,bridge,container; engine is a real Podman, bridge and container are
            tests/peers/cloudflare.py, behind direct and lighttpd with a directory store.
            Also of the gateways that tests make for themselves.  Only local unless it is set
MW_ENGINE_FILES=1  containers' files in directories of the host: sandbox.engine.files
MW_CLOUDFLARE  another program in its place, such as one before the real APIs: it takes the
            same arguments, /control words and /of/PREFIX, and keeps its boxes alike
MW_SANITIZED  yes: the programs have sanitizers; their reports fail the tests
MW_TAP=1    print TAP for automake and exit 0 after a whole plan; wants -p no:terminal
"""
import atexit
import importlib.util
import os
import subprocess
import sys
import tempfile
import shutil

import pytest

import cloudpeer
import fronts
import gateway
import mw
from engine import Engine
from s3client import S3

MAIN_SERVERS = ("direct", "lighttpd", "apache", "nginx")
EVERY_SERVER = MAIN_SERVERS + ("cgi", "htaccess", "htaccess-cgi")
STORES = os.environ.get("MW_STORES", "dir,s3").split(",")
DRIVERS = os.environ.get("MW_DRIVERS", "local").split(",")
S3_SERVERS = ("direct", "lighttpd")
ENGINE_SERVERS = ("direct", "lighttpd")
PODMAN = os.path.join(gateway.ROOT, "tests", "peers", "podman.sh")
PEERS = {
    "s3": os.environ.get("MW_SWIFT", os.path.join(gateway.ROOT, "tests", "peers", "swift-s3.py")),
    "rgw": os.environ.get("MW_RADOSGW", os.path.join(gateway.ROOT, "tests", "peers", "radosgw.sh")),
}


def chosen_servers(every):
    """The words of the servers to test over; every: for a file that is about servers."""
    chosen = os.environ.get("MW_SERVERS", "")
    if chosen and chosen != "every":
        return chosen.split(",")
    return EVERY_SERVER if every or chosen == "every" else MAIN_SERVERS


def combinations(every=False):
    """The gateways' names, one per server, store and driver."""
    s3_servers = S3_SERVERS if every or "MW_SERVERS" in os.environ else S3_SERVERS[:1]
    for store in STORES:
        for server in chosen_servers(every):
            if "local" in DRIVERS and (store == "dir" or
                                       (store == "s3" and server in s3_servers)):
                yield "%s-%s" % (server, store)
            for driver in ("engine", "bridge", "container"):
                if driver in DRIVERS and store == "dir" and server in ENGINE_SERVERS:
                    yield "%s-%s+%s" % (server, store, driver)


# ---- an S3 server of its own for the session ----

def missing(store):
    """Why this kind of S3 server cannot be had here, or None."""
    if not os.path.exists(PEERS[store]):
        return "no S3 server at %s" % PEERS[store]
    if store == "s3" and importlib.util.find_spec("swift") is None:
        return "Swift is not installed (python3-swift, swift-proxy, …)"
    if store == "rgw" and not all(map(shutil.which, ("radosgw", "ceph-mon", "ceph-osd"))):
        return "radosgw is not installed (radosgw, ceph-mon, ceph-osd)"
    return None


class Peer:
    """A real S3 server in a directory of its own: `PROGRAM PORT DIR KEY SECRET REGION`."""

    def __init__(self, program, key="test:tester"):
        self.dir = tempfile.mkdtemp(prefix="mwpeer.")
        port = mw.free_port(3)
        run = [sys.executable] if program.endswith(".py") else ["/bin/bash"]
        with open(os.path.join(self.dir, "log"), "wb") as log:
            self.proc = subprocess.Popen(
                run + [program, str(port), os.path.join(self.dir, "data"), key,
                       gateway.S3_SECRET, "auto"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True)
        atexit.register(self.stop)
        line = self.proc.stdout.readline()
        if not line.startswith(b"ready"):
            with open(os.path.join(self.dir, "log")) as f:
                raise RuntimeError("%s: %r %s" % (program, line, f.read()[-1000:]))
        self.s3 = S3("127.0.0.1", port, key, gateway.S3_SECRET, "auto", "bkt")
        self.s3.make_bucket()

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.proc.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Shared:
    """Gateways that live for the session, started at first use."""

    def __init__(self):
        self.gateways, self.peers = {}, {}
        self.podman = None
        self.cloudflare = None

    def peer(self, store):
        """The S3 server of a kind of store; one for all gateways, so users must not meet."""
        if store not in self.peers:
            if missing(store):
                pytest.skip(missing(store))
            self.peers[store] = Peer(PEERS[store])
        return self.peers[store].s3

    def engine(self):
        """The one Podman of the session."""
        if self.podman is None:
            try:
                self.podman = Engine(PODMAN)
            except Engine.Unavailable as e:
                self.podman = str(e)
        if isinstance(self.podman, str):
            pytest.skip(self.podman)
        return self.podman

    def cloud(self, driver):
        """The one peer of both Cloudflare APIs."""
        if self.cloudflare is None:
            self.cloudflare = cloudpeer.missing() or cloudpeer.CloudPeer()
        if isinstance(self.cloudflare, str):
            pytest.skip(self.cloudflare)
        return cloudpeer.Cloud(self.cloudflare, driver)

    def sandboxes(self, driver):
        """As gateway.Base wants them; the local driver's are its own."""
        if driver == "local":
            return None
        return self.engine() if driver == "engine" else self.cloud(driver)

    def get(self, name):
        if name not in self.gateways:
            rest, _, driver = name.partition("+")
            server, store = rest.rsplit("-", 1)
            s3 = self.peer(store) if store != "dir" else None
            kind = "s3" if s3 else "dir"
            engine = self.sandboxes(driver or "local")
            if server == "direct":
                gw = gateway.Cgi(store=kind, s3=s3, engine=engine)
            else:
                gw = fronts.gateway_of(server, store=kind, s3=s3, engine=engine)
            gw.name = name.replace("+", "-")
            self.gateways[name] = gw
        return self.gateways[name]

    def close(self):
        failures = []
        for gw in self.gateways.values():
            try:
                gw.close()
            except AssertionError as e:
                failures.append("%s: %s" % (gw.name, e))
        for peer in self.peers.values():
            peer.stop()
        if isinstance(self.podman, Engine):
            self.podman.stop()
        if isinstance(self.cloudflare, cloudpeer.CloudPeer):
            self.cloudflare.stop()
        assert not failures, failures


@pytest.fixture(scope="session")
def shared():
    s = Shared()
    yield s
    s.close()


@pytest.fixture(autouse=gateway.SANITIZED)
def no_sanitizer_report(shared):
    """A report of a sanitizer fails the test that caused it."""
    yield
    for gw in shared.gateways.values():
        gw.check_sanitizer()


def pytest_generate_tests(metafunc):
    if "gw" in metafunc.fixturenames and not hasattr(metafunc.module, "gw"):
        metafunc.parametrize("gw", list(combinations(
            getattr(metafunc.module, "EVERY_SERVER", False))), indirect=True)
    if "driver" in metafunc.fixturenames and DRIVERS != ["local"]:
        metafunc.parametrize("driver", DRIVERS)


@pytest.fixture
def gw(request, shared):
    """The gateway of the contract suite, one per server and store."""
    return shared.get(request.param)


@pytest.fixture
def user(gw):
    """A user id of this test's own; its sandbox is ended afterwards."""
    name = "%s-%s" % (gw.name, gw.new_user())
    yield name
    gw.end_new_sandboxes()


@pytest.fixture
def driver():
    """Of the gateways that a test makes or that serve it as `direct`: each of MW_DRIVERS."""
    return "local"


@pytest.fixture
def make(shared, driver):
    """make(settings, …) -> a Cgi of this test's own; make.server(kind, …) -> a Gateway.
    engine=None for one with the local driver, whichever is tested."""
    made = []

    def cgi(settings=None, **kw):
        kw.setdefault("engine", shared.sandboxes(driver))
        made.append(gateway.Cgi(settings, **kw))
        return made[-1]

    def server(kind, settings=None, **kw):
        kw.setdefault("engine", shared.sandboxes(driver))
        made.append(fronts.gateway_of(kind, settings, **kw))
        return made[-1]
    cgi.server = server
    yield cgi
    errors = []
    for gw in made:
        try:
            gw.close()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, errors


@pytest.fixture
def direct(shared, driver):
    """The plain CGI over a directory store, for what no server changes."""
    return shared.get("direct-dir" if driver == "local" else "direct-dir+" + driver)


# ---- TAP ----

class Tap:
    def __init__(self, out):
        self.out, self.count, self.state = out, 0, {}

    def plan(self, n):
        print("1..%d" % n, file=self.out, flush=True)

    def report(self, rep):
        old = self.state.get(rep.nodeid, ("ok", ""))
        if rep.failed:
            self.state[rep.nodeid] = ("not ok", str(rep.longrepr))
        elif rep.skipped and old[0] == "ok":
            why = rep.longrepr[2] if isinstance(rep.longrepr, tuple) else str(rep.longrepr)
            self.state[rep.nodeid] = ("skip", why.replace("Skipped: ", "", 1))
        else:
            self.state[rep.nodeid] = old

    def finish(self, nodeid):
        self.count += 1
        state, text = self.state.pop(nodeid, ("not ok", "no report"))
        name = nodeid.encode("ascii", "backslashreplace").decode().replace("#", "\\#")
        line = "%s %d - %s" % ("not ok" if state == "not ok" else "ok", self.count, name)
        if state == "skip":
            line += " # SKIP " + text.replace("\n", " ")
        print(line, file=self.out, flush=True)
        if state == "not ok":
            for t in text.splitlines()[-40:]:
                print("# " + t, file=self.out, flush=True)


tap = None


def pytest_configure(config):
    global tap
    if os.geteuid() == 0:
        pytest.exit("run the tests as an unprivileged user "
                    "(the local sandbox refuses root)", 2)
    if os.environ.get("MW_TAP") == "1":
        # Assertions ask for the option of the terminal reporter, which is not there.
        config.option.verbose = getattr(config.option, "verbose", 0)
        tap = Tap(os.fdopen(os.dup(1), "w"))


def pytest_collection_finish(session):
    if tap:
        tap.plan(len(session.items))


def pytest_runtest_logreport(report):
    if tap:
        tap.report(report)


def pytest_runtest_logfinish(nodeid, location):
    if tap:
        tap.finish(nodeid)


def pytest_sessionfinish(session, exitstatus):
    # automake counts the lines; a failed test is not a failed program.
    if tap and exitstatus == 1:
        session.exitstatus = 0
