/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the bridge and the container server answer, down to the answer of our script
 * in it; their errors; and the bridge's ids.  The drivers themselves are in
 * test_sandbox_suite_bridge and _container.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/remote/bridge.h"
#include "sandbox/remote/container.h"
#include "tap.h"

/* ---- our script's answer ---- */

#define NONCE "0123456789abcdef0123456789abcdef"
#define END "\n.end " NONCE "\n"

struct seen {
	char head[64], data[256];	/* parts are separated by '|' */
	unsigned part;
	enum mw_code head_code, data_code;	/* what to return */
};

static enum mw_code
see_head(void *arg, const char *line)
{
	struct seen *s = arg;

	(void)snprintf(s->head, sizeof(s->head), "%s", line);
	return s->head_code;
}

static enum mw_code
see_data(void *arg, unsigned part, const void *p, size_t n)
{
	struct seen *s = arg;
	size_t len = strlen(s->data);

	for (; s->part < part; s->part++)
		len += (size_t)snprintf(s->data + len, sizeof(s->data) - len, "|");
	(void)snprintf(s->data + len, sizeof(s->data) - len, "%.*s", (int)n, (const char *)p);
	return s->data_code;
}

static struct mw_remote_answer
answer(const char *p, size_t n, size_t step, struct seen *s)
{
	struct mw_remote_answer a;
	size_t i;

	mw_remote_answer_init(&a, NONCE);
	a.head = see_head;
	a.data = see_data;
	a.arg = s;
	for (i = 0; i < n; i += step) {
		if (!mw_remote_answer_feed(&a, p + i, n - i < step ? n - i : step))
			break;
	}
	return a;
}

static void
test_answer(void)
{
	static const struct {
		const char *in, *head, *data;
		bool whole, garbled;
		const char *what;
	} rows[] = {
		{ "mw1 fine" END, "fine", "", true, false, "no data" },
		{ "mw1 file a 1\naGVs\nbG8=" END, "file a 1", "hello", true, false, "data in lines" },
		{ "mw1 ran 0\naGk=\n.\nZXJy" END, "ran 0", "hi|err", true, false, "two parts" },
		{ "mw1 ran 0\n.\nZXJy" END, "ran 0", "|err", true, false, "the first empty" },
		{ "mw1 list\naGk=\n.bad" END, "list", "hi", true, false, "with trouble" },
		{ "mw1 list\naGk=\n", "list", "hi", false, false, "cut off" },
		{ "mw1 list\naG", "list", "", false, false, "cut off in a group" },
		{ "mw1 list\naG" END, "list", "", false, true, "an unfinished group" },
		{ "mw1 list\na!k=" END, "list", "", false, true, "no base64" },
		{ "mw1 list\naGk=aGk=" END, "list", "hi", false, true, "data after padding" },
		{ "hello\n", "", "", false, true, "another program's words" },
		{ "\nmw1 fine" END, "", "", false, true, "an empty line first" },
		{ "mw1 fine\n.end 00000000000000000000000000000000\n", "fine", "", false, true,
		    "another call's end" },
		{ "mw1 fine" END "x", "fine", "", true, true, "something behind the end" },
		{ "mw1 fine\n.other\n", "fine", "", false, true, "an unknown line" },
		{ "", "", "", false, false, "nothing" },
	};
	static const size_t steps[] = { 1, 3, 1000 };
	size_t i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			struct seen s = { .part = 0 };
			struct mw_remote_answer a = answer(rows[i].in, strlen(rows[i].in),
			    steps[j], &s);

			ok(a.whole == rows[i].whole && a.garbled == rows[i].garbled, "%s: as %s",
			    rows[i].what, rows[i].whole ? "whole" : "not whole");
			is_str(s.head, rows[i].head, "its head");
			/* Of what is refused, some may have been handed over. */
			if (!rows[i].garbled)
				is_str(s.data, rows[i].data, "its data");
			ok(a.bad == (strstr(rows[i].in, ".bad") != NULL), "its trouble");
		}
	}
}

