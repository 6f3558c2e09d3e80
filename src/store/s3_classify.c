/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table from S3's answers to our codes: its <Code> first, the HTTP status
 * where there is none (docs.aws.amazon.com, "Error responses"; R2's own codes).
 */
#include <string.h>

#include "store/s3.h"

#define KEYS "check store.s3.access_key_id and the secret key file"
#define CLOCK "the clocks differ: check this machine's time"
#define WHERE "check store.s3.endpoint, region and path_style"
#define BUCKET "create the bucket or correct store.s3.bucket"
#define OWN "rules, a key or a storage class of this object forbid it"
#define TRANSIT "the content was damaged on its way"

static const struct mw_s3_class words[] = {
	{ "NoSuchKey", 0, 0, MW_FILE_NOT_FOUND, NULL },
	{ "NoSuchVersion", 0, 0, MW_FILE_NOT_FOUND, NULL },
	{ "NoSuchBucket", 0, 0, MW_STORE_ERROR, BUCKET },
	{ "InvalidBucketName", 0, 0, MW_STORE_ERROR, BUCKET },
	{ "NoSuchUpload", 0, 0, MW_STORE_UNAVAILABLE, "the upload was dropped" },
	{ "AccessDenied", 0, 0, MW_STORE_ERROR, KEYS },
	{ "AllAccessDisabled", 0, 0, MW_STORE_ERROR, KEYS },
	{ "AccountProblem", 0, 0, MW_STORE_ERROR, KEYS },
	{ "InvalidAccessKeyId", 0, 0, MW_STORE_ERROR, KEYS },
	{ "SignatureDoesNotMatch", 0, 0, MW_STORE_ERROR, KEYS },
	{ "InvalidToken", 0, 0, MW_STORE_ERROR, KEYS },
	{ "ExpiredToken", 0, 0, MW_STORE_ERROR, KEYS },
	{ "Unauthorized", 0, 0, MW_STORE_ERROR, KEYS },
	{ "NotEntitled", 0, 0, MW_STORE_ERROR, KEYS },
	{ "AuthorizationHeaderMalformed", 0, 0, MW_STORE_ERROR, WHERE },
	{ "PermanentRedirect", 0, 0, MW_STORE_ERROR, WHERE },
	{ "TemporaryRedirect", 0, 0, MW_STORE_ERROR, WHERE },
	{ "MethodNotAllowed", 0, 0, MW_STORE_ERROR, WHERE },
	{ "RequestTimeTooSkewed", 0, 0, MW_STORE_ERROR, CLOCK },
	{ "ExpiredRequest", 0, 0, MW_STORE_ERROR, CLOCK },
	{ "RequestExpired", 0, 0, MW_STORE_ERROR, CLOCK },
	{ "PreconditionFailed", 0, 0, MW_PRECONDITION_FAILED, NULL },
	{ "ConditionalRequestConflict", 0, 0, MW_STORE_UNAVAILABLE, NULL },
	{ "OperationAborted", 0, 0, MW_STORE_UNAVAILABLE, NULL },
	{ "InvalidRange", 0, 0, MW_RANGE_NOT_SATISFIABLE, NULL },
	{ "KeyTooLongError", 0, 0, MW_INVALID_PATH, NULL },
	{ "KeyTooLong", 0, 0, MW_INVALID_PATH, NULL },
	{ "InvalidObjectName", 0, 0, MW_INVALID_PATH, NULL },
	{ "InvalidURI", 0, 0, MW_INVALID_PATH, NULL },
	{ "EntityTooLarge", 0, 0, MW_FILE_TOO_LARGE, NULL },
	{ "QuotaExceeded", 0, 0, MW_STORAGE_FULL, NULL },
	{ "InsufficientStorage", 0, 0, MW_STORAGE_FULL, NULL },
	{ "XMinioStorageFull", 0, 0, MW_STORAGE_FULL, NULL },
	{ "BadDigest", 0, 0, MW_STORE_UNAVAILABLE, TRANSIT },
	{ "InvalidDigest", 0, 0, MW_STORE_UNAVAILABLE, TRANSIT },
	{ "XAmzContentSHA256Mismatch", 0, 0, MW_STORE_UNAVAILABLE, TRANSIT },
	{ "IncompleteBody", 0, 0, MW_STORE_UNAVAILABLE, TRANSIT },
	{ "RequestTimeout", 0, 0, MW_STORE_UNAVAILABLE, NULL },
	{ "SlowDown", 0, 0, MW_STORE_UNAVAILABLE, NULL },
	{ "TooManyRequests", 0, 0, MW_STORE_UNAVAILABLE, NULL },
	{ "Busy", 0, 0, MW_STORE_UNAVAILABLE, NULL },
	{ "ServiceUnavailable", 0, 0, MW_STORE_UNAVAILABLE, NULL },
	{ "InternalError", 0, 0, MW_STORE_UNAVAILABLE, NULL },
	{ "NotImplemented", 0, 0, MW_NOT_SUPPORTED, NULL },
};

/* The first row that holds the status; the last row holds them all. */
static const struct mw_s3_class statuses[] = {
	{ NULL, 300, 399, MW_STORE_ERROR, WHERE },
	{ NULL, 401, 401, MW_STORE_ERROR, KEYS },
	{ NULL, 403, 403, MW_STORE_ERROR, KEYS },
	{ NULL, 404, 404, MW_FILE_NOT_FOUND, NULL },
	{ NULL, 408, 408, MW_STORE_UNAVAILABLE, NULL },
	{ NULL, 409, 409, MW_STORE_UNAVAILABLE, NULL },
	{ NULL, 412, 412, MW_PRECONDITION_FAILED, NULL },
	{ NULL, 413, 413, MW_FILE_TOO_LARGE, NULL },
	{ NULL, 416, 416, MW_RANGE_NOT_SATISFIABLE, NULL },
	{ NULL, 425, 425, MW_STORE_UNAVAILABLE, NULL },
	{ NULL, 429, 429, MW_STORE_UNAVAILABLE, NULL },
	{ NULL, 501, 501, MW_NOT_SUPPORTED, NULL },
	{ NULL, 507, 507, MW_STORAGE_FULL, NULL },
	{ NULL, 500, 599, MW_STORE_UNAVAILABLE, NULL },
	{ NULL, 0, 999, MW_STORE_ERROR, WHERE },
};

/* A 404 that S3 did not write tells nothing of the object. */
static const struct mw_s3_class not_s3 =
    { NULL, 404, 404, MW_STORE_ERROR, WHERE };

/* Calls without an answer. */
static const enum mw_code ends[] = {
	[MW_NET_DONE] = MW_OK,
	[MW_NET_STOPPED] = MW_INTERNAL_ERROR,
	[MW_NET_NO_CONNECT] = MW_STORE_UNAVAILABLE,
	[MW_NET_CUT] = MW_STORE_UNAVAILABLE,
	[MW_NET_TIMEOUT] = MW_STORE_UNAVAILABLE,
	[MW_NET_TOO_LARGE] = MW_STORE_ERROR,
	[MW_NET_BAD] = MW_STORE_ERROR,
};
_Static_assert(sizeof(ends) / sizeof(ends[0]) == MW_NET_BAD + 1, "every end needs its row");

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct mw_s3_class *
mw_s3_classify(int status, const char *word, bool foreign)
{
	size_t i;

	for (i = 0; word[0] != '\0' && i < COUNT(words); i++) {
		if (strcmp(words[i].word, word) == 0)
			return &words[i];
	}
	if (status == 404 && (foreign || word[0] != '\0'))
		return &not_s3;
	for (i = 0; i < COUNT(statuses) - 1; i++) {
		if (status >= statuses[i].low && status <= statuses[i].high)
			break;
	}
	return &statuses[i];
}

/*
 * A key, a clock or a place that is wrong has words of its own, and fails the listing too.
 * What else is refused is that object alone: AccessDenied, InvalidObjectState, a key of
 * the client's that it was encrypted with (400), or a HEAD's status without a word.
 */
const char *
mw_s3_object_hint(const struct mw_s3_class *c, int status)
{
	if (c->code != MW_STORE_ERROR || status < 400 || status > 499)
		return NULL;
	if (c->word != NULL)
		return strcmp(c->word, "AccessDenied") == 0 ? OWN : NULL;
	return status == 401 || status == 404 ? NULL : OWN;
}

enum mw_code
mw_s3_of_end(enum mw_net_end end)
{
	return ends[end];
}
