/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of sandbox_suite.h: files and lists. */
#ifndef MW_TESTS_SANDBOX_SUITE_FILES_H
#define MW_TESTS_SANDBOX_SUITE_FILES_H

/* Names that the API allows and that shells, URLs and archives get wrong. */
static const char *const suite_names[] = {
	"plain", "a b", "a+b", "a%20b", "%", "a&b=c;d", "a?b", "a#b", "!$&'()*+,;=:@",
	"\"quoted\"", "'", "back\\slash", "\\n", "caf\xc3\xa9", "cafe\xcc\x81",
	"\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\xa6\x80", " lead", "trail ", "  two  ", "~",
	".hidden", "...", "..a", "a..", "-rf", "--", "-", "*", "[x]", "<a>&lt;b>", "{json}",
	"a|b", "a^b`c", "$(id)", "`id`", "$HOME", "a:b", "deep/er/and/still/deeper",
	"\xc2\xa0nbsp", "\xef\xbb\xbf\x62om", ".wh.white", ".wh..wh..opq", "PaxHeaders.0",
	"dir with blank/and 'quote'"
};

#define SUITE_NNAMES (sizeof(suite_names) / sizeof(suite_names[0]))

/* The file `path` by its bytes, from inside. */
static bool
inside_is(const char *path, const char *text)
{
	const char *argv[] = { "sh", "-c", "cat <\"$1\"", "sh", NULL, NULL };
	struct mw_exec x = { .argv = argv };
	char name[1200];
	struct ran ran;
	bool good;

	(void)snprintf(name, sizeof(name), "./%s", path);
	argv[4] = name;
	box_exec(&box, &x, 4096, &ran);
	good = ran.code == MW_OK && ran.r.exit_code == 0 && ran.r.out.len == strlen(text) &&
	    memcmp(ran.r.out.data == NULL ? "" : ran.r.out.data, text, ran.r.out.len) == 0;
	if (!good)
		printf("# inside %s: %s, exit %d: '%s'\n", path, mw_code_info(ran.code)->name,
		    ran.r.exit_code, ran.r.out.len > 0 ? ran.r.out.data : "");
	ran_free(&ran);
	return good;
}

static void
suite_name(const char *name)
{
	char path[1100], text[1200];
	struct mw_stat st;

	(void)snprintf(path, sizeof(path), "odd/%s", name);
	(void)snprintf(text, sizeof(text), "content of %s", name);
	suite_code(put(path, text), MW_OK, name);
	ok(box_holds(&box, path, text, strlen(text)), "%.40s: read", name);
	suite_code(box_stat(&box, path, &st), MW_OK, "stat");
	ok(st.type == MW_FT_FILE && st.size == (int64_t)strlen(text), "%.40s: stat", name);
}

/* All of them, made inside by one command. */
static void
suite_plant(void)
{
	const char *argv[SUITE_NNAMES + 5] = { "sh", "-c", "mkdir odd && cd odd && for n; do "
	    "case $n in */*) mkdir -p \"./${n%/*}\";; esac; "
	    "printf 'content of %s' \"$n\" >\"./$n\" || exit 1; done", "sh" };
	struct mw_exec x = { .argv = argv };
	struct ran ran;

	memcpy(argv + 4, suite_names, sizeof(suite_names));
	box_exec(&box, &x, 4096, &ran);
	ok(ran.code == MW_OK && ran.r.exit_code == 0, "odd names made inside");
	ran_free(&ran);
}

static void
suite_all_names(void)
{
	static char longest[256], deepest[1021];
	char path[1100], text[1200];
	unsigned stride = drv->stride > 0 ? drv->stride : 1;
	struct listed l = { 0 };
	size_t i;

	memset(longest, 'n', 255);
	for (i = 0; i < sizeof(deepest) - 1; i++)
		deepest[i] = i % 200 == 199 ? '/' : 'd';
	suite_plant();
	for (i = 0; i < SUITE_NNAMES; i++) {
		if (i % stride == 0 || getenv("MW_LONG") != NULL)
			suite_name(suite_names[i]);
	}
	suite_name(longest);
	suite_name(deepest);
	/* Now that all are there: none has hit another, and the sandbox sees the same. */
	suite_code(box_list(&box, "odd", true, &l), MW_OK, "list");
	for (i = 0; i < SUITE_NNAMES; i++) {
		(void)snprintf(path, sizeof(path), "odd/%s", suite_names[i]);
		(void)snprintf(text, sizeof(text), "content of %s", suite_names[i]);
		if (i % (6 * stride) == 0)
			ok(inside_is(path, text), "%s: inside", path);
		ok(is_listed(&l, suite_names[i]), "%s: listed", path);
		ok(box_holds(&box, path, text, strlen(text)), "%s: read", path);
	}
	ok(is_listed(&l, longest), "a segment of 255 bytes: listed");
	ok(is_listed(&l, deepest), "a path of 1024 bytes: listed");
	mw_buf_free(&l.names);
	for (i = 0; i < SUITE_NNAMES; i++) {
		(void)snprintf(path, sizeof(path), "odd/%s", suite_names[i]);
		if (i % (4 * stride) != 0)
			continue;
		suite_code(box_remove(&box, path), MW_OK, "remove");
		suite_code(get_code(path), MW_FILE_NOT_FOUND, path);
	}
	(void)sh("rm -rf odd");
	suite_code(box_list(&box, "odd", true, &l), MW_FILE_NOT_FOUND, "list: all is gone");
	mw_buf_free(&l.names);
}

