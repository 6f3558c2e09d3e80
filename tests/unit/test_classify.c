/* SPDX-License-Identifier: BSD-2-Clause */
/* Every row of every table from an upstream's failures to what is done about them. */
#include <curl/curl.h>
#include <errno.h>

#include "net/net.h"
#include "app/classify.h"
#include "sandbox/agent/agent.h"
#include "sandbox/local/local.h"
#include "store/dir.h"
#include "store/s3.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct expect {
	int value;
	int want, unsent;
};

/* All values from 0 to `last`: those of the table, and `rest` for the others. */
static void
sweep(const char *name, int (*of)(int value, bool unsent), const struct expect *e, size_t n,
    int last, int rest)
{
	int v, want, wrong = 0;
	size_t i;

	for (v = 0; v <= last; v++) {
		for (i = 0; i < n && e[i].value != v; i++)
			continue;
		want = i < n ? e[i].want : rest;
		if (of(v, false) != want || of(v, true) != (i < n ? e[i].unsent : rest)) {
			printf("# %s %d: got %d, want %d\n", name, v, of(v, false), want);
			wrong++;
		}
	}
	ok(wrong == 0, "%s: %zu rows, and the rest of 0 to %d", name, n, last);
}

#define SAME(v, code) { v, code, code }

static int
net_of(int v, bool unsent)
{
	return v == 0 ? MW_NET_BAD : (int)mw_net_end_of(v, unsent);
}

static void
test_net(void)
{
	static const struct expect rows[] = {
		SAME(CURLE_COULDNT_RESOLVE_HOST, MW_NET_NO_CONNECT),
		SAME(CURLE_COULDNT_CONNECT, MW_NET_NO_CONNECT),
		SAME(CURLE_SSL_CONNECT_ERROR, MW_NET_NO_CONNECT),
		SAME(CURLE_PEER_FAILED_VERIFICATION, MW_NET_NO_CONNECT),
		SAME(CURLE_SSL_CACERT_BADFILE, MW_NET_NO_CONNECT),
		SAME(CURLE_SSL_CERTPROBLEM, MW_NET_NO_CONNECT),
		SAME(CURLE_SSL_CIPHER, MW_NET_NO_CONNECT),
		SAME(CURLE_SSL_ISSUER_ERROR, MW_NET_NO_CONNECT),
		SAME(CURLE_SSL_INVALIDCERTSTATUS, MW_NET_NO_CONNECT),
		{ CURLE_OPERATION_TIMEDOUT, MW_NET_TIMEOUT, MW_NET_NO_CONNECT },
		{ CURLE_ABORTED_BY_CALLBACK, MW_NET_TIMEOUT, MW_NET_NO_CONNECT },
		SAME(CURLE_GOT_NOTHING, MW_NET_CUT),
		SAME(CURLE_PARTIAL_FILE, MW_NET_CUT),
		SAME(CURLE_RECV_ERROR, MW_NET_CUT),
		SAME(CURLE_SEND_ERROR, MW_NET_CUT),
		SAME(CURLE_SEND_FAIL_REWIND, MW_NET_CUT),
		SAME(CURLE_SSL_SHUTDOWN_FAILED, MW_NET_CUT),
	};

	sweep("libcurl", net_of, rows, COUNT(rows), CURL_LAST, MW_NET_BAD);
}

static int
end_of(int v, bool unsent)
{
	(void)unsent;
	return (int)mw_s3_of_end((enum mw_net_end)v);
}

static int
dir_of(int v, bool unsent)
{
	(void)unsent;
	return (int)mw_dir_of_errno(v);
}

