/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "ops/sync/plan.h"
#include "tap.h"

/*
 * A case in a few letters.  Sandbox: '-' absent, 'f' as in the manifest, 'g' written
 * since, 'd' directory, 'l' link.  Manifest: '-' none, 'f' file, 'r' racy file, 'd',
 * 'l'.  R2: '-' none, 'f' as in the manifest, 'g' another ETag.  Outbox: '-' nothing,
 * 'p' put, 'x' delete.  Mark: '-', 'S' newer in the sandbox, 'R' newer in R2, 's'
 * deleted in the sandbox, 'r' deleted in R2.  Flags: 'x' delete, 'F' force, 'e'
 * excluded, 'a' add only, 'v' verify, 'y' synced before; what the disk has in the
 * object's place: 'w' something, 'W' that and the manifest has it, too; 'o' it is
 * older, 'n' newer; 'P' R2 holds both.
 */
struct row { const char *what, *sides, *flags; enum mw_act want; };

static const struct row backups[] = {
	{ "nothing anywhere", "-----", "", MW_ACT_NONE },
	{ "only the manifest remembers it", "-f---", "", MW_ACT_NONE },
	{ "new file", "f----", "", MW_ACT_COPY },
	{ "new file, and an entry: R2's went", "ff---", "", MW_ACT_COPY },
	{ "unchanged", "fff--", "", MW_ACT_SAME },
	{ "unchanged, but racy", "frf--", "", MW_ACT_CHECK },
	{ "unchanged, verify", "fff--", "v", MW_ACT_CHECK },
	{ "written in R2, verify", "ffg--", "v", MW_ACT_DECIDE },
	{ "written in the sandbox", "gff--", "", MW_ACT_COPY },
	{ "written in the sandbox, racy entry", "grf--", "", MW_ACT_COPY },
	{ "written in R2", "ffg--", "", MW_ACT_NEWER },
	{ "written in R2, racy entry", "frg--", "", MW_ACT_DECIDE },
	{ "written in both", "gfg--", "", MW_ACT_DECIDE },
	{ "in both, no entry", "f-f--", "", MW_ACT_DECIDE },
	{ "directory", "d----", "", MW_ACT_SAME },
	{ "link", "l----", "", MW_ACT_SAME },
	{ "link where R2 has a file", "lff--", "w", MW_ACT_REPLACE },
	{ "directory where R2 has a file, delete", "dff--", "xw", MW_ACT_REPLACE },
	{ "a file above it", "-ff--", "w", MW_ACT_REPLACE },
	{ "a file above it, and R2 holds both still", "-ff--", "wP", MW_ACT_REPLACE },
	{ "another kind, R2's written earlier", "dfg--", "w", MW_ACT_REPLACE },
	{ "another kind, R2's written later", "dfg--", "wo", MW_ACT_NEWER },
	{ "another kind, no entry", "d-f--", "w", MW_ACT_REPLACE },
	{ "another kind, no entry, R2's is later", "d-f--", "wo", MW_ACT_CLASH },
	{ "another kind, put since the sync", "d-f--", "wy", MW_ACT_CLASH },
	{ "another kind, put since the sync, and before", "d-f--", "wyn", MW_ACT_REPLACE },
	{ "new in R2 where the disk has not changed", "ddf--", "Wx", MW_ACT_CLASH },
	{ "R2 holds both, delete, force", "d-f--", "wPxF", MW_ACT_CLASH },
	{ "another kind, excluded", "-ff--", "we", MW_ACT_CLASH },
	{ "another kind, a write waits", "dffp-", "w", MW_ACT_WAIT },
	{ "another kind, marked newer in R2", "dff-R", "w", MW_ACT_NEWER },
	{ "a write waits", "f-fp-", "", MW_ACT_WAIT },
	{ "a write waits, unchanged otherwise", "fffp-", "", MW_ACT_WAIT },
	{ "a delete waits", "--fx-", "", MW_ACT_WAIT },
	{ "a delete waits, delete=true", "--fx-", "x", MW_ACT_WAIT },
	{ "a delete waits, and it is there again", "f-fx-", "", MW_ACT_WAIT },
	{ "marked newer in R2", "gff-R", "", MW_ACT_NEWER },
	{ "marked newer in R2, absent here", "--f-R", "x", MW_ACT_NEWER },
	{ "marked deleted in R2", "ff--r", "", MW_ACT_NEWER },
	{ "marked newer in the sandbox", "g-f-S", "", MW_ACT_COPY },
	{ "marked newer in the sandbox, R2 written", "ffg-S", "", MW_ACT_COPY },
	{ "marked newer here, and removed since", "-ff-S", "", MW_ACT_KEEP },
	{ "marked newer here, and removed since, delete", "-fg-S", "x", MW_ACT_REMOVE },
	{ "marked deleted here", "-ff-s", "", MW_ACT_FORGET },
	{ "marked deleted here, and there again", "gff-s", "", MW_ACT_COPY },
	{ "absent here", "-ff--", "", MW_ACT_KEEP },
	{ "absent here, delete", "-ff--", "x", MW_ACT_REMOVE },
	{ "absent here, never an entry, delete", "--f--", "x", MW_ACT_REMOVE },
	{ "absent here, written in R2, delete", "-fg--", "x", MW_ACT_NEWER },
	{ "absent here, excluded, delete", "-ff--", "xe", MW_ACT_KEEP },
	{ "force is no licence to overwrite", "ffg--", "F", MW_ACT_NEWER },
};

