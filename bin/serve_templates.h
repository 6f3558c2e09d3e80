/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private configurations of `moltctl serve`, included by serve_web.c only.
 * @NAME@ is replaced by a value without quotes or other special characters.
 */
#ifndef MW_BIN_SERVE_TEMPLATES_H
#define MW_BIN_SERVE_TEMPLATES_H

static const char lighttpd_text[] =
    "server.modules = ( \"mod_indexfile\", \"mod_staticfile\" )\n"
    "server.compat-module-load = \"disable\"\n"
    "server.bind = \"127.0.0.1\"\n"
    "server.port = @PORT@\n"
    "server.document-root = \"@RUN@/empty\"\n"
    "server.upload-dirs = ( \"@RUN@/tmp\" )\n"
    "var.moltworker_sockets = \"@SOCKETS@\"\n"
    "var.moltworker_data = \"@DATA@\"\n"
    "include \"@DATA@/lighttpd/parseopts.conf\"\n"
    "include \"@DATA@/lighttpd/moltworker.conf\"\n"
    /* The same conditions as there, once more: the last word counts. */
    "$HTTP[\"url\"] =^ \"/api/super/\" { server.max-request-size := @MAX_KIB@ }\n"
    "$HTTP[\"url\"] =~ \"^/(api/super|debug|healthz|metrics)(/|$)\" { server.max-request-size := @MAX_KIB@ }\n";

static const char nginx_text[] =
    "daemon off;\n"
    "worker_processes 2;\n"
    "pid \"@RUN@/nginx.pid\";\n"
    "error_log stderr warn;\n"
    "events { worker_connections 4096; }\n"
    "http {\n"
    "	access_log off;\n"
    "	gzip on;\n"		/* as Debian has it: the snippet must cope */
    "	client_body_temp_path \"@RUN@/tmp/body\";\n"
    "	fastcgi_temp_path \"@RUN@/tmp/fastcgi\";\n"
    "	proxy_temp_path \"@RUN@/tmp/proxy\";\n"
    "	uwsgi_temp_path \"@RUN@/tmp/uwsgi\";\n"
    "	scgi_temp_path \"@RUN@/tmp/scgi\";\n"
    "	types { text/html html; text/css css; text/javascript js; image/svg+xml svg; image/png png; }\n"
    "	charset utf-8;\n"
    "	include moltworker/map.conf;\n"
    "	server {\n"
    "		listen 127.0.0.1:@PORT@;\n"
    "		server_name localhost;\n"
    "		client_header_timeout 20s;\n"
    "		set $moltworker_sockets \"@SOCKETS@\";\n"
    "		set $moltworker_data \"@DATA@\";\n"
    "		include moltworker/locations.conf;\n"
    "	}\n"
    "}\n";

static const char nginx_body_text[] = "client_max_body_size @MAX_BODY@;\n";

#define MODULE(name) \
    "<IfModule !" name "_module>\n	LoadModule " name "_module \"@MODULES@/mod_" name ".so\"\n</IfModule>\n"

/* The log goes through cat to standard output, which is our standard error:
 * Apache would have to open that by name, and may not be allowed to. */
static const char apache_text[] =
    "ServerRoot \"@RUN@\"\n"
    "ServerName localhost\n"
    "Listen 127.0.0.1:@PORT@\n"
    "PidFile \"@RUN@/apache.pid\"\n"
    "DefaultRuntimeDir \"@RUN@\"\n"
    "Mutex \"file:@RUN@\" default\n"
    "ErrorLog \"||/bin/cat\"\n"
    "LogLevel warn\n"
    "<IfFile \"@MODULES@/mod_mpm_event.so\">\n"
    MODULE("mpm_event")
    "</IfFile>\n"
    MODULE("authz_core")
    MODULE("alias")
    MODULE("dir")
    MODULE("env")
    MODULE("headers")
    MODULE("mime")
    MODULE("rewrite")
    MODULE("reqtimeout")
    MODULE("setenvif")
    /* As Debian has it: the snippet must cope. */
    MODULE("filter")
    "<IfFile \"@MODULES@/mod_deflate.so\">\n"
    MODULE("deflate")
    "AddOutputFilterByType DEFLATE text/html text/plain\n"
    "</IfFile>\n"
    "TypesConfig /dev/null\n"
    "AddType text/html .html\n"
    "AddType text/css .css\n"
    "AddType text/javascript .js\n"
    "AddType image/svg+xml .svg\n"
    "AddCharset utf-8 .html .css .js\n"
    "DocumentRoot \"@RUN@/empty\"\n"
    "<Directory />\n"
    "	AllowOverride None\n"
    "	Require all denied\n"
    "</Directory>\n";

static const char apache_fcgid_text[] =
    MODULE("fcgid")
    "FcgidIPCDir \"@RUN@/fcgid\"\n"
    "FcgidProcessTableFile \"@RUN@/fcgid_shm\"\n"
    "FcgidMaxProcesses 1000\n"
    "FcgidSpawnScoreUpLimit 1000\n"
    "FcgidIdleScanInterval 10\n";

static const char apache_cgi_text[] =
    MODULE("cgid")
    "ScriptSock \"@RUN@/cgid.sock\"\n";

static const char apache_vhost_text[] =
    "Define MW_LIBEXEC \"@LIBEXEC@\"\n"
    "Define MW_DATA \"@DATA@\"\n"
    "Define MW_PROCS @PROCS@\n"
    "Define MW_MAX_BODY @MAX_BODY@\n"
    "<VirtualHost *:@PORT@>\n"
    "	Include \"@DATA@/apache/moltworker.conf\"\n"
    "</VirtualHost>\n";

/* What a shared host grants a document root. */
static const char apache_htaccess_text[] =
    "<VirtualHost *:@PORT@>\n"
    "	DocumentRoot \"@RUN@/htdocs\"\n"
    "	<Directory \"@RUN@/htdocs\">\n"
    "		Options FollowSymLinks\n"
    "		AllowOverride FileInfo AuthConfig Limit Indexes Options=ExecCGI\n"
    "		Require all granted\n"
    "	</Directory>\n"
    "</VirtualHost>\n";

#undef MODULE

#endif
