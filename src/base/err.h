/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error codes: one enum, one table.  The table in err.c is the contract's error
 * table (doc/api.md, "Errors"): name, HTTP status, type, retryable.
 */
#ifndef MW_BASE_ERR_H
#define MW_BASE_ERR_H

#include <stdbool.h>

#define MW_MUST __attribute__((warn_unused_result))
#define MW_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MW_SENTINEL __attribute__((sentinel))

#define MW_RETRY_AFTER 5	/* seconds, for a 503 or 429 that names none */

enum mw_code {
	MW_OK = 0,
	MW_INVALID_JSON,
	MW_INVALID_PATH,
	MW_INVALID_USER_ID,
	MW_INVALID_ARGUMENT,
	MW_TOO_MANY_OPERATIONS,
	MW_FORBIDDEN,
	MW_NOT_FOUND,
	MW_FILE_NOT_FOUND,
	MW_PROCESS_NOT_FOUND,
	MW_METHOD_NOT_ALLOWED,
	MW_CONFLICT,
	MW_PROCESS_LOST,
	MW_PRECONDITION_FAILED,
	MW_BODY_TOO_LARGE,
	MW_FILE_TOO_LARGE,
	MW_UNSUPPORTED_MEDIA,
	MW_RANGE_NOT_SATISFIABLE,
	MW_TOO_MANY_REQUESTS,
	MW_COMMAND_ERROR,
	MW_PERMISSION_DENIED,
	MW_NOT_SUPPORTED,
	MW_STORAGE_FULL,
	MW_DEADLINE_EXCEEDED,
	MW_INTERNAL_ERROR,
	MW_STORE_ERROR,
	MW_SANDBOX_NOT_FOUND,
	MW_SANDBOX_HIBERNATING,
	MW_SANDBOX_UNREACHABLE,
	MW_SANDBOX_UNAVAILABLE,
	MW_GATEWAY_FAILED,
	MW_WAKE_TIMEOUT,
	MW_SANDBOX_CAPACITY,
	MW_STORE_UNAVAILABLE,
	MW_COMMAND_TIMEOUT,
	MW_SANDBOX_TIMEOUT,
	MW_CLIENT_GONE,		/* never on the wire: nobody is left to read it */
	MW_CODE_COUNT
};

struct mw_code_info {
	const char *name;	/* "file_not_found" */
	int status;		/* HTTP status */
	const char *type;	/* errorType: "client_error", ... */
	bool retryable;
	const char *log_class;	/* errorType of the log line: container|timeout|command|other */
};

/* The row of a code; every code has one.  Never NULL. */
const struct mw_code_info *mw_code_info(enum mw_code code);

/*
 * What went wrong, to what, and what to do next.  The first failure wins: the
 * root cause is kept.  No control characters; never a secret.
 */
struct mw_err {
	enum mw_code code;
	unsigned retry_after;	/* seconds; 0 = no hint from upstream */
	const char *details;	/* a JSON object for the answer's "details", arena; NULL = none */
	bool timed_out;		/* the upstream was silent for too long */
	bool unsent;		/* nobody was there to ask: nothing can have been begun */
	bool object;		/* one object's own trouble: its store is well */
	bool final;		/* what was asked may have been done: not to be asked again */
	char msg[256];
};

/*
 * Record a failure unless one is recorded already, and return `code` in either
 * case.  Control characters and bytes that are not UTF-8 become spaces.
 */
enum mw_code mw_fail(struct mw_err *err, enum mw_code code,
    const char *fmt, ...) MW_PRINTF(3, 4);

/* Seconds after which another try may help: what the upstream said, else what suits a
 * 503 or 429; 0 = nothing to say. */
unsigned mw_retry_after(const struct mw_err *err, enum mw_code code);

/* May the client send it again?  As the code says, unless it was begun. */
bool mw_err_retryable(const struct mw_err *err, enum mw_code code);

/* Forget a failure that was dealt with. */
void mw_err_clear(struct mw_err *err);

#endif