/* Names that no client may send, but that can be there. */
static void
suite_names_from_below(void)
{
	static const char *const names[] = { "tab\there", "new\nline", "\nfirst", "last\n",
	    "\x01\x7f", "\xff\xfe", "a\xc3", "two\n\nlines 81a4 5 1 x\n" };
	struct listed l = { 0 };
	struct mw_stat st;
	size_t i;

	(void)sh("mkdir -p below/sub && cd below && printf 1 >'tab\there' && "
	    "for n in 'new\\nline' '\\nfirst' 'last\\nX' '\\001\\177' '\\377\\376' 'a\\303' "
	    "'two\\n\\nlines 81a4 5 1 x\\nX'; do f=$(printf \"$n\"); "
	    "case $n in *X) f=${f%X};; esac; printf 12 >\"$f\"; done; printf 1 >sub/'x\ty'");
	suite_code(box_list(&box, "below", true, &l), MW_OK, "list");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ok(is_listed(&l, names[i]), "a name from below, row %zu", i);
	ok(is_listed(&l, "sub/x\ty"), "and one in a directory");
	is_int((int64_t)l.n, sizeof(names) / sizeof(names[0]) + 2, "and nothing else");
	mw_buf_free(&l.names);
	ok(lists("below", false, names[7], &st) && st.type == MW_FT_FILE && st.size == 2,
	    "no name is taken for what it looks like");
	(void)sh("rm -rf below");
}

static void
suite_bytes(void)
{
	static unsigned char all[300001];
	static const size_t sizes[] = { 0, 1, 511, 512, 513, 65535, 65536, 65537, sizeof(all) };
	struct mw_stat st;
	size_t i;

	for (i = 0; i < sizeof(all); i++)
		all[i] = (unsigned char)(i * 131 + i / 251);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		suite_code(box_put(&box, "bytes", all, sizes[i], -1, -1), MW_OK, "write");
		ok(box_holds(&box, "bytes", all, sizes[i]), "%zu bytes", sizes[i]);
		suite_code(box_stat(&box, "bytes", &st), MW_OK, "stat");
		is_int(st.size, (int64_t)sizes[i], "its size");
	}
	is_str(sh("wc -c <bytes | tr -d ' '"), "300001\n", "and its size inside");
	(void)sh("rm bytes; : >empty");
	ok(box_holds(&box, "empty", "", 0), "an empty file made inside is a file without bytes");
	(void)sh("rm empty");
}

static void
suite_big(size_t size)
{
	unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
	struct got g = { 0 };
	size_t i;

	if (p == MAP_FAILED)
		abort();
	for (i = 0; i + 8 < size; i += 4093)
		memcpy(p + i, &i, sizeof(i));
	p[size - 1] = 7;
	suite_code(box_put(&box, "big", p, size, 0600, -1), MW_OK, "write of a big file");
	ok(box_holds(&box, "big", p, size), "%zu MiB", size >> 20);
	suite_code(box_get(&box, "big", true, (int64_t)size - 5, -1, &g), MW_OK, "its last bytes");
	ok(g.body.len == 5 && memcmp(g.body.data, p + size - 5, 5) == 0, "are the right ones");
	mw_buf_free(&g.body);
	suite_code(box_remove(&box, "big"), MW_OK, "remove of a big file");
	(void)munmap(p, size);
}

