#include "ask/pace.h"

#include <stdlib.h>

static tl_pace_key key_of(const tl_node_id *node, const char *model)
{
    tl_pace_key key = {*node, tl_table_hash64(model, strlen(model))};
    return key;
}

static tl_pace *find(const tl_paces *p, const tl_pace_key *key)
{
    tl_pace *x;
    HASH_FIND(hh, p->paces, key, sizeof *key, x);
    return x;
}

static void forget(tl_paces *p, tl_pace *x)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    HASH_DELETE(hh, p->paces, x);
    free(x);
}

void tl_paces_clear(tl_paces *p)
{
    tl_pace *x, *next;
    HASH_ITER (hh, p->paces, x, next)
        forget(p, x);
}

/* The entry, behind all others. NULL: out of memory. */
static tl_pace *touch(tl_paces *p, const tl_pace_key *key)
{
    tl_pace *x = find(p, key);
    if (x) {
        HASH_DELETE(hh, p->paces, x);
    } else {
        if (HASH_COUNT(p->paces) >= TL_PACES_MAX)
            forget(p, p->paces);
        if (!(x = calloc(1, sizeof *x)))
            return NULL;
        x->key = *key;
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    if (TL_TABLE_ADD(hh, p->paces, key, sizeof x->key, x))
        return x;
    free(x);
    return NULL;
}

/* Tokens in 1000 s. */
static uint64_t speed_of(uint64_t tokens, tl_time time)
{
    const uint64_t most = 1000000000; /* 10^18 fits */
    uint64_t speed = (tokens < most ? tokens : most) * 1000000000 / (time / TL_US);
    return speed < TL_PACE_SPEED_MAX ? speed : TL_PACE_SPEED_MAX;
}

void tl_paces_note(tl_paces *p, const tl_node_id *node, const char *model, uint64_t tokens,
                   tl_time time)
{
    if (tokens < TL_PACE_TOKENS_MIN || time < TL_PACE_TIME_MIN)
        return;
    tl_pace_key key = key_of(node, model);
    tl_pace *x = touch(p, &key);
    uint64_t speed = speed_of(tokens, time);
    if (!x)
        return;
    x->speed = x->speed ? x->speed - x->speed / 8 + speed / 8 : speed;
    x->speed += !x->speed; /* 0 would say that it was not measured */
}

uint64_t tl_paces_speed(const tl_paces *p, const tl_node_id *node, const char *model)
{
    tl_pace_key key = key_of(node, model);
    const tl_pace *x = find(p, &key);
    return x ? x->speed : 0;
}
