/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the web server and FastCGI cost by themselves: a responder that answers a
 * fixed JSON document, 1 MiB if the URL ends in "/1m", 1 KiB otherwise.
 */
#include <fcgiapp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL 1024
#define LARGE (1024 * 1024)
#define RECORD 16376		/* payload of a FastCGI record, as the responders send it */
#define SOCKET_ROOM 16384	/* and what they let the socket hold */

/* A document of `size` bytes. */
static void
fill(char *p, size_t size)
{
	static const char head[] = "{\"content\":\"", tail[] = "\"}\n";

	memset(p, 'x', size);
	memcpy(p, head, sizeof(head) - 1);
	memcpy(p + size - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
}

static int
head(FCGX_Stream *out, int size)
{
	return FCGX_FPrintF(out, "Status: 200 OK\r\nContent-Type: application/json\r\n"
	    "Content-Length: %d\r\nCache-Control: no-store\r\n\r\n", size);
}

/* libfcgi's own stream sends 8 KiB records: a wider one carries the large document. */
static bool
large(FCGX_Request *r, const char *document)
{
	int room = SOCKET_ROOM;
	FCGX_Stream *out = FCGX_CreateWriter(r->ipcFd, r->requestId, RECORD + 8, 6);
	bool good;

	if (out == NULL)
		return false;
	(void)setsockopt(r->ipcFd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	good = head(out, LARGE) >= 0 && FCGX_PutStr(document, LARGE, out) == LARGE &&
	    FCGX_FFlush(out) == 0;
	FCGX_FreeStream(&out);
	return good;
}

/* As many processes as a responder of ours would make of itself. */
static bool
make_pool(void)
{
	const char *procs = getenv("MOLTWORKER_PROCS");
	long n = procs != NULL ? strtol(procs, NULL, 10) : 1;
	pid_t pid;

	while (n-- > 1) {
		if ((pid = fork()) == 0)
			return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0;
		if (pid < 0)
			return false;
	}
	return true;
}

int
main(void)
{
	char *document = malloc(LARGE), brief[SMALL];
	FCGX_Request r;
	const char *uri;
	size_t n;

	if (document == NULL || !make_pool() || FCGX_Init() != 0 || FCGX_InitRequest(&r, 0, 0) != 0)
		return 1;
	fill(document, LARGE);
	fill(brief, SMALL);
	while (FCGX_Accept_r(&r) == 0) {
		uri = FCGX_GetParam("REQUEST_URI", r.envp);
		n = uri != NULL ? strlen(uri) : 0;
		if (n >= 3 && strcmp(uri + n - 3, "/1m") == 0)
			(void)large(&r, document);
		else if (head(r.out, SMALL) >= 0)
			(void)FCGX_PutStr(brief, SMALL, r.out);
		FCGX_Finish_r(&r);
	}
	free(document);
	return 0;
}
