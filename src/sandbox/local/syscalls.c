/* SPDX-License-Identifier: BSD-2-Clause */
/* The system calls that nothing in a local sandbox may make, as a filter for bubblewrap. */
#include "sandbox/local/local.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * What the default profile of Docker refuses a container without capabilities.
 * Namespaces and capabilities stop most of these too; keyrings belong to a user of the
 * host, whichever namespaces a process is in, and all sandboxes have the same one.
 */
static const char *const denied[] = {
	/* what is shared with the host and with other sandboxes */
	"add_key", "request_key", "keyctl",
	"acct", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64",
	"adjtimex", "settimeofday", "stime", "sethostname", "setdomainname", "syslog", "vhangup",
	"quotactl", "quotactl_fd", "reboot", "swapon", "swapoff", "_sysctl", "sysfs", "ustat",
	"uselib", "nfsservctl", "lookup_dcookie", "ioperm", "iopl", "vm86", "vm86old",
	/* kernel code, and large parts of the kernel that no command needs */
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
	"io_uring_register", "kexec_load", "kexec_file_load", "init_module", "finit_module",
	"delete_module", "create_module", "query_module", "get_kernel_syms", "fanotify_init",
	"get_mempolicy", "set_mempolicy", "set_mempolicy_home_node", "mbind", "move_pages",
	"migrate_pages",
	/* the tree */
	"mount", "umount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount",
	"fspick", "move_mount", "open_tree", "mount_setattr", "name_to_handle_at",
	"open_by_handle_at",
	/* namespaces, and other processes' insides */
	"unshare", "setns", "kcmp", "pidfd_getfd", "process_madvise"
};

/* Namespaces that clone() makes. */
static const scmp_datum_t namespaces[] = {
	CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,
	CLONE_NEWCGROUP
};

#ifdef __s390__
#define CLONE_FLAGS 1	/* this machine's order of arguments */
#else
#define CLONE_FLAGS 0
#endif

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* 32-bit programs, where the machine runs them; of others every call fails. */
static bool
add_machines(scmp_filter_ctx f)
{
	const uint32_t small = seccomp_arch_native() == SCMP_ARCH_X86_64 ? SCMP_ARCH_X86 :
	    seccomp_arch_native() == SCMP_ARCH_AARCH64 ? SCMP_ARCH_ARM : 0;

	return seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) == 0 &&
	    (small == 0 || seccomp_arch_add(f, small) == 0);
}

static bool
deny_names(scmp_filter_ctx f)
{
	size_t i;
	int nr;

	for (i = 0; i < COUNT(denied); i++) {
		nr = seccomp_syscall_resolve_name(denied[i]);
		/* This libseccomp may be older than the call. */
		if (nr != __NR_SCMP_ERROR && seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), nr, 0) != 0)
			return false;
	}
	return true;
}

static bool
deny_arguments(scmp_filter_ctx f)
{
	const scmp_datum_t whole = 0xffffffff;
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	size_t i;

	for (i = 0; i < COUNT(namespaces); i++) {
		if (seccomp_rule_add(f, no, SCMP_SYS(clone), 1, SCMP_CMP(CLONE_FLAGS,
		    SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i])) != 0)
			return false;
	}
	/* Its flags lie in memory, where no filter can look: the C library then uses clone(). */
	return seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
	    /* Input for a terminal that somebody else reads. */
	    seccomp_rule_add(f, no, SCMP_SYS(ioctl), 1,
	    SCMP_CMP(1, SCMP_CMP_MASKED_EQ, whole, TIOCSTI)) == 0 &&
	    seccomp_rule_add(f, no, SCMP_SYS(ioctl), 1,
	    SCMP_CMP(1, SCMP_CMP_MASKED_EQ, whole, TIOCLINUX)) == 0 &&
	    /* The hypervisor's sockets know no network namespace. */
	    seccomp_rule_add(f, no, SCMP_SYS(socket), 1,
	    SCMP_CMP(0, SCMP_CMP_MASKED_EQ, whole, AF_VSOCK)) == 0;
}

int
mw_local_syscalls(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int fd = -1;

	if (f == NULL)
		return -1;
	if (add_machines(f) && deny_names(f) && deny_arguments(f))
		fd = memfd_create("syscalls", MFD_CLOEXEC);
	if (fd >= 0 && (seccomp_export_bpf(f, fd) != 0 || lseek(fd, 0, SEEK_SET) != 0)) {
		(void)close(fd);
		fd = -1;
	}
	seccomp_release(f);
	return fd;
}
