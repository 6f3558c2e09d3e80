/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer of job.sh. */
#ifndef MW_OPS_JOB_ANSWER_H
#define MW_OPS_JOB_ANSWER_H

#include "ops/job/job.h"

/*
 * The wrapper's answer p[0..n) about job `id` into v (state, times, streams).
 * False when it is anything else than one whole answer with streams of at most
 * `max` bytes each.
 */
bool mw_job_answer(const char *p, size_t n, const char *id, size_t max,
    struct mw_job_view *v) MW_MUST;

#endif
