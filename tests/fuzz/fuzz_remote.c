/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as an answer of the bridge, of the container server, and of our script
 * within them: whole and in pieces must come to the same.
 * Build with -fsanitize=fuzzer,address,undefined; seeds in corpus/remote.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/remote/bridge.h"
#include "sandbox/remote/container.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define OUT_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

struct result {
	struct mw_buf out;		/* everything that was handed over */
	bool ended, failed, whole, garbled;
	int exit_code;
	struct mw_remote_said said;
};

static bool
add(void *arg, const void *p, size_t n)
{
	return mw_buf_add(&((struct result *)arg)->out, p, n);
}

static enum mw_code
head(void *arg, const char *line)
{
	const char *p = line;
	struct mw_stat st;

	if (mw_remote_stat_parse(&p, &st))
		must(st.size >= 0 && st.mode >= 0 && st.mode <= 07777);
	return add(arg, line, strlen(line)) ? MW_OK : MW_INTERNAL_ERROR;
}

static enum mw_code
part(void *arg, unsigned number, const void *p, size_t n)
{
	return number < 1000000 && add(arg, p, n) ? MW_OK : MW_INTERNAL_ERROR;
}

static void
events(mw_sse_fn event, const char *p, size_t n, size_t step, struct result *r)
{
	struct mw_remote_events a;
	size_t i;

	mw_remote_events_init(&a, event, add, r);
	for (i = 0; i < n; i += step) {
		if (!mw_sse_feed(&a.sse, p + i, n - i < step ? n - i : step))
			break;
	}
	r->ended = a.ended;
	r->failed = a.failed;
	r->exit_code = a.exit_code;
	r->said = a.said;
	mw_sse_free(&a.sse);
}

static void
bridge(const char *p, size_t n, size_t step, struct result *r)
{
	events(mw_bridge_event, p, n, step, r);
}

static void
container(const char *p, size_t n, size_t step, struct result *r)
{
	events(mw_container_event, p, n, step, r);
}

static void
script(const char *p, size_t n, size_t step, struct result *r)
{
	struct mw_remote_answer a;
	size_t i;

	mw_remote_answer_init(&a, NONCE);
	a.head = head;
	a.data = part;
	a.arg = r;
	for (i = 0; i < n; i += step) {
		if (!mw_remote_answer_feed(&a, p + i, n - i < step ? n - i : step))
			break;
	}
	r->whole = a.whole;
	r->garbled = a.garbled;
}

static void
both(void (*parse)(const char *, size_t, size_t, struct result *), const char *p, size_t n)
{
	struct result one = { .exit_code = 0 }, two = { .exit_code = 0 };

	mw_buf_init(&one.out, OUT_MAX);
	mw_buf_init(&two.out, OUT_MAX);
	parse(p, n, n + 1, &one);
	parse(p, n, 3, &two);
	must(one.ended == two.ended && one.failed == two.failed && one.whole == two.whole &&
	    one.garbled == two.garbled && one.exit_code == two.exit_code);
	must(strcmp(one.said.code, two.said.code) == 0 && strcmp(one.said.text, two.said.text) == 0);
	/* What is refused may have been handed over in part. */
	if (one.whole && !one.garbled)
		must(one.out.len == two.out.len && (one.out.len == 0 ||
		    memcmp(one.out.data, two.out.data, one.out.len) == 0));
	mw_buf_free(&one.out);
	mw_buf_free(&two.out);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	both(bridge, (const char *)data, size);
	both(container, (const char *)data, size);
	both(script, (const char *)data, size);
	return 0;
}
