/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two drivers over Cloudflare's APIs must do beside the suite. */
#ifndef MW_TESTS_REMOTE_MORE_H
#define MW_TESTS_REMOTE_MORE_H

/* The API waits for everybody who holds a pipe; we do not. */
static void
left_running(void)
{
	static const struct { const char *script, *out; } rows[] = {
		{ "echo here; sleep 60 &", "here\n" },
		{ "printf here; (sleep 60; echo late) & (sleep 60; echo late >&2) &", "here" },
		{ "sleep 60 & :", "" },
	};
	int64_t began;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		began = mw_now();
		is_str(sh(rows[i].script), rows[i].out, "something is left running, with our pipe");
		ok(mw_now() - began < 40000, "and holds nobody up");
	}
	(void)sh("for p in $(pgrep sleep); do kill -9 $p; done; :");
	is_str(sh("ls \"$MW_RUN_DIR\" | grep -c '^x' | sed 's/^1$/only this one/'"),
	    "only this one\n", "and no directory of a call stays");
}

/* Caps, to the byte; the last word never shows. */
static void
caps(void)
{
	static const size_t sizes[] = { 0, 1, 31, 32, 33, 511, 512, 513, 4096 };
	char script[64];
	const char *argv[] = { "sh", "-c", script, NULL };
	struct mw_exec x = { .argv = argv };
	struct ran ran;
	size_t i, more;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (more = 0; more < 2; more++) {
			(void)snprintf(script, sizeof(script), "head -c %zu /dev/zero", sizes[i] + more);
			box_exec(&box, &x, sizes[i], &ran);
			ok(ran.code == MW_OK && ran.r.out.len == sizes[i] &&
			    ran.r.out_cut == (more > 0), "%zu bytes where %zu are wanted",
			    sizes[i] + more, sizes[i]);
			ran_free(&ran);
		}
	}
}

static void
remote_more(void)
{
	box_open(&box, "suite");
	box_ready(&box);
	left_running();
	caps();
	box_close(&box);
}

#endif
