# SPDX-License-Identifier: BSD-2-Clause
"""What is counted: in Prometheus' and OpenMetrics' words and as JSON, the same for all
processes, whatever becomes of them."""
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess

import pytest

import mw

parser = pytest.importorskip("prometheus_client.openmetrics.parser")
plain = pytest.importorskip("prometheus_client.parser")

OPEN = [("Accept", "application/openmetrics-text; version=1.0.0,text/plain;q=0.5")]
ROUTE = "/api/super/users/{user}/files/{path}"


def scrape(gw, headers=(), **kw):
    r = gw.call("GET", "/metrics", headers, **kw)
    assert r.status == 200 and r.complete, r
    return r


def samples(gw):
    text = scrape(gw).body.decode()
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for family in plain.text_string_to_metric_families(text) for s in family.samples}


def value(found, name, **labels):
    return found.get(("moltworker_" + name, tuple(sorted(labels.items()))), 0)


def total(found, name, **labels):
    return sum(v for (n, have), v in found.items()
               if n == "moltworker_" + name and labels.items() <= dict(have).items())


def some_of_all(gw):
    user = gw.new_user()
    gw.put_ok(user, "a", b"hello")
    gw.get(user, "a")
    gw.get(user, "missing")
    gw.list(user)
    gw.delete(user, "a")
    gw.batch_ok(user, [{"op": "write", "path": "b", "content": "x"}, {"op": "exists", "path": "b"}])
    return user


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing")
def test_promtool(gw):
    some_of_all(gw)
    r = scrape(gw)
    assert r.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    p = subprocess.run(["promtool", "check", "metrics"], input=r.body, capture_output=True,
                       timeout=60)
    assert p.returncode == 0 and not p.stdout + p.stderr, p


def test_openmetrics(gw):
    some_of_all(gw)
    r = scrape(gw, OPEN)
    assert r.get("Content-Type") == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8")
    text = r.body.decode()
    assert text.endswith("# EOF\n")
    families = {f.name: f for f in parser.text_string_to_metric_families(text)}
    assert families["moltworker_http_requests"].type == "counter"
    assert families["moltworker_http_request_duration_seconds"].unit == "seconds"
    assert families["moltworker_build"].type == "info"


@pytest.mark.parametrize("accept,is_open", [
    ("application/openmetrics-text", True), ("text/plain", False), ("*/*", False), ("", False),
    ("application/openmetrics-text;version=0.0.1", False),
    ("application/openmetrics-text;q=0.2, text/plain;q=0.5", False),
    ("text/plain;q=0.5, application/openmetrics-text;q=0.5", True),
    ("application/openmetrics-text;q=0", False), ("application/json", False)])
def test_accept(gw, accept, is_open):
    r = scrape(gw, [("Accept", accept)])
    assert r.get("Content-Type").startswith("application/openmetrics") == is_open, r


def test_no_user_in_a_label(gw):
    user = some_of_all(gw)
    text = scrape(gw).body.decode() + gw.call("GET", "/api/super/metrics").body.decode()
    assert user not in text and "missing/" not in text and gw.secret not in text


def test_secret(gw):
    before = samples(gw)
    for path in ("/metrics", "/api/super/metrics", "/api/super/alerts"):
        mw.check_error(gw.call("GET", path, auth=False), "forbidden")
    assert value(samples(gw), "auth_failures_total", reason="missing") - \
        value(before, "auth_failures_total", reason="missing") == 3


def test_allowed_address(make):
    gw = make(settings={"metrics.allow": ["127.0.0.1"]})
    scrape(gw, auth=False)
    mw.check_error(gw.call("GET", "/api/super/metrics", auth=False), "forbidden")