static void
test_stores(void)
{
	static const struct expect ends[] = {
		SAME(MW_NET_DONE, MW_OK),
		SAME(MW_NET_STOPPED, MW_INTERNAL_ERROR),
		SAME(MW_NET_NO_CONNECT, MW_STORE_UNAVAILABLE),
		SAME(MW_NET_CUT, MW_STORE_UNAVAILABLE),
		SAME(MW_NET_TIMEOUT, MW_STORE_UNAVAILABLE),
		SAME(MW_NET_TOO_LARGE, MW_STORE_ERROR),
		SAME(MW_NET_BAD, MW_STORE_ERROR),
	};
	static const struct expect errnos[] = {
		SAME(ENOSPC, MW_STORAGE_FULL),
		SAME(EDQUOT, MW_STORAGE_FULL),
		SAME(EACCES, MW_STORE_ERROR),
		SAME(EPERM, MW_STORE_ERROR),
		SAME(ENOSYS, MW_STORE_ERROR),
	};
	static const int miss[] = { ENOENT, ENOTDIR, ELOOP, ENXIO, ENAMETOOLONG };
	unsigned wrong = 0;
	size_t i;
	int e;

	sweep("an S3 call without an answer", end_of, ends, COUNT(ends), MW_NET_BAD, -1);
	sweep("a directory's errno", dir_of, errnos, COUNT(errnos), 200, MW_STORE_UNAVAILABLE);
	for (e = 0; e < 200; e++) {
		for (i = 0; i < COUNT(miss) && miss[i] != e; i++)
			continue;
		wrong += mw_dir_is_miss(e) != (i < COUNT(miss));
	}
	is_int(wrong, 0, "and which of them say that there is no object");
}

static int
file_of(int v, bool unsent)
{
	(void)unsent;
	return (int)mw_local_of_errno(v);
}

static int
connect_of(int v, bool unsent)
{
	(void)unsent;
	return (int)mw_local_of_connect(v);
}

static int
stage_of(int v, bool unsent)
{
	(void)unsent;
	return (int)mw_local_of_stage((unsigned)v);
}

static void
test_local(void)
{
	static const struct expect files[] = {
		SAME(ENOENT, MW_FILE_NOT_FOUND), SAME(ENOTDIR, MW_FILE_NOT_FOUND),
		SAME(EACCES, MW_PERMISSION_DENIED), SAME(EPERM, MW_PERMISSION_DENIED),
		SAME(EROFS, MW_PERMISSION_DENIED), SAME(ELOOP, MW_PERMISSION_DENIED),
		SAME(EXDEV, MW_PERMISSION_DENIED),
		SAME(EISDIR, MW_CONFLICT), SAME(EEXIST, MW_CONFLICT), SAME(ENOTEMPTY, MW_CONFLICT),
		SAME(ENXIO, MW_CONFLICT), SAME(ENODEV, MW_CONFLICT), SAME(ETXTBSY, MW_CONFLICT),
		SAME(ENAMETOOLONG, MW_INVALID_PATH), SAME(EINVAL, MW_INVALID_PATH),
		SAME(ENOSPC, MW_STORAGE_FULL), SAME(EDQUOT, MW_STORAGE_FULL),
		SAME(EAGAIN, MW_SANDBOX_UNREACHABLE),
	};
	static const struct expect connects[] = {
		SAME(ENOENT, MW_SANDBOX_HIBERNATING), SAME(ECONNREFUSED, MW_SANDBOX_HIBERNATING),
		SAME(ENOTDIR, MW_SANDBOX_HIBERNATING), SAME(EAGAIN, MW_SANDBOX_TIMEOUT),
	};
	static const struct expect stages[] = {
		SAME(MW_AG_AT_CHDIR, MW_COMMAND_ERROR), SAME(MW_AG_AT_EXEC, MW_COMMAND_ERROR),
		SAME(MW_AG_AT_RESOURCES, MW_SANDBOX_CAPACITY),
	};

	sweep("a file's errno", file_of, files, COUNT(files), 200, MW_INTERNAL_ERROR);
	sweep("connecting to the agent", connect_of, connects, COUNT(connects), 200,
	    MW_SANDBOX_UNREACHABLE);
	sweep("the agent's stages", stage_of, stages, COUNT(stages), 300, MW_SANDBOX_UNREACHABLE);
	is_int(mw_local_of_stage(UINT32_MAX), MW_SANDBOX_UNREACHABLE, "no stage at all");
}

