/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a TCP port free? */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "serve.h"

static int
tcp_socket(unsigned port, struct sockaddr_in *sin)
{
	*sin = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

enum mw_code
mw_port_free(unsigned port, struct mw_err *err)
{
	struct sockaddr_in sin;
	int one = 1, fd = tcp_socket(port, &sin);
	enum mw_code code = MW_OK;

	if (fd == -1)
		return mw_fail(err, MW_INTERNAL_ERROR, "socket: %s", strerror(errno));
	/* As the web servers do: the remains of old connections do not count. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1)
		code = mw_fail(err, MW_INTERNAL_ERROR, "setsockopt: %s", strerror(errno));
	else if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 || listen(fd, 1) == -1)
		code = mw_fail(err, MW_INVALID_ARGUMENT, errno == EADDRINUSE ?
		    "port %u is in use: choose another one with --port" :
		    errno == EACCES ? "port %u needs root's rights: choose one above 1023 with --port" :
		    "port %u cannot be listened on", port);
	close(fd);
	return code;
}

bool
mw_probe(unsigned port)
{
	static const char get[] = "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n";
	static const char good[] = "HTTP/1.1 200";
	struct timeval second = { .tv_sec = 1 };
	struct sockaddr_in sin;
	char answer[sizeof(good)] = "";
	int fd = tcp_socket(port, &sin);
	ssize_t n = 0;

	if (fd == -1)
		return false;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) == 0 &&
	    connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 &&
	    send(fd, get, sizeof(get) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(get) - 1)
		n = recv(fd, answer, sizeof(good) - 1, MSG_WAITALL);
	close(fd);
	/* The minor version is the server's choice for a 1.0 client. */
	answer[7] = '1';
	return n == (ssize_t)sizeof(good) - 1 && memcmp(answer, good, sizeof(good) - 1) == 0;
}
