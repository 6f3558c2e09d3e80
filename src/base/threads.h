/* SPDX-License-Identifier: BSD-2-Clause */
/* One piece of work done by several threads. */
#ifndef MW_BASE_THREADS_H
#define MW_BASE_THREADS_H

#include <stddef.h>

/*
 * Call fn(arg, i) once for every i below n, side by side: 0 in the calling thread,
 * each other one in a thread of its own, which takes no signals.  One whose thread
 * cannot be had is called by the calling thread after its own, so fn must not wait
 * for another to begin.  Returns when all have: how many had a thread.
 */
size_t mw_threads(size_t n, void (*fn)(void *arg, size_t i), void *arg);

#endif