static const struct row restores[] = {
	{ "nothing anywhere", "-----", "", MW_ACT_NONE },
	{ "absent", "-ff--", "", MW_ACT_COPY },
	{ "absent, never an entry", "--f--", "", MW_ACT_COPY },
	{ "unchanged", "fff--", "", MW_ACT_SAME },
	{ "unchanged, but racy", "frf--", "", MW_ACT_CHECK },
	{ "written in the sandbox", "gff--", "", MW_ACT_NEWER },
	{ "written in the sandbox, force", "gff--", "F", MW_ACT_COPY },
	{ "written in R2", "ffg--", "", MW_ACT_COPY },
	{ "written in both", "gfg--", "", MW_ACT_DECIDE },
	{ "written in both, force", "gfg--", "F", MW_ACT_COPY },
	{ "in both, no entry", "f-f--", "", MW_ACT_DECIDE },
	{ "directory where R2 has a file", "dff--", "F", MW_ACT_CLASH },
	{ "link of the manifest", "-l---", "", MW_ACT_LINK },
	{ "directory of the manifest", "-d---", "", MW_ACT_LINK },
	{ "file of the manifest that R2 lost", "-f---", "", MW_ACT_NONE },
	{ "link in both", "ll---", "x", MW_ACT_SAME },
	{ "link here alone", "l----", "", MW_ACT_KEEP },
	{ "link here alone, delete", "l----", "x", MW_ACT_REMOVE },
	{ "directory here alone, delete", "d----", "x", MW_ACT_KEEP },
	{ "file here alone", "f----", "", MW_ACT_KEEP },
	{ "file here alone, delete", "f----", "x", MW_ACT_REMOVE },
	{ "deleted in R2, delete", "ff---", "x", MW_ACT_REMOVE },
	{ "deleted in R2, delete, verify", "ff---", "xv", MW_ACT_REMOVE },
	{ "unchanged, verify", "fff--", "v", MW_ACT_CHECK },
	{ "deleted in R2, written here, delete", "gf---", "x", MW_ACT_NEWER },
	{ "deleted in R2, written here, force", "gf---", "xF", MW_ACT_REMOVE },
	{ "file here alone, excluded", "f----", "xe", MW_ACT_KEEP },
	{ "marked newer here, delete", "f---S", "x", MW_ACT_NEWER },
	{ "a write waits, absent", "---p-", "", MW_ACT_COPY },
	{ "a write waits, R2 has an older one", "--fp-", "", MW_ACT_COPY },
	{ "a write waits, and it is there", "g-fp-", "", MW_ACT_WAIT },
	{ "a write waits, and it is there, force", "g-fp-", "F", MW_ACT_WAIT },
	{ "a delete waits", "--fx-", "", MW_ACT_WAIT },
	{ "marked deleted here", "-ff-s", "", MW_ACT_KEEP },
	{ "marked deleted here, force", "-ff-s", "F", MW_ACT_COPY },
	{ "marked newer here", "ffg-S", "", MW_ACT_NEWER },
	{ "marked newer here, and removed since", "--f-S", "", MW_ACT_KEEP },
	{ "marked newer here, and removed since, force", "--f-S", "F", MW_ACT_COPY },
	{ "marked newer in a sandbox that is no more", "--f-S", "a", MW_ACT_COPY },
	{ "marked newer in R2", "gff-R", "", MW_ACT_COPY },
	{ "a wake adds", "--f--", "a", MW_ACT_COPY },
	{ "a wake overwrites nothing", "gfg--", "a", MW_ACT_KEEP },
	{ "a wake overwrites nothing, nor removes", "f----", "axF", MW_ACT_KEEP },
	{ "a wake brings nothing that was deleted here", "-ff-s", "aF", MW_ACT_KEEP },
	{ "a wake makes links", "-l---", "a", MW_ACT_LINK },
};

