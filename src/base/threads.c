/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting some threads, and waiting for all of them. */
#include "base/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#define STACK_SIZE ((size_t)1 << 20)

struct thread {
	void (*fn)(void *arg, size_t i);
	void *arg;
	size_t i;
	pthread_t id;
	bool started;
};

static void *
run(void *arg)
{
	struct thread *t = arg;

	t->fn(t->arg, t->i);
	return NULL;
}

/* Signals are for the thread that waits for requests. */
static size_t
start(struct thread *t, size_t n)
{
	sigset_t all, before;
	pthread_attr_t attr;
	size_t i, started = 0;

	if (pthread_attr_init(&attr) != 0)
		return 0;
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	for (i = 1; i < n; i++) {
		t[i].started = pthread_create(&t[i].id, &attr, run, &t[i]) == 0;
		started += t[i].started;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return started;
}

size_t
mw_threads(size_t n, void (*fn)(void *arg, size_t i), void *arg)
{
	struct thread *t = calloc(n, sizeof(*t));
	size_t i, started = 0;

	for (i = 0; t != NULL && i < n; i++)
		t[i] = (struct thread){ .fn = fn, .arg = arg, .i = i };
	if (t != NULL)
		started = start(t, n);
	for (i = 0; i < n; i++) {
		if (t == NULL || !t[i].started)
			fn(arg, i);
	}
	for (i = 1; t != NULL && i < n; i++) {
		if (t[i].started)
			(void)pthread_join(t[i].id, NULL);
	}
	free(t);
	return started + (n > 0);
}
