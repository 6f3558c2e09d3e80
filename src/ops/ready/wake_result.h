/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a wake stands and how it ended, told to the other processes.  The numbers are in
 * the user's row of the mapping; a failure's text and the gateway's last lines are in
 * state.path/wakes/USER, written beside and renamed.  A process that is killed leaves
 * a row that says "in hand", which counts for nothing once the lock "wake:USER" is free.
 */
#ifndef MW_OPS_READY_WAKE_RESULT_H
#define MW_OPS_READY_WAKE_RESULT_H

#include "ops/ready/ready.h"

/* What a wake is at; a failure names where it died. */
enum mw_phase {
	MW_PHASE_NONE, MW_PHASE_SANDBOX_START, MW_PHASE_RESTORE,
	MW_PHASE_GATEWAY_START, MW_PHASE_PROBE, MW_PHASE_COUNT
};
extern const char *const mw_phase_words[MW_PHASE_COUNT];

#define MW_OUTCOME_LOG 8192	/* bytes of the gateway's last lines */

struct mw_wake_result {
	uint32_t gen;		/* of the wake: the row's wake_gen when it has ended */
	enum mw_code code;	/* MW_OK: it is still in hand */
	enum mw_level level;	/* lowest level that the failure keeps from */
	enum mw_phase phase;
	int64_t limit;		/* ms that it was tried for; 0 = the failure came of itself */
	unsigned retry_after;
	char text[256];
	const char *log;	/* NULL = none; arena */
};

/* Write it down.  What cannot be written is lost to others, and logged. */
void mw_wake_result_save(struct mw_app *app, const char *user, const struct mw_wake_result *o);
/* False: there is none. */
bool mw_wake_result_load(struct mw_app *app, struct mw_ctx *ctx, const char *user,
    struct mw_wake_result *o) MW_MUST;
void mw_wake_result_forget(struct mw_app *app, const char *user);

/* The file's text, and back; for the two above and their test. */
bool mw_wake_result_write(const struct mw_wake_result *o, struct mw_buf *b) MW_MUST;
bool mw_wake_result_read(struct mw_arena *a, const char *s, size_t n, struct mw_wake_result *o) MW_MUST;

/* The lines of a log as elements of an array, bad UTF-8 replaced; returns how many. */
int64_t mw_add_lines(struct mw_buf *b, struct mw_arena *arena, const char *s);

/* Make it the request's failure: text, details, Retry-After.  Returns its code. */
enum mw_code mw_wake_result_fail(struct mw_ctx *ctx, const struct mw_wake_result *o);

#endif