static const char *const names[] = { "none", "same", "keep", "newer", "wait", "clash", "link",
    "check", "copy", "decide", "remove", "forget", "replace" };

static struct mw_row
row_of(char letter, bool r2)
{
	struct mw_row row = { .path = "p", .tag = "\"1\"", .size = 1, .mtime = 1000, .mode = 0644,
	    .type = letter == 'd' ? MW_FT_DIR : letter == 'l' ? MW_FT_SYMLINK : MW_FT_FILE };

	row.racy = letter == 'r';
	if (letter == 'g' && r2)
		row.tag = "\"2\"";
	else if (letter == 'g')
		row.mtime = 2000;
	return row;
}

static void
run(const struct row *rows, size_t n, const char *verb, enum mw_act (*decide)(const struct mw_sides *))
{
	static const char marks[] = "-SRrs";
	size_t i;

	for (i = 0; i < n; i++) {
		const char *s = rows[i].sides, *f = rows[i].flags;
		struct mw_row sandbox = row_of(s[0], false), manifest = row_of(s[1], false),
		    r2 = row_of(s[2], true);
		struct mw_sides sides = {
			.sandbox = s[0] == '-' ? NULL : &sandbox,
			.manifest = s[1] == '-' ? NULL : &manifest,
			.r2 = s[2] == '-' ? NULL : &r2,
			.waiting = s[3] == 'p' ? MW_WAITING_PUT : s[3] == 'x' ?
			    MW_WAITING_DELETE : MW_WAITING_NOT,
			.mark = (enum mw_mark)(strchr(marks, s[4]) - marks),
			.remove = strchr(f, 'x') != NULL, .force = strchr(f, 'F') != NULL,
			.way = strpbrk(f, "wW") != NULL ? &sandbox : NULL,
			.way_was = strchr(f, 'W') != NULL, .way_older = strchr(f, 'o') != NULL,
			.way_newer = strchr(f, 'n') != NULL, .synced = strchr(f, 'y') != NULL,
			.verify = strchr(f, 'v') != NULL,
			.pair = strchr(f, 'P') != NULL,
			.excluded = strchr(f, 'e') != NULL, .add_only = strchr(f, 'a') != NULL,
		};

		char what[128];

		(void)snprintf(what, sizeof(what), "%s: %s", verb, rows[i].what);
		(void)is_str(names[decide(&sides)], names[rows[i].want], what);
	}
}

static void
test_excluded(void)
{
	static const struct { const char *pattern, *path; bool want; } rows[] = {
		{ "node_modules", "node_modules", true },
		{ "node_modules", "node_modules/a/b", true },
		{ "node_modules", "x/node_modules/a", true },
		{ "node_modules", "x/my_node_modules/a", false },
		{ "*.tmp", "a/b.tmp", true },
		{ "*.tmp", "a.tmp/b", true },
		{ "*.tmp", "a.tmpl", false },
		{ "build/out", "build/out/x", true },
		{ "build/out", "src/build/out", false },
		{ "/build", "build/x", true },
		{ "build/*.o", "build/a.o", true },
		{ "build/*.o", "build/x/a.o", false },
		{ ".cache", ".cache", true },
		{ "[ab]", "x/a", true },
		{ "[ab]", "x/c", false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *item[] = { (char *)(uintptr_t)rows[i].pattern };
		struct mw_list list = { .item = item, .n = 1 };

		ok(mw_plan_excluded(&list, rows[i].path) == rows[i].want, "exclude %s: %s%s",
		    rows[i].pattern, rows[i].path, rows[i].want ? "" : " is not");
	}
}

int
main(void)
{
	run(backups, sizeof(backups) / sizeof(backups[0]), "backup", mw_plan_backup);
	run(restores, sizeof(restores) / sizeof(restores[0]), "restore", mw_plan_restore);
	test_excluded();
	return done();
}