static void
suite_ranges(void)
{
	static const struct {
		int64_t from, to;
		enum mw_code code;
		const char *body;
	} rows[] = {
		{ 0, 3, MW_OK, "0123" },
		{ 5, -1, MW_OK, "56789" },
		{ -1, 3, MW_OK, "789" },
		{ -1, 100, MW_OK, "0123456789" },
		{ 8, 100, MW_OK, "89" },
		{ 9, 9, MW_OK, "9" },
		{ 0, -1, MW_OK, "0123456789" },
		{ 10, -1, MW_RANGE_NOT_SATISFIABLE, "" },
		{ 10, 20, MW_RANGE_NOT_SATISFIABLE, "" },
	};
	struct got g = { 0 };
	char what[64];
	size_t i;

	suite_code(put("range", "0123456789"), MW_OK, "write");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(what, sizeof(what), "range %d to %d", (int)rows[i].from,
		    (int)rows[i].to);
		suite_code(box_get(&box, "range", true, rows[i].from, rows[i].to, &g),
		    rows[i].code, what);
		ok(g.body.len == strlen(rows[i].body) && (g.body.len == 0 ||
		    memcmp(g.body.data, rows[i].body, g.body.len) == 0), "%s: bytes", what);
		ok(rows[i].code != MW_OK || (g.st.size == 10 &&
		    g.to - g.from + 1 == (int64_t)g.body.len), "%s: as announced", what);
		mw_buf_free(&g.body);
	}
	(void)sh("rm range; : >none");
	suite_code(box_get(&box, "none", true, 0, -1, &g), MW_RANGE_NOT_SATISFIABLE,
	    "a range of an empty file");
	mw_buf_free(&g.body);
	(void)sh("rm none");
}

static void
suite_attributes(void)
{
	const int64_t then = INT64_C(1700000000123);
	struct mw_stat st;

	suite_code(box_put(&box, "at", "x", 1, 0751, then), MW_OK, "write with mode and mtime");
	suite_code(box_stat(&box, "at", &st), MW_OK, "stat");
	is_int(st.mode & 0777, 0751, "the mode");
	is_int(st.mtime / drv->stat_grain, then / drv->stat_grain, "the mtime");
	is_str(sh("stat -c '%a %Y' at"), "751 1700000000\n", "both, inside");
	suite_code(put("at", "y"), MW_OK, "written again, with neither");
	suite_code(box_stat(&box, "at", &st), MW_OK, "stat");
	is_int(st.mode & 0777, 0751, "keeps its mode");
	ok(llabs((long long)(st.mtime - mw_wall())) < 120000, "and is new");
	suite_code(put("at2", "y"), MW_OK, "a new file");
	suite_code(box_stat(&box, "at2", &st), MW_OK, "stat");
	is_int(st.mode & 0777, 0644, "has mode 0644");
	suite_code(box_put(&box, "at2", "z", 1, 0600, -1), MW_OK, "written with another mode");
	suite_code(box_stat(&box, "at2", &st), MW_OK, "stat");
	is_int(st.mode & 0777, 0600, "has it");
	ok(lists("", false, "at", &st) && st.type == MW_FT_FILE && (st.mode & 0777) == 0751 &&
	    st.size == 1 && llabs((long long)(st.mtime - mw_wall())) < 120000,
	    "a list tells the same");
	suite_code(box_put(&box, "at", "x", 1, -1, then), MW_OK, "write with an mtime");
	ok(lists("", false, "at", &st), "listed");
	is_int(st.mtime / drv->grain, then / drv->grain, "its mtime in a list");
	(void)sh("rm at at2");
}