def test_counts(gw):
    before = samples(gw)
    some_of_all(gw)
    after = samples(gw)

    def more(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    get = {"responder": "files", "route": ROUTE, "method": "GET"}
    assert more("http_requests_total", code="200", **get) == 1
    assert more("http_requests_total", code="404", **get) == 1
    assert more("http_errors_total", responder="files", error="file_not_found") == 1
    assert more("http_request_duration_seconds_count", **get) == 2
    assert more("http_request_body_bytes_total", responder="files") == 5
    for via, op, outcome in (("single", "read", "ok"), ("single", "read", "not_found"),
                             ("single", "list", "ok"), ("single", "write", "ok"),
                             ("single", "delete", "ok"), ("batch", "write", "ok"),
                             ("batch", "exists", "ok")):
        assert more("file_operations_total", via=via, op=op, outcome=outcome) == 1, (via, op)


def test_a_client_counted_the_same(make):
    """10^4 requests over several processes, some of which are killed meanwhile: what was
    answered was counted, and only what was cut off may be counted or not."""
    gw = make.server("lighttpd", procs=4)
    user = gw.new_user()
    gw.put_ok(user, "f", b"hello")
    before = samples(gw)
    killed = 0

    def ask(n):
        return [gw.raw(user, "f" if i % 10 else "none").status for i in range(n)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        work = [pool.submit(ask, 500) for _ in range(20)]
        for done, _ in enumerate(concurrent.futures.as_completed(work)):
            if done in (3, 7, 11):
                os.kill(gw.responders()[0], signal.SIGKILL)
                killed += 1
        answers = [s for w in work for s in w.result()]
    after = samples(gw)
    labels = {"responder": "files", "route": ROUTE, "method": "GET"}
    for status in (200, 404):
        counted = total(after, "http_requests_total", code=str(status), **labels) - \
            total(before, "http_requests_total", code=str(status), **labels)
        assert 0 <= counted - answers.count(status) + killed <= 2 * killed, (status, counted)
    n = total(after, "http_requests_total", **labels) - total(before, "http_requests_total", **labels)
    histogram = "http_request_duration_seconds"
    assert value(after, histogram + "_count", **labels) - \
        value(before, histogram + "_count", **labels) >= n - killed
    assert value(after, histogram + "_bucket", le="+Inf", **labels) == \
        value(after, histogram + "_count", **labels)
    assert total(after, "processes_started_total", responder="files") >= \
        total(before, "processes_started_total", responder="files") + killed


def test_a_new_process_goes_on(direct):
    """Each request of plain CGI is a process of its own; a reload changes nothing."""
    before = total(samples(direct), "http_requests_total", responder="health")
    for _ in range(3):
        assert direct.call("GET", "/healthz", auth=False).status == 200
    direct.configure({"log.level": "debug"})
    assert direct.call("GET", "/healthz", auth=False).status == 200
    assert total(samples(direct), "http_requests_total", responder="health") - before == 4


def test_json(gw):
    some_of_all(gw)
    doc = gw.call("GET", "/api/super/metrics").json()
    files = doc["latency"]["files"]
    for part in ("window", "sinceStart"):
        told = files[part]
        assert told["count"] >= 5
        assert 0 < told["p50Ms"] <= told["p95Ms"] <= told["p99Ms"]
    assert doc["latency"]["debug"]["window"]["p50Ms"] is None
    family = next(f for f in doc["families"]
                  if f["name"] == "moltworker_http_request_duration_seconds")
    for series in family["series"]:
        assert series["buckets"][-1] == {"le": None, "count": series["count"]}
    doc = gw.call("GET", "/api/super/metrics?name=moltworker_outbox").json()
    assert doc["families"] and all(
        f["name"].startswith("moltworker_outbox") for f in doc["families"])


def test_alerts(gw):
    doc = gw.call("GET", "/api/super/alerts").json()
    rows = {a["name"]: a for a in doc["alerts"]}
    assert len(rows) == 12 and sum(doc["summary"].values()) == 12
    wake = rows["wake_time_p50"]
    assert (wake["target"], wake["alert"], wake["clear"], wake["windowSeconds"],
            wake["minSamples"]) == ("< 30", "> 60", 45, 1800, 5)
    assert rows["file_success_rate"]["target"] == "> 0.99"
    assert rows["file_success_rate"]["alert"] == "< 0.95"
    assert rows["exec_success_rate"]["alert"] == "< 0.9"
    assert rows["outbox_parked"]["value"] == 0 and rows["outbox_parked"]["state"] == "ok"


def test_alert_of_missing_files(make):
    """Twenty reads of nothing are past the target: a warning, seen by another process."""
    gw = make()
    user = gw.new_user()
    for _ in range(20):
        gw.get(user, "none")
    rows = {a["name"]: a for a in gw.call("GET", "/api/super/alerts").json()["alerts"]}
    assert rows["file_not_found_rate"]["state"] == "warning"
    assert rows["file_not_found_rate"]["value"] == 1
    assert rows["file_success_rate"]["state"] == "ok"


def test_every_route_has_its_word():
    """A row of a route table that the metrics do not know would be counted as none."""
    top = os.path.join(os.path.dirname(__file__), "..", "..")
    words = set()
    with open(os.path.join(top, "src/state/metrics_table.c"), encoding="utf-8") as f:
        words.update(re.findall(r'X\("[a-z]+", "(/[^"]*)"\)', f.read()))
    for name in sorted(os.listdir(os.path.join(top, "cgi-bin"))):
        if not name.endswith((".c", ".h")):
            continue
        with open(os.path.join(top, "cgi-bin", name), encoding="utf-8") as f:
            text = f.read()
        prefix = dict(re.findall(r'#define ([A-Z_]+) "(/[^"]*)"', text))
        prefix.update({"EXEC": "/api/super/users/{user}/exec",
                       "MW_FILES": "/api/super/users/{user}/files"})
        for macro, rest in re.findall(
                r'\{ ([A-Z_]*) ?"?([^",{}\n]*(?:\{[a-z]+\}[^",{}\n]*)*)"?, MW_(?:GET|PUT|POST|DELETE|PATCH)', text):
            assert prefix.get(macro, "") + rest in words, (name, macro, rest)


def test_every_error_has_its_word():
    top = os.path.join(os.path.dirname(__file__), "..", "..", "src")

    def text(name):
        with open(os.path.join(top, name), encoding="utf-8") as f:
            return f.read()

    names = dict(re.findall(r'\[(MW_[A-Z_0-9]+)\] = \{ "([a-z0-9_]*)"', text("base/err.c")))
    codes = re.findall(r"\bMW_[A-Z_0-9]+\b",
                       text("base/err.h").split("enum mw_code {")[1].split("MW_CODE_COUNT")[0])
    words = text("state/metrics_table.c").split("WORDS(error_words,")[1].split(")")[0]
    assert re.findall(r'"([a-z0-9_]*)"', words)[1:] == [names[c] for c in codes[1:]]