static void
test_answer_stops(void)
{
	struct seen s = { .head_code = MW_CONFLICT };
	struct mw_remote_answer a = answer("mw1 x\naGk=" END, 6, 100, &s);
	static char head[4000];

	is_int(a.code, MW_CONFLICT, "the head's code stops it");
	s = (struct seen){ .data_code = MW_CLIENT_GONE };
	a = answer("mw1 x\naGk=\naGk=" END, 16, 5, &s);
	is_int(a.code, MW_CLIENT_GONE, "and the data's");
	is_str(s.data, "hi", "which gets no more");
	memset(head, 'h', sizeof(head) - 1);
	memcpy(head, "mw1 ", 4);
	head[sizeof(head) - 2] = '\n';
	s = (struct seen){ .part = 0 };
	a = answer(head, strlen(head), 100, &s);
	ok(a.headed && !a.garbled, "a long head is cut, not refused");
}

static void
test_stat(void)
{
	static const struct {
		const char *in;
		bool good;
		enum mw_file_type type;
		int64_t size, mtime;
		int mode;
	} rows[] = {
		{ "5 1700000000.123 81a4", true, MW_FT_FILE, 5, INT64_C(1700000000123), 0644 },
		{ "0 1700000000 41ed", true, MW_FT_DIR, 0, INT64_C(1700000000000), 0755 },
		{ "7 1.5 a1ff", true, MW_FT_SYMLINK, 7, 1500, 0777 },
		{ "0 0.000 11a4 ./x", true, MW_FT_OTHER, 0, 0, 0644 },
		{ "0 1.123456789 89ed", true, MW_FT_FILE, 0, 1123, 04755 },
		{ "x 1 81a4", false, 0, 0, 0, 0 },
		{ "1 x 81a4", false, 0, 0, 0, 0 },
		{ "1 1.x 81a4", false, 0, 0, 0, 0 },
		{ "1 1 81A4", false, 0, 0, 0, 0 },
		{ "1 1 123456789", false, 0, 0, 0, 0 },
		{ "1 1", false, 0, 0, 0, 0 },
		{ "-1 1 81a4", false, 0, 0, 0, 0 },
		{ "99999999999999999999 1 81a4", false, 0, 0, 0, 0 },
	};
	struct mw_stat st;
	const char *p;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = rows[i].in;
		ok(mw_remote_stat_parse(&p, &st) == rows[i].good, "%s", rows[i].in);
		if (rows[i].good)
			ok(st.type == rows[i].type && st.size == rows[i].size &&
			    st.mtime == rows[i].mtime && st.mode == rows[i].mode, "its numbers");
	}
}

/* ---- the upstreams' events ---- */

static bool
collect(void *arg, const void *p, size_t n)
{
	return mw_buf_add(arg, p, n);
}

struct event_row {
	const char *in, *out;
	bool ended, failed;
	int exit_code;
	const char *code;
	bool taken;		/* false: the stream is refused */
};

