#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What make install installs and make uninstall removes.
. "${srcdir:=.}/tests/tap.sh"
root=$work/root
conf=$root/i/etc/moltworker/moltworker.conf

run_make()
{
	make -s -C "$MW_BUILD" "$1" DESTDIR="$root" prefix=/i exec_prefix=/i bindir=/i/bin \
	    libexecdir=/i/libexec datarootdir=/i/share datadir=/i/share mandir=/i/share/man \
	    docdir=/i/share/doc sysconfdir=/i/etc localstatedir=/i/var
}

installed()
{
	(cd "$root/i" && find . -type f | sort) | diff "$work/wanted" -
}

modes()
{
	[ -z "$(find "$root" -perm /022 -o -perm /07000)" ] &&
	    [ -z "$(find "$root/i/bin" "$root/i/libexec" -type f ! -perm -111)" ] &&
	    [ -z "$(find "$root/i/etc" "$root/i/share" -type f -perm /111)" ]
}

no_other_place()
{
	! grep -rnE '/usr/local/[a-z]+/molt|[^i]/etc/moltworker' "$root/i/share/moltworker" \
	    "$root/i/etc"
}

unchanged()
{
	run_make install && grep -qx '# mine' "$conf"
}

only_conf_left()
{
	run_make uninstall && [ "$(find "$root" -type f)" = "$conf" ]
}

all_gone()
{
	rm "$conf"
	run_make install && run_make uninstall && [ -z "$(find "$root" -type f)" ]
}

cat >"$work/wanted" <<'LIST'
./bin/moltctl
./etc/moltworker/moltworker.conf
./libexec/moltworker/agent
./libexec/moltworker/batch.fcgi
./libexec/moltworker/bulk.fcgi
./libexec/moltworker/config.fcgi
./libexec/moltworker/exec.fcgi
./libexec/moltworker/files.fcgi
./libexec/moltworker/health.fcgi
./libexec/moltworker/metrics.fcgi
./libexec/moltworker/state.fcgi
./libexec/moltworker/sync.fcgi
./share/doc/NEWS
./share/doc/README.md
./share/doc/SECURITY.md
./share/doc/api.md
./share/doc/architecture.md
./share/doc/bench.md
./share/doc/configuration.md
./share/doc/install.md
./share/man/man1/moltctl.1
./share/moltworker/apache/500.txt
./share/moltworker/apache/503.json
./share/moltworker/apache/common.conf
./share/moltworker/apache/htaccess
./share/moltworker/apache/moltworker.conf
./share/moltworker/apache/proxy_fcgi.conf
./share/moltworker/apache/vhost.conf
./share/moltworker/caddy/Caddyfile
./share/moltworker/cron/moltworker
./share/moltworker/haproxy/fcgi.cfg
./share/moltworker/lighttpd/error-403.html
./share/moltworker/lighttpd/error-413.html
./share/moltworker/lighttpd/moltworker.conf
./share/moltworker/lighttpd/parseopts.conf
./share/moltworker/logrotate/moltworker
./share/moltworker/nginx/body.conf
./share/moltworker/nginx/locations.conf
./share/moltworker/nginx/map.conf
./share/moltworker/nginx/pass.conf
./share/moltworker/nginx/site.conf
./share/moltworker/systemd/moltworker-drain.service
./share/moltworker/systemd/moltworker-drain.timer
./share/moltworker/systemd/moltworker.service
LIST

umask 077
check "make install" run_make install
check "the installed names" installed
check "all may read, only the owner may write" modes
check "every path names this installation" no_other_place
echo '# mine' >>"$conf"
check "a second install leaves a changed configuration" unchanged
check "uninstall leaves a changed configuration only" only_conf_left
check "uninstall leaves nothing" all_gone
done_testing
