#include "quic/replay.h"

#include "base/table.h"

#include <stdlib.h>

#define SEEN_SIZE 16 /* bytes of each ephemeral key: enough that no two are equal */

struct tl_replay_client {
    uint8_t key[32];
    uint64_t timestamp;
    tl_time used;
    uint8_t seen_n;
    uint8_t seen[TL_REPLAY_DIALS_MAX][SEEN_SIZE];
    UT_hash_handle hh;
};

static void forget(tl_replay *r, tl_replay_client *c)
{
    HASH_DEL(r->clients, c);
    free(c);
}

/* Forgets old entries. uthash keeps the order of insertion, and an entry in use is put at the end
 * again. */
static void expire(tl_replay *r, tl_time now)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): HASH_DEL took what was freed out of the table */
    while (r->clients && r->clients->used + TL_REPLAY_MEMORY <= now)
        forget(r, r->clients);
}

/* Puts the client at the end. TL_ERR_NOMEM: the client was freed. */
static tl_err add(tl_replay *r, tl_replay_client *c, tl_time now)
{
    c->used = now;
    if (TL_TABLE_ADD(hh, r->clients, key, sizeof c->key, c))
        return TL_OK;
    free(c);
    return TL_ERR_NOMEM;
}

tl_err tl_replay_check(tl_replay *r, const uint8_t client_public[32], const uint8_t ephemeral[32],
                       uint64_t timestamp, tl_time now)
{
    tl_replay_client *c;
    expire(r, now);
    HASH_FIND(hh, r->clients, client_public, 32, c);
    if (!c) {
        if (HASH_COUNT(r->clients) >= TL_REPLAY_CLIENTS_MAX)
            forget(r, r->clients);
        c = calloc(1, sizeof *c);
        if (!c)
            return TL_ERR_NOMEM;
        memcpy(c->key, client_public, sizeof c->key);
        tl_err e = add(r, c, now);
        if (e)
            return e;
    } else if (timestamp < c->timestamp) {
        return TL_ERR_REPLAY;
    }
    if (timestamp == c->timestamp) {
        for (unsigned i = 0; i < c->seen_n; i++)
            if (memcmp(c->seen[i], ephemeral, SEEN_SIZE) == 0)
                return TL_ERR_REPLAY;
        if (c->seen_n == TL_REPLAY_DIALS_MAX)
            return TL_ERR_BUSY;
    } else {
        c->timestamp = timestamp;
        c->seen_n = 0;
    }
    memcpy(c->seen[c->seen_n++], ephemeral, SEEN_SIZE);
    HASH_DEL(r->clients, c);
    return add(r, c, now);
}

void tl_replay_clear(tl_replay *r)
{
    tl_replay_client *c = r->clients, *next;
    HASH_CLEAR(hh, r->clients); /* frees the table only; we freed its elements */
    for (; c; c = next) {
        next = c->hh.next;
        free(c);
    }
}