static void
test_bridge(void)
{
	static const struct event_row rows[] = {
		{ "event: stdout\ndata: aGkK\n\nevent: exit\ndata: {\"exit_code\":3}\n\n", "hi\n",
		    true, false, 3, "", true },
		{ "event: stderr\ndata: aGkK\n\nevent: exit\ndata: {\"exit_code\":0}\n\n", "",
		    true, false, 0, "", true },
		{ "event: stdout\ndata: aA==\n\nevent: stdout\ndata: aQ==\n\n", "hi", false, false,
		    -1, "", true },
		{ "event: error\ndata: {\"error\":\"exec failed: x\",\"code\":"
		    "\"exec_transport_error\"}\n\n", "", false, true, -1, "exec_transport_error",
		    true },
		{ "event: error\ndata: nonsense\n\n", "", false, true, -1, "", true },
		{ "event: stdout\ndata: a!\n\n", "", false, false, -1, "", false },
		{ "event: stdout\ndata: aGk\n\n", "", false, false, -1, "", false },
		{ "event: exit\ndata: {}\n\n", "", false, false, -1, "", false },
		{ "event: exit\ndata: {\"exit_code\":\"0\"}\n\n", "", false, false, -1, "", false },
		{ "event: new\ndata: x\n\nevent: exit\ndata: {\"exit_code\":0}\n\n", "", true,
		    false, 0, "", true },
		{ "event: exit\ndata: {\"exit_code\":0}\n\nevent: exit\ndata: {\"exit_code\":1}\n\n",
		    "", true, false, 0, "", true },
	};
	struct mw_remote_events a;
	struct mw_buf out;
	size_t i;
	bool taken;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mw_buf_init(&out, 1024);
		mw_remote_events_init(&a, mw_bridge_event, collect, &out);
		taken = mw_sse_feed(&a.sse, rows[i].in, strlen(rows[i].in));
		ok(taken == rows[i].taken, "bridge row %zu: taken", i);
		ok(a.ended == rows[i].ended && a.failed == rows[i].failed, "how it ended");
		is_int(a.exit_code, rows[i].exit_code, "its exit code");
		is_str(a.said.code, rows[i].code, "its error");
		if (rows[i].taken)
			is_str(out.len > 0 ? out.data : "", rows[i].out, "its output");
		mw_sse_free(&a.sse);
		mw_buf_free(&out);
	}
}

static void
test_container(void)
{
	static const struct event_row rows[] = {
		{ "data: {\"type\":\"start\"}\n\ndata: {\"type\":\"stdout\",\"data\":\"h\\u0069\\n\"}\n\n"
		    "data: {\"type\":\"complete\",\"exitCode\":4}\n\n", "hi\n", true, false, 4, "",
		    true },
		{ "data: {\"type\":\"stderr\",\"data\":\"x\"}\n\n"
		    "data: {\"type\":\"complete\",\"exitCode\":0}\n\n", "", true, false, 0, "", true },
		{ "data: {\"type\":\"stdout\",\"data\":\"x\"}\n\n", "x", false, false, -1, "", true },
		{ "data: {\"type\":\"error\",\"error\":\"no\",\"code\":\"INTERNAL_ERROR\"}\n\n", "",
		    false, true, -1, "INTERNAL_ERROR", true },
		{ "data: {\"type\":\"stdout\"}\n\n", "", false, false, -1, "", false },
		{ "data: {\"type\":\"stdout\",\"data\":7}\n\n", "", false, false, -1, "", false },
		{ "data: {\"type\":\"complete\"}\n\n", "", false, false, -1, "", false },
		{ "data: {\"type\":\"complete\",\"exitCode\":null}\n\n", "", false, false, -1, "",
		    false },
		{ "data: [1]\n\n", "", false, false, -1, "", false },
		{ "data: {\n\n", "", false, false, -1, "", false },
		{ "data: {\"type\":\"later\"}\n\ndata: {\"type\":\"complete\",\"exitCode\":0}\n\n", "",
		    true, false, 0, "", true },
	};
	struct mw_remote_events a;
	struct mw_buf out;
	size_t i;
	bool taken;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mw_buf_init(&out, 1024);
		mw_remote_events_init(&a, mw_container_event, collect, &out);
		taken = mw_sse_feed(&a.sse, rows[i].in, strlen(rows[i].in));
		ok(taken == rows[i].taken, "container row %zu: taken", i);
		ok(a.ended == rows[i].ended && a.failed == rows[i].failed, "how it ended");
		is_int(a.exit_code, rows[i].exit_code, "its exit code");
		is_str(a.said.code, rows[i].code, "its error");
		is_str(out.len > 0 ? out.data : "", rows[i].out, "its output");
		mw_sse_free(&a.sse);
		mw_buf_free(&out);
	}
}

/* ---- errors ---- */

struct error_row {
	int status;
	const char *word, *text;
	enum mw_code want;
};

