/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as an answer of the job wrapper: what is taken is within its bounds, and
 * is taken no more when its last byte is missing.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/job.
 */
#include <stdlib.h>
#include <string.h>

#include "ops/job/answer.h"

#define MAX 100

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct mw_job_view v, cut;

	mw_job_view_init(&v);
	mw_job_view_init(&cut);
	if (mw_job_answer((const char *)data, size, "a", MAX, &v)) {
		must(v.state >= MW_JOB_NONE && v.state <= MW_JOB_REPLACED);
		must(v.exit_code >= -1 && v.exit_code <= 255);
		must(v.age >= -1 && v.duration >= -1);
		must(v.out.len <= MAX && v.err.len <= MAX);
		must(!mw_job_answer((const char *)data, size - 1, "a", MAX, &cut));
	}
	mw_job_view_free(&v);
	mw_job_view_free(&cut);
	return 0;
}
