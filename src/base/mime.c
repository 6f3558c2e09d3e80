/* SPDX-License-Identifier: BSD-2-Clause */
/* Content types by the ending of a name. */
#include "base/mime.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *ending;
	const char *type;
} types[] = {
	{ "txt", "text/plain" },
	{ "md", "text/markdown" },
	{ "markdown", "text/markdown" },
	{ "json", "application/json" },
	{ "jsonl", "application/x-ndjson" },
	{ "ndjson", "application/x-ndjson" },
	{ "yaml", "application/yaml" },
	{ "yml", "application/yaml" },
	{ "toml", "application/toml" },
	{ "html", "text/html" },
	{ "htm", "text/html" },
	{ "css", "text/css" },
	{ "csv", "text/csv" },
	{ "tsv", "text/tab-separated-values" },
	{ "js", "text/javascript" },
	{ "mjs", "text/javascript" },
	{ "ts", "text/plain" },
	{ "tsx", "text/plain" },
	{ "jsx", "text/plain" },
	{ "xml", "application/xml" },
	{ "svg", "image/svg+xml" },
	{ "log", "text/plain" },
	{ "conf", "text/plain" },
	{ "cfg", "text/plain" },
	{ "ini", "text/plain" },
	{ "env", "text/plain" },
	{ "sh", "text/x-shellscript" },
	{ "py", "text/x-python" },
	{ "c", "text/x-c" },
	{ "h", "text/x-c" },
	{ "cc", "text/x-c++" },
	{ "cpp", "text/x-c++" },
	{ "go", "text/plain" },
	{ "rs", "text/plain" },
	{ "rb", "text/plain" },
	{ "java", "text/plain" },
	{ "sql", "text/plain" },
	{ "diff", "text/x-diff" },
	{ "patch", "text/x-diff" },
	{ "ics", "text/calendar" },
	{ "pdf", "application/pdf" },
	{ "png", "image/png" },
	{ "jpg", "image/jpeg" },
	{ "jpeg", "image/jpeg" },
	{ "gif", "image/gif" },
	{ "webp", "image/webp" },
	{ "avif", "image/avif" },
	{ "bmp", "image/bmp" },
	{ "ico", "image/vnd.microsoft.icon" },
	{ "mp3", "audio/mpeg" },
	{ "ogg", "audio/ogg" },
	{ "wav", "audio/wav" },
	{ "flac", "audio/flac" },
	{ "m4a", "audio/mp4" },
	{ "mp4", "video/mp4" },
	{ "webm", "video/webm" },
	{ "mov", "video/quicktime" },
	{ "woff", "font/woff" },
	{ "woff2", "font/woff2" },
	{ "ttf", "font/ttf" },
	{ "otf", "font/otf" },
	{ "zip", "application/zip" },
	{ "gz", "application/gzip" },
	{ "tgz", "application/gzip" },
	{ "bz2", "application/x-bzip2" },
	{ "xz", "application/x-xz" },
	{ "zst", "application/zstd" },
	{ "tar", "application/x-tar" },
	{ "7z", "application/x-7z-compressed" },
	{ "wasm", "application/wasm" },
	{ "sqlite", "application/vnd.sqlite3" },
	{ "db", "application/vnd.sqlite3" },
};

const char *
mw_path_mime(const char *path)
{
	const char *name = strrchr(path, '/'), *dot;
	size_t i;

	name = name == NULL ? path : name + 1;
	dot = strrchr(name, '.');
	/* ".json" is a hidden name, not an ending. */
	if (dot != NULL && dot != name) {
		for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
			if (strcasecmp(dot + 1, types[i].ending) == 0)
				return types[i].type;
		}
	}
	return "application/octet-stream";
}
