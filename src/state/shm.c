/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared mapping: opening it, and what is counted in it. */
#include "state/shm.h"

#include "base/lockfile.h"

/* Nothing is known of the database yet: every first look-up asks it. */
static void
set_up(void *map)
{
	struct mw_shm *s = map;
	unsigned i;

	for (i = 0; i < MW_SHM_BUCKETS; i++)
		atomic_store_explicit(&s->dirty[i], 1, memory_order_relaxed);
	atomic_store(&s->queued, 1);
}

static const struct mw_mapfile_kind kind = {
	.name = "shared-v4", .magic = UINT64_C(0x6d6f6c7477303033),
	.size = sizeof(struct mw_shm), .set_up = set_up,
};

enum mw_code
mw_shm_open(const char *state_path, struct mw_shm **sp, struct mw_err *err)
{
	struct mw_mapfile *m = NULL;
	enum mw_code code = mw_mapfile_open(state_path, &kind, &m, err);

	*sp = (struct mw_shm *)m;
	return code;
}

void
mw_shm_close(struct mw_shm *s)
{
	mw_mapfile_close((struct mw_mapfile *)s, &kind);
}

unsigned
mw_shm_bucket(const char *user)
{
	return (unsigned)(mw_hash(user) % MW_SHM_BUCKETS);
}

_Atomic uint32_t *
mw_shm_changes(struct mw_shm *s, const char *user)
{
	return &s->changes[mw_hash(user) % MW_SHM_CHANGES];
}

bool
mw_shm_queued(const struct mw_shm *s)
{
	return atomic_load(&s->queued) != atomic_load(&s->drained);
}
