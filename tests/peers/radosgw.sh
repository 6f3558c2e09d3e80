#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An S3 server that knows conditional writes: Ceph's radosgw over a throw-away
# cluster of one monitor and one OSD in memory.
#
# radosgw.sh PORT DATADIR [KEY SECRET [REGION]]
#
# Listens on 127.0.0.1:PORT (the monitor on PORT+1 and PORT+2), prints "ready URL"
# when it answers, ends on TERM; what it stored is lost then.  DATADIR is emptied
# first.  S3_MIN_PART (bytes) allows small parts of multipart uploads.
# Needs Debian's radosgw, ceph-mon and ceph-osd.
set -eu
[ $# -ge 2 ] || { sed -n '3,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
port=$1
dir=$(realpath -m "$2")
key=${3:-test:tester}
secret=${4:-testing}
for program in radosgw ceph-mon ceph-osd; do
	command -v "$program" >/dev/null || { echo "radosgw.sh: no $program" >&2; exit 1; }
done
if [ -e "$dir" ] && [ ! -e "$dir/ceph.conf" ] && [ -n "$(ls -A "$dir")" ]; then
	echo "radosgw.sh: $dir is not empty and not mine" >&2
	exit 1
fi
rm -rf "$dir"
mkdir -p "$dir"/{mon,osd,run,log,rgw}

fsid=11111111-2222-3333-4444-555555555555
osd=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
mon="v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))"
keyring=$dir/keyring
cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [$mon]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = $keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
run dir = $dir/run
log file = $dir/log/\$name.\$pid.log
admin socket = $dir/run/\$name.asok
pid file = $dir/run/\$name.pid
crash dir = $dir/run
osd objectstore = memstore
memstore device bytes = 2147483648
osd data = $dir/osd
mon data = $dir/mon
rgw data = $dir/rgw
rgw thread pool size = 32
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw enable usage log = false
rgw enable gc threads = false
rgw enable quota threads = false
rgw enable lc threads = false
rgw run sync thread = false
rgw multipart min part size = ${S3_MIN_PART:-5242880}
CONF
export CEPH_CONF=$dir/ceph.conf CEPH_ARGS="-c $dir/ceph.conf"

# shellcheck disable=SC2317
finish() {
	local status=$?
	trap - EXIT TERM INT
	# The cluster is thrown away: nothing in it is worth an orderly end.
	jobs -p | xargs -r kill -KILL 2>/dev/null || true
	wait 2>/dev/null || true
	exit "$status"
}
trap finish EXIT
trap 'exit 0' TERM INT

# Background jobs and a plain wait: a signal must not wait for a command to end.
run() {
	"$@" >>"$dir/log/setup.out" 2>&1 &
	wait $!
}
tries() {
	local left=$1
	shift
	until run "$@"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || { tail -5 "$dir/log/setup.out" >&2; exit 1; }
		sleep 0.1
	done
}

run ceph-authtool --create-keyring --gen-key --name=mon. "$keyring" --cap mon 'allow *'
for name in client.admin osd.0; do
	run ceph-authtool --gen-key --name=$name --cap mon 'allow *' --cap osd 'allow *' \
	    --cap mgr 'allow *' "$keyring"
done
run monmaptool --create --fsid $fsid --addv a "[$mon]" "$dir/monmap"
run ceph-mon -i a --mkfs --monmap "$dir/monmap" --keyring "$keyring"
ceph-mon -i a -f >"$dir/log/mon.out" 2>&1 &
tries 100 timeout 5 ceph --connect-timeout 2 mon stat
run ceph osd new $osd 0
run ceph-osd -i 0 --mkfs --osd-uuid $osd
ceph-osd -i 0 -f >"$dir/log/osd.out" 2>&1 &
run ceph osd crush add osd.0 1.0 host=localhost root=default
run radosgw-admin user create --uid=test --display-name=test \
    --access-key="$key" --secret-key="$secret"
radosgw -n client.admin --keyring "$keyring" -f >"$dir/log/rgw.out" 2>&1 &
tries 600 curl -s -o /dev/null "http://127.0.0.1:$port/"
echo "ready http://127.0.0.1:$port"
wait