/* Missing, empty and not a file are three things. */
static void
suite_kinds(void)
{
	struct listed l = { 0 };
	struct mw_stat st;

	(void)sh("mkdir -p kinds/empty kinds/full && : >kinds/full/f && mkfifo kinds/fifo");
	suite_code(get_code("kinds/none"), MW_FILE_NOT_FOUND, "read of what is not there");
	suite_code(get_code("none/none"), MW_FILE_NOT_FOUND, "nor its directory");
	suite_code(get_code("kinds/full/f/x"), MW_FILE_NOT_FOUND, "read below a file");
	suite_code(get_code("kinds/full"), MW_CONFLICT, "read of a directory");
	suite_code(get_code("kinds/fifo"), MW_CONFLICT, "read of a FIFO, at once");
	suite_code(get_code(""), MW_CONFLICT, "read of the root");
	suite_code(box_stat(&box, "kinds/none", &st), MW_FILE_NOT_FOUND, "stat of nothing");
	suite_code(box_stat(&box, "kinds/full/f/x", &st), MW_FILE_NOT_FOUND, "stat below a file");
	suite_code(box_stat(&box, "kinds/full", &st), MW_OK, "stat of a directory");
	ok(st.type == MW_FT_DIR, "says so");
	suite_code(box_stat(&box, "", &st), MW_OK, "stat of the root");
	ok(st.type == MW_FT_DIR, "is a directory");
	suite_code(box_stat(&box, "kinds/fifo", &st), MW_OK, "stat of a FIFO");
	ok(st.type == MW_FT_OTHER, "is something else");
	suite_code(put("kinds/full", "x"), MW_CONFLICT, "write onto a directory");
	suite_code(put("kinds/empty", "x"), MW_CONFLICT, "write onto an empty directory");
	suite_code(put("kinds/full/f/x", "x"), MW_CONFLICT, "write below a file");
	is_str(sh("cat kinds/full/f; ls kinds/full"), "f\n", "which stays as it was");
	suite_code(box_remove(&box, "kinds/none"), MW_FILE_NOT_FOUND, "remove of nothing");
	suite_code(box_remove(&box, "kinds/full"), MW_CONFLICT, "remove of a directory");
	suite_code(box_remove(&box, "kinds/empty"), MW_CONFLICT, "remove of an empty directory");
	is_str(sh("ls kinds"), "empty\nfifo\nfull\n", "which stay");
	suite_code(box_list(&box, "kinds/empty", true, &l), MW_OK, "list of an empty directory");
	is_int((int64_t)l.n, 0, "has no entry");
	mw_buf_free(&l.names);
	suite_code(list_code("kinds/none"), MW_FILE_NOT_FOUND, "list of nothing");
	suite_code(list_code("kinds/full/f"), MW_CONFLICT, "list of a file");
	(void)sh("rm -rf kinds");
}

/* Planted by the sandbox: no byte from outside of the root, no write to there. */
static void
suite_links(void)
{
	static const char *const out[] = { "abs", "rel", "dir/passwd", "via", "up/etc/passwd" };
	struct mw_stat st;
	enum mw_code code;
	size_t i;

	(void)sh("mkdir -p in/d && cd in && echo target >d/f && ln -s /etc/passwd abs && "
	    "ln -s ../../../../../etc/passwd rel && ln -s /etc dir && ln -s abs via && "
	    "ln -s ../../../../.. up && ln -s loop loop && ln -s loop2 loop1 && "
	    "ln -s loop1 loop2 && ln -s nowhere dangling && ln -s d/f good && "
	    "ln -s d gooddir && ln -s \"$MW_ROOT/in/d\" absdir && "
	    "ln -s \"$MW_RUN_DIR\" ours && ln -s \"$MW_RUN_DIR/instance\" marker && "
	    "echo outside >\"$MW_RUN_DIR/victim\" && ln -s \"$MW_RUN_DIR/victim\" victim");
	for (i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "in/%s", out[i]);
		suite_either(get_code(path), MW_FILE_NOT_FOUND, MW_PERMISSION_DENIED, path);
	}
	suite_either(get_code("in/marker"), MW_FILE_NOT_FOUND, MW_PERMISSION_DENIED, "the marker");
	suite_either(get_code("in/ours/instance"), MW_FILE_NOT_FOUND, MW_PERMISSION_DENIED,
	    "the marker by its directory");
	suite_either(get_code("in/loop"), MW_PERMISSION_DENIED, MW_FILE_NOT_FOUND, "a loop of one");
	suite_either(get_code("in/loop1"), MW_PERMISSION_DENIED, MW_FILE_NOT_FOUND, "a loop of two");
	suite_code(get_code("in/dangling"), MW_FILE_NOT_FOUND, "a link to nothing");
	holds("in/good", "target\n", "a link to a file is followed");
	holds("in/gooddir/f", "target\n", "and one to a directory");
	holds("in/absdir/f", "target\n", "and one by the root's own name inside");
	suite_code(box_stat(&box, "in/abs", &st), MW_OK, "stat of a link");
	ok(st.type == MW_FT_SYMLINK, "is of the link");
	suite_code(box_stat(&box, "in/dangling", &st), MW_OK, "stat of a link to nothing");
	ok(st.type == MW_FT_SYMLINK, "is of the link");
	suite_code(box_stat(&box, "in/loop", &st), MW_OK, "stat of a loop");
	ok(st.type == MW_FT_SYMLINK, "is of the link");
	suite_either(list_code("in/dir"), MW_FILE_NOT_FOUND, MW_PERMISSION_DENIED,
	    "list of a directory outside");
	ok(lists("in", true, "dir", &st) && st.type == MW_FT_SYMLINK, "a list shows links");
	ok(lists("in", true, "dangling", &st) && st.type == MW_FT_SYMLINK, "dangling ones too");
	ok(lists("in", true, "d/f", &st), "and does not follow them");
	ok(lists("in/gooddir", false, "f", &st), "but the directory named may be a link");

	code = put("in/ours/planted", "x");
	ok(code != MW_OK || strcmp(sh("ls \"$MW_RUN_DIR/planted\" 2>/dev/null; :"), "") == 0,
	    "nothing is written through a link to outside (%s)", mw_code_info(code)->name);
	code = box_remove(&box, "in/ours/victim");
	is_str(sh("cat \"$MW_RUN_DIR/victim\""), "outside\n", "nor removed");
	code = put("in/victim", "new");
	is_str(sh("cat \"$MW_RUN_DIR/victim\""), "outside\n", "a final link is replaced");
	ok(code != MW_OK || (box_stat(&box, "in/victim", &st) == MW_OK && st.type == MW_FT_FILE),
	    "by a file");
	suite_code(put("in/gooddir/g", "through"), MW_OK, "write through a link inside");
	holds("in/d/g", "through", "lands there");
	suite_code(box_remove(&box, "in/good"), MW_OK, "remove of a link");
	holds("in/d/f", "target\n", "spares its target");
	(void)sh("rm -rf in \"$MW_RUN_DIR/victim\"");
}

