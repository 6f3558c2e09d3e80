# SPDX-License-Identifier: BSD-2-Clause
"""Web servers that `moltctl serve` does not start, with the shipped snippets, before its pools."""
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

import gateway

ETC = os.path.join(gateway.ROOT, "etc")
MODULES = "/usr/lib/apache2/modules"
APACHE = """ServerRoot "%(run)s"
ServerName localhost
Listen 127.0.0.1:%(port)d
PidFile "%(run)s/pid"
DefaultRuntimeDir "%(run)s"
Mutex "file:%(run)s" default
ErrorLog "%(run)s/error.log"
""" + "".join("LoadModule %s_module %s/mod_%s.so\n" % (m, MODULES, m) for m in (
    "mpm_event authz_core alias env headers setenvif reqtimeout proxy proxy_fcgi").split()) + """
<Directory />
	AllowOverride None
	Require all denied
</Directory>
DocumentRoot "%(run)s"
Define MW_SOCKETS "%(sockets)s"
Define MW_DATA "%(etc)s"
Include "%(etc)s/apache/proxy_fcgi.conf"
"""
STOCK = "/etc/lighttpd/lighttpd.conf"


def debian(run, port, sockets, etc):
    """Debian's own lighttpd.conf, elsewhere, and at its end the lines of doc/install.md."""
    if not os.path.exists(STOCK):
        pytest.skip("no %s" % STOCK)
    with open(STOCK) as f:
        text = f.read()
    text = re.sub(r"(?m)^(server\.port\s*=).*", r"\1 %d" % port, text)
    text = re.sub(r'"(/var/cache/lighttpd/uploads|/var/www/html)"', '"%s"' % run, text)
    text = re.sub(r'"/(run|var/log/lighttpd)/', '"%s/' % run, text)
    # A second socket, and what else is enabled on this host.
    text = re.sub(r"(?m)^include(_shell .*use-ipv6| .*conf-enabled).*", "", text)
    return text + """
server.bind = "127.0.0.1"
var.moltworker_sockets = "%s"
var.moltworker_data = "%s"
include "%s/lighttpd/moltworker.conf"
include "%s/lighttpd/parseopts.conf"
""" % (sockets, etc, etc, etc)


# word -> (program, its arguments, the text of %(run)s/conf or who makes it)
FRONTS = {
    "haproxy": ("haproxy", ["-db", "-f", ETC + "/haproxy/fcgi.cfg"], ""),
    "caddy": ("caddy", ["run", "--adapter", "caddyfile", "--config", ETC + "/caddy/Caddyfile"], ""),
    "proxy_fcgi": ("apache2", ["-DFOREGROUND", "-f", "%(run)s/conf"], APACHE),
    "lighttpd-debian": ("lighttpd", ["-D", "-f", "%(run)s/conf"], debian),
}


class Fronted(gateway.Gateway):
    """`moltctl serve --server none`, and another web server before it."""

    def __init__(self, kind, *args, **kw):
        self.front = None
        dirs = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
        self.program = shutil.which(FRONTS[kind][0], path=dirs)
        if self.program is None:
            pytest.skip("%s is not installed" % FRONTS[kind][0])
        super().__init__(kind, *args, **kw)

    def served(self):
        os.makedirs(self.path("sockets"), exist_ok=True)
        return ["--server", "none", "--sockets", self.path("sockets")]

    def start(self):
        super().start()
        _, args, text = FRONTS[self.kind]
        run = self.path("front")
        os.makedirs(run, exist_ok=True)
        names = {"run": run, "port": self.port, "sockets": self.path("sockets"), "etc": ETC}
        self.write("front/conf", text(**names) if callable(text) else text % names)
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": run,
               "MOLTWORKER_SOCKETS": self.path("sockets"),
               "MOLTWORKER_LISTEN": "127.0.0.1:%d" % self.port,
               "MOLTWORKER_SITE": "http://:%d" % self.port, "CADDY_ADMIN": "off"}
        self.front = subprocess.Popen([self.program] + [a % names for a in args], env=env, cwd=run,
                                      stdin=subprocess.DEVNULL, stdout=self.errors,
                                      stderr=self.errors)
        deadline = time.monotonic() + 60
        while not self.listens():
            assert self.front.poll() is None and time.monotonic() < deadline, "see stderr.log"
            time.sleep(0.02)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def end(self):
        if self.front:
            self.front.terminate()
            self.front.wait(60)
        self.end_sandboxes()    # those of a production pool outlive it
        super().end()


def gateway_of(kind, *args, **kw):
    return (Fronted if kind in FRONTS else gateway.Gateway)(kind, *args, **kw)
