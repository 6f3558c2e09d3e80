/* SPDX-License-Identifier: BSD-2-Clause */
/* moltctl serve: the environment of what it starts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve.h"

extern char **environ;

#define OURS "MOLTWORKER_"
#define PATH_LINE "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* "NAME=value" in memory of its own. */
static char *
line(const char *name, const char *value)
{
	char *p;

	return asprintf(&p, "%s=%s", name, value) == -1 ? NULL : p;
}

/* Responders start helpers of the same build, wherever it is. */
static char *
self_line(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n == -1)
		return line("MOLTWORKER_MOLTCTL", MW_BINDIR "/moltctl");
	path[n] = '\0';
	return line("MOLTWORKER_MOLTCTL", path);
}

char **
mw_serve_env(const char *config, const char *procs)
{
	size_t n = 0, k = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	env = calloc(n + 5, sizeof(*env));
	if (env == NULL)
		return NULL;
	env[k++] = strdup(PATH_LINE);
	env[k++] = line("MOLTWORKER_CONFIG", config);
	env[k++] = line("MOLTWORKER_PROCS", procs);
	if (getenv("MOLTWORKER_MOLTCTL") == NULL)
		env[k++] = self_line();
	for (size_t i = 0; i < n; i++) {
		if (strncmp(environ[i], OURS, sizeof(OURS) - 1) == 0 &&
		    strncmp(environ[i], OURS "CONFIG=", sizeof(OURS "CONFIG=") - 1) != 0 &&
		    strncmp(environ[i], OURS "PROCS=", sizeof(OURS "PROCS=") - 1) != 0)
			env[k++] = strdup(environ[i]);
	}
	for (size_t i = 0; i < k; i++) {
		if (env[i] == NULL) {
			for (size_t j = 0; j < k; j++)
				free(env[j]);
			free(env);
			return NULL;
		}
	}
	return env;
}

void
mw_serve_env_free(char **env)
{
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		free(env[i]);
	free(env);
}