/* ---- what is done next ---- */

#define A MW_NEXT_ANSWER
#define R MW_NEXT_RETRY
#define W MW_NEXT_WAKE
#define NOTHING MW_SAYS_NOTHING
#define WELL MW_SAYS_WELL
#define ILL MW_SAYS_ILL

static const struct {
	enum mw_code code;
	enum mw_next next;
	enum mw_verdict verdict;
	bool outage;
} classes[] = {
	{ MW_OK, A, WELL, false }, { MW_INVALID_JSON, A, NOTHING, false },
	{ MW_INVALID_PATH, A, NOTHING, false }, { MW_INVALID_USER_ID, A, NOTHING, false },
	{ MW_INVALID_ARGUMENT, A, NOTHING, false }, { MW_TOO_MANY_OPERATIONS, A, NOTHING, false },
	{ MW_FORBIDDEN, A, NOTHING, false }, { MW_NOT_FOUND, A, NOTHING, false },
	{ MW_FILE_NOT_FOUND, A, WELL, false }, { MW_PROCESS_NOT_FOUND, A, WELL, false },
	{ MW_METHOD_NOT_ALLOWED, A, NOTHING, false }, { MW_CONFLICT, A, NOTHING, false },
	{ MW_PROCESS_LOST, A, WELL, false }, { MW_PRECONDITION_FAILED, A, WELL, false },
	{ MW_BODY_TOO_LARGE, A, NOTHING, false }, { MW_FILE_TOO_LARGE, A, WELL, false },
	{ MW_UNSUPPORTED_MEDIA, A, NOTHING, false },
	{ MW_RANGE_NOT_SATISFIABLE, A, WELL, false }, { MW_TOO_MANY_REQUESTS, A, NOTHING, false },
	{ MW_COMMAND_ERROR, A, WELL, false }, { MW_PERMISSION_DENIED, A, WELL, false },
	{ MW_NOT_SUPPORTED, A, WELL, false }, { MW_STORAGE_FULL, A, WELL, false },
	{ MW_DEADLINE_EXCEEDED, A, NOTHING, true }, { MW_INTERNAL_ERROR, A, NOTHING, false },
	{ MW_STORE_ERROR, A, WELL, true }, { MW_SANDBOX_NOT_FOUND, W, NOTHING, true },
	{ MW_SANDBOX_HIBERNATING, W, NOTHING, true }, { MW_SANDBOX_UNREACHABLE, R, ILL, true },
	{ MW_SANDBOX_UNAVAILABLE, A, NOTHING, true }, { MW_GATEWAY_FAILED, A, NOTHING, true },
	{ MW_WAKE_TIMEOUT, A, NOTHING, true }, { MW_SANDBOX_CAPACITY, A, NOTHING, true },
	{ MW_STORE_UNAVAILABLE, R, ILL, true }, { MW_COMMAND_TIMEOUT, A, WELL, false },
	{ MW_SANDBOX_TIMEOUT, R, ILL, true }, { MW_CLIENT_GONE, A, NOTHING, false },
};

static void
test_classes(void)
{
	const struct mw_class *c;
	size_t i;

	is_int((int64_t)COUNT(classes), MW_CODE_COUNT, "every code has its row here");
	for (i = 0; i < COUNT(classes); i++) {
		c = mw_class(classes[i].code);
		ok(classes[i].code == (enum mw_code)i && c->next == classes[i].next &&
		    c->verdict == classes[i].verdict && c->outage == classes[i].outage &&
		    mw_classify(classes[i].code) == c->next &&
		    mw_is_outage(classes[i].code) == c->outage, "%s",
		    mw_code_info(classes[i].code)->name);
		if (c->next == R && !mw_code_info(classes[i].code)->retryable)
			ok(false, "what we retry, a client may retry too");
	}
	ok(mw_class(MW_CODE_COUNT) == mw_class(MW_INTERNAL_ERROR), "what is no code is our fault");
}

int
main(void)
{
	test_net();
	test_stores();
	test_local();
	test_classes();
	return done();
}