/* A file is there whole, or what was there before is. */
static void
suite_whole(void)
{
	static char buf[200000];
	int fd = memfd_create("short", MFD_CLOEXEC);
	struct got g = { .stop_at = 1 };
	enum mw_code code;

	suite_code(put("whole", "before"), MW_OK, "write");
	if (fd < 0 || write(fd, "abc", 3) != 3)
		abort();
	box_fresh(&box);
	code = box.sb->ops->write(box.sb, &box.ctx, box.user, "whole", fd, 70000, -1, -1);
	ok(code != MW_OK, "content that is shorter than it says is an error");
	holds("whole", "before", "and changes nothing");
	box_fresh(&box);
	code = box.sb->ops->write(box.sb, &box.ctx, box.user, "fresh", fd, 70000, -1, -1);
	ok(code != MW_OK, "the same for a new file");
	suite_code(get_code("fresh"), MW_FILE_NOT_FOUND, "which is not there then");
	(void)close(fd);
	memset(buf, 'b', sizeof(buf));
	suite_code(box_put(&box, "whole", buf, sizeof(buf), -1, -1), MW_OK, "write");
	suite_code(box_get(&box, "whole", false, 0, 0, &g), MW_CLIENT_GONE,
	    "what the receiver returns is what read returns");
	mw_buf_free(&g.body);
	ok(box_holds(&box, "whole", buf, sizeof(buf)), "and the next read is right");
	is_str(sh("ls -A"), "whole\n", "nothing else lies about");
	(void)sh("rm whole");
}

static void
suite_files(void)
{
	is_str(sh("ls -A"), "", "the user's root is empty");
	suite_all_names();
	suite_bytes();
	suite_ranges();
	suite_attributes();
	suite_kinds();
	suite_links();
	suite_whole();
	suite_big((size_t)32 << 20);
	if (getenv("MW_LONG") != NULL)
		suite_big((size_t)200 << 20);
}

/* ---- lists ---- */

static void
suite_many(void)
{
	struct listed l = { .want = "many/f7777" };
	struct mw_stat st;

	(void)sh("mkdir many && cd many && i=0; while [ $i -lt 10000 ]; do : >f$i; i=$((i+1)); done");
	suite_code(box_list(&box, "", true, &l), MW_OK, "list of 10,000 entries");
	is_int((int64_t)l.n, 10001, "all of them");
	is_int(l.seen, 1, "each once");
	mw_buf_free(&l.names);
	l.stop_at = 5;
	suite_code(box_list(&box, "many", false, &l), MW_CLIENT_GONE, "a receiver may stop");
	is_int((int64_t)l.n, 5, "and gets no more");
	mw_buf_free(&l.names);
	ok(lists("", false, "many", &st) && st.type == MW_FT_DIR, "one level has the directory");
	l = (struct listed){ .want = "many/f1" };
	suite_code(box_list(&box, "", false, &l), MW_OK, "list of one level");
	is_int((int64_t)l.n, 1, "and nothing below it");
	mw_buf_free(&l.names);
	(void)sh("rm -rf many");
}

static void
suite_lists(void)
{
	suite_names_from_below();
	suite_many();
}

#endif
