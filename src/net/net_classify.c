/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table from libcurl's codes to how a call ended.  `unsent`: the same, for
 * a call that ended before a byte of the request was sent.
 */
#include <curl/curl.h>

#include "net/net.h"

static const struct {
	CURLcode curl;
	enum mw_net_end end, unsent;
} rows[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_COULDNT_CONNECT, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_SSL_CONNECT_ERROR, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_PEER_FAILED_VERIFICATION, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_SSL_CACERT_BADFILE, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_SSL_CERTPROBLEM, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_SSL_CIPHER, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_SSL_ISSUER_ERROR, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_SSL_INVALIDCERTSTATUS, MW_NET_NO_CONNECT, MW_NET_NO_CONNECT },
	{ CURLE_OPERATION_TIMEDOUT, MW_NET_TIMEOUT, MW_NET_NO_CONNECT },
	{ CURLE_ABORTED_BY_CALLBACK, MW_NET_TIMEOUT, MW_NET_NO_CONNECT },
	{ CURLE_GOT_NOTHING, MW_NET_CUT, MW_NET_CUT },
	{ CURLE_PARTIAL_FILE, MW_NET_CUT, MW_NET_CUT },
	{ CURLE_RECV_ERROR, MW_NET_CUT, MW_NET_CUT },
	{ CURLE_SEND_ERROR, MW_NET_CUT, MW_NET_CUT },
	{ CURLE_SEND_FAIL_REWIND, MW_NET_CUT, MW_NET_CUT },
	{ CURLE_SSL_SHUTDOWN_FAILED, MW_NET_CUT, MW_NET_CUT },
};

enum mw_net_end
mw_net_end_of(int curl, bool nothing_sent)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if ((int)rows[i].curl == curl)
			return nothing_sent ? rows[i].unsent : rows[i].end;
	}
	return MW_NET_BAD;
}
