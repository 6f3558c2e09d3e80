/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small supervisor: services of one or more equal processes, started,
 * respawned and stopped.  Every child gets a session of its own (a terminal's
 * Ctrl-C is for the supervisor only), a built environment, no descriptor but
 * 0, 1 and 2, and TERM when the supervisor dies, however it dies.
 */
#ifndef MW_BASE_SUPERVISE_H
#define MW_BASE_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/pool.h"

#define MW_SERVICE_PROCS_MAX MW_POOL_MAX

struct mw_sup_process {
	pid_t pid;		/* 0 = not running */
	int64_t born;		/* monotonic ms */
};

struct mw_service {
	char name[16];
	const char *const *argv;	/* argv[0] is an absolute path; borrowed.  NULL: run */
	int (*run)(void *arg);		/* in a forked child, which exits with what it returns */
	void *arg;
	int fd;				/* becomes fd 0: a listening socket, or -1 = /dev/null */
	bool vital;			/* not respawned: when it ends, all ends */
	unsigned nprocs;		/* of a pool: the seats */
	struct mw_sup_process *procs;
	struct mw_pool *pool;		/* NULL: always nprocs processes */
	unsigned rate;			/* processes of a pool that may start at once */
	int64_t grown_at;		/* monotonic ms */
	bool lost;			/* one died, none was started since */
	unsigned fails;			/* rounds in which a process died at once */
	int64_t retry_at;		/* no respawn before, monotonic ms */
};

struct mw_supervisor {
	struct mw_service *services;
	size_t n;
	char *const *env;		/* of every child; borrowed */
	bool stopping;			/* INT, TERM or HUP came */
	int64_t told;			/* when, monotonic ms */
	bool died;			/* a vital service ended by itself */
};

/* Block the signals that step() takes.  Call before anything else starts. */
enum mw_code mw_sup_init(struct mw_supervisor *s, char *const *env, struct mw_err *err) MW_MUST;
void mw_sup_free(struct mw_supervisor *s);	/* closes the services' sockets */

/* Add a service; nothing is started.  fd belongs to the supervisor afterwards. */
enum mw_code mw_sup_add(struct mw_supervisor *s, const char *name,
    const char *const *argv, int fd, unsigned nprocs, bool vital, struct mw_err *err) MW_MUST;

/* The same with a function in place of a program: the processes share the pages
 * that this one has made.  Nothing may be open here that a child must not use. */
enum mw_code mw_sup_add_run(struct mw_supervisor *s, const char *name, int (*run)(void *arg),
    void *arg, int fd, unsigned nprocs, struct mw_err *err) MW_MUST;

/*
 * The same with as many processes as there are requests at once, of which one more is
 * idle, within mw_pool_limits of the service's pool.  `run` waits with mw_pool_wait.
 */
enum mw_code mw_sup_add_pool(struct mw_supervisor *s, const char *name, int (*run)(void *arg),
    void *arg, int fd, struct mw_err *err) MW_MUST;

/*
 * Start what is missing and due, then wait up to `ms` for a signal or a death.
 * False once it is time to stop (s->stopping or s->died).
 */
bool mw_sup_step(struct mw_supervisor *s, int64_t ms);

/*
 * TERM to the vital services, then to the others; KILL for what is left after a
 * grace, or as soon as a second INT or TERM comes (a second after the first: a
 * terminal and a script may say the same thing twice).  Every child is waited for.
 */
void mw_sup_stop(struct mw_supervisor *s);

#endif