static void
errors(const char *name, const struct mw_remote_error *table, const struct error_row *rows,
    size_t n)
{
	const struct mw_remote_error *row = table;
	size_t i, used = 0, all;

	for (all = 1; row->status != 0 || row->word != NULL || row->text != NULL; row++)
		all++;
	for (i = 0; i < n; i++) {
		row = mw_remote_classify(table, rows[i].status, rows[i].word, rows[i].text);
		is_int(row->code, rows[i].want, name);
		if (row->code != rows[i].want)
			printf("# %d %s\n", rows[i].status, rows[i].word);
		/* Every row once, in the table's own order: none hides another. */
		used += (size_t)(row - table) == i;
	}
	is_int((int64_t)used, (int64_t)all, "every row is reached");
}

static void
test_errors(void)
{
	static const struct error_row bridge[] = {
		{ 401, "unauthorized", "Unauthorized", MW_SANDBOX_UNAVAILABLE },
		{ 503, "capacity_exceeded", "", MW_SANDBOX_CAPACITY },
		{ 502, "pool_error", "pool error: Failed to start container", MW_SANDBOX_UNAVAILABLE },
		{ 413, "payload_too_large", "", MW_FILE_TOO_LARGE },
		{ 403, "invalid_request", "", MW_SANDBOX_UNAVAILABLE },
		{ 502, "session_error", "", MW_SANDBOX_UNAVAILABLE },
		{ 502, "workspace_archive_write_error", "write failed: ENOSPC", MW_STORAGE_FULL },
		{ 502, "workspace_archive_write_error", "x: No space left", MW_STORAGE_FULL },
		{ 502, "workspace_archive_write_error", "OperationInterruptedError: ",
		    MW_SANDBOX_UNREACHABLE },
		{ 502, "workspace_archive_read_error", "", MW_SANDBOX_UNREACHABLE },
		{ 200, "exec_transport_error", "exec failed", MW_SANDBOX_UNREACHABLE },
		{ 200, "exec_error", "", MW_SANDBOX_UNREACHABLE },
		{ 200, "", "", MW_SANDBOX_UNREACHABLE },
		{ 401, "", "", MW_SANDBOX_UNAVAILABLE },
		{ 403, "", "", MW_SANDBOX_UNAVAILABLE },
		{ 404, "", "", MW_SANDBOX_UNAVAILABLE },
		{ 405, "", "", MW_SANDBOX_UNAVAILABLE },
		{ 408, "", "", MW_SANDBOX_UNREACHABLE },
		{ 413, "", "", MW_FILE_TOO_LARGE },
		{ 429, "", "", MW_SANDBOX_CAPACITY },
		{ 500, "", "", MW_SANDBOX_UNREACHABLE },
		{ 501, "", "", MW_SANDBOX_UNAVAILABLE },
		{ 502, "", "", MW_SANDBOX_UNREACHABLE },
		{ 503, "", "", MW_SANDBOX_UNREACHABLE },
		{ 504, "", "", MW_SANDBOX_TIMEOUT },
		{ 520, "", "", MW_SANDBOX_UNREACHABLE },
		{ 521, "", "", MW_SANDBOX_UNREACHABLE },
		{ 522, "", "", MW_SANDBOX_UNREACHABLE },
		{ 523, "", "", MW_SANDBOX_UNREACHABLE },
		{ 524, "", "", MW_SANDBOX_TIMEOUT },
		{ 530, "", "", MW_SANDBOX_UNREACHABLE },
		{ 302, "", "", MW_SANDBOX_UNAVAILABLE },
	};
	static const struct error_row container[] = {
		{ 413, "FILE_TOO_LARGE", "", MW_FILE_TOO_LARGE },
		{ 500, "FILESYSTEM_ERROR", "ENOSPC: no space", MW_STORAGE_FULL },
		{ 500, "FILESYSTEM_ERROR", "EDQUOT: quota", MW_STORAGE_FULL },
		{ 500, "FILESYSTEM_ERROR", "EACCES: no", MW_PERMISSION_DENIED },
		{ 500, "FILESYSTEM_ERROR", "EROFS: no", MW_PERMISSION_DENIED },
		{ 500, "FILESYSTEM_ERROR", "EISDIR: x", MW_SANDBOX_UNAVAILABLE },
		{ 409, "RESOURCE_BUSY", "", MW_SANDBOX_UNREACHABLE },
		{ 409, "OPERATION_INTERRUPTED", "", MW_SANDBOX_UNREACHABLE },
		{ 410, "SESSION_TERMINATED", "", MW_SANDBOX_UNREACHABLE },
		{ 410, "SESSION_DESTROYED", "", MW_SANDBOX_UNREACHABLE },
		{ 500, "STREAM_START_ERROR", "", MW_SANDBOX_UNAVAILABLE },
		{ 500, "COMMAND_EXECUTION_ERROR", "", MW_SANDBOX_UNAVAILABLE },
		{ 500, "INTERNAL_ERROR", "", MW_SANDBOX_UNREACHABLE },
		{ 200, "", "", MW_SANDBOX_UNREACHABLE },
		{ 401, "", "", MW_SANDBOX_UNAVAILABLE },
		{ 403, "", "", MW_SANDBOX_UNAVAILABLE },
		{ 404, "UNKNOWN_ERROR", "", MW_SANDBOX_UNAVAILABLE },
		{ 408, "", "", MW_SANDBOX_UNREACHABLE },
		{ 409, "", "", MW_SANDBOX_UNREACHABLE },
		{ 413, "", "", MW_FILE_TOO_LARGE },
		{ 429, "", "", MW_SANDBOX_CAPACITY },
		{ 500, "", "Internal Server Error", MW_SANDBOX_UNREACHABLE },
		{ 502, "", "", MW_SANDBOX_UNREACHABLE },
		{ 503, "", "", MW_SANDBOX_UNREACHABLE },
		{ 504, "", "", MW_SANDBOX_TIMEOUT },
		{ 400, "VALIDATION_FAILED", "", MW_SANDBOX_UNAVAILABLE },
	};
	struct mw_remote_said said;

	errors("bridge", mw_bridge_errors, bridge, sizeof(bridge) / sizeof(bridge[0]));
	errors("container", mw_container_errors, container,
	    sizeof(container) / sizeof(container[0]));
	mw_remote_said("{\"code\":\"X\",\"message\":\"why\"}", 28, "code", "message", &said);
	ok(strcmp(said.code, "X") == 0 && strcmp(said.text, "why") == 0, "what an error says");
	mw_remote_said("<html>", 6, "code", "message", &said);
	ok(said.code[0] == '\0' && said.text[0] == '\0', "nothing, if it is no JSON");
	mw_remote_said("{\"code\":7}", 10, "code", "message", &said);
	ok(said.code[0] == '\0', "nothing, if it is no string");
}

/* RFC 4648 10, in lower case and without padding. */
static void
test_ids(void)
{
	static const struct { const char *user, *id; } rows[] = {
		{ "f", "my" }, { "fo", "mzxq" }, { "foo", "mzxw6" }, { "foob", "mzxw6yq" },
		{ "fooba", "mzxw6ytb" }, { "foobar", "mzxw6ytboi" },
		{ "user-1.A_z", "ovzwk4rngexecx32" },
	};
	char longest[81], id[MW_BRIDGE_ID_MAX + 1];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mw_bridge_id(rows[i].user, id);
		is_str(id, rows[i].id, rows[i].user);
	}
	memset(longest, 'z', 80);
	longest[80] = '\0';
	mw_bridge_id(longest, id);
	is_int((int64_t)strlen(id), 128, "the longest user id just fits");
}

int
main(void)
{
	test_answer();
	test_answer_stops();
	test_stat();
	test_bridge();
	test_container();
	test_errors();
	test_ids();
	return done();
}
