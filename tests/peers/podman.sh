#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# podman.sh DIR: a Podman of its own in DIR, for the user who calls it, with an image made
# of busybox and nothing from any registry.  Prints "ready" when DIR/podman.sock answers
# and a container has run, or "unavailable WHY".  Ends when its standard input does, and
# takes everything that it started and made with it.
#
# Rootless needs no line in /etc/subuid: one user inside is enough.  MW_PODMAN_RUNTIME and
# MW_PODMAN_STORAGE choose runc or crun, vfs or overlay.
set -u
dir=$1
image=localhost/moltworker-test:1
service=
made=

unavailable()
{
	printf 'unavailable %s\n' "$(printf '%s' "$1" | tr '\n' ' ' | tail -c 300)"
	exit 0
}

# shellcheck disable=SC2329 # called by the trap
cleanup()
{
	trap - EXIT INT TERM HUP
	exec 2>/dev/null
	# Ours only: without our own settings this would be somebody else's Podman.
	[ -z "$made" ] || podman --log-level=error rm -fa -t 0 >/dev/null
	if [ -n "$service" ]; then
		kill -TERM "$service"
		wait "$service"
	fi
	# What watches ended commands for a while, and rootless what keeps the namespace.
	for p in /proc/[0-9]*; do
		[ "${p#/proc/}" = $$ ] || ! grep -qF "$dir/" "$p/environ" "$p/cmdline" ||
		    kill -KILL "${p#/proc/}"
	done
	chmod -R u+rwX "$dir"
	rm -rf "$dir"
}

configure()
{
	mkdir -p "$dir/home" "$dir/run" "$dir/store" "$dir/tmp" "$dir/xdg"
	chmod 700 "$dir/xdg"
	cat >"$dir/containers.conf" <<-CONF
	[containers]
	netns="none"
	log_driver="k8s-file"
	default_ulimits=["nofile=1024:1024","nproc=4096:4096"]
	[engine]
	runtime="$1"
	cgroup_manager="cgroupfs"
	events_logger="file"
	exit_command_delay=20
	tmp_dir="$dir/tmp"
	CONF
	cat >"$dir/storage.conf" <<-CONF
	[storage]
	driver="${MW_PODMAN_STORAGE:-vfs}"
	graphroot="$dir/store"
	rootless_storage_path="$dir/store"
	runroot="$dir/run"
	CONF
}

make_image()
{
	local root=$dir/rootfs
	mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev,root,workspace}
	chmod 1777 "$root/tmp"
	cp "$1" "$root/bin/busybox"
	# What it needs, if it is not the static one.
	ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
		mkdir -p "$root${lib%/*}" && cp -L "$lib" "$root$lib"
	done
	"$1" --list | grep -vx busybox | while read -r applet; do
		ln -s busybox "$root/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\n' >"$root/etc/group"
	tar -C "$root" --owner=0 --group=0 -cf "$dir/rootfs.tar" . || return 1
	rm -rf "$root"
	podman import -q -c 'CMD ["sleep","8640000"]' "$dir/rootfs.tar" "$image" >/dev/null || return 1
	rm -f "$dir/rootfs.tar"
}

try_run()
{
	podman run --rm --init --network none "$image" true
}

umask 022
# In a longer one Podman does not hear that a container has ended, and waits for 20 seconds.
if [ ${#dir} -gt 33 ]; then
	printf 'failed: %s has more than 33 characters\n' "$dir"
	exit 1
fi
mkdir -p "$dir"
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
command -v podman >/dev/null || unavailable "podman is not installed"
busybox=$(command -v busybox) || unavailable "busybox is not installed"
export CONTAINERS_CONF=$dir/containers.conf CONTAINERS_STORAGE_CONF=$dir/storage.conf
export HOME=$dir/home XDG_RUNTIME_DIR=$dir/xdg TMPDIR=$dir/tmp
unset XDG_CONFIG_HOME XDG_DATA_HOME DBUS_SESSION_BUS_ADDRESS CONTAINER_HOST
cd "$dir" || exit 1
for runtime in ${MW_PODMAN_RUNTIME:-runc crun}; do
	command -v "$runtime" >/dev/null || continue
	configure "$runtime"
	if [ -z "$made" ]; then
		why=$(make_image "$busybox" 2>&1) || unavailable "no image: $why"
		made=yes
	fi
	if why=$(try_run 2>&1); then
		why=
		break
	fi
done
[ -n "$made" ] || unavailable "neither runc nor crun is installed"
[ -z "$why" ] || unavailable "no container runs here: $why"
podman --log-level=error system service --time=0 "unix://$dir/podman.sock" >"$dir/log" 2>&1 </dev/null &
service=$!
for _ in $(seq 200); do
	if curl -fs -o /dev/null --unix-socket "$dir/podman.sock" http://engine/_ping; then
		printf 'ready %s\n' "$service"
		# "restart" and "stop" are for tests of a daemon that goes away.
		while read -r word; do
			case $word in
			stop)
				kill -TERM "$service"
				wait "$service"
				rm -f "$dir/podman.sock"
				service=
				echo stopped
				;;
			start)
				podman --log-level=error system service --time=0 \
				    "unix://$dir/podman.sock" >>"$dir/log" 2>&1 </dev/null &
				service=$!
				echo started
				;;
			esac
		done
		exit 0
	fi
	sleep 0.05
done
unavailable "podman's service does not answer: $(tail -n 3 "$dir/log")"
