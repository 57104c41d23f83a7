#include "relay/spending.h"

#include <stdlib.h>
#include <utlist.h>

static void forget(tl_relay_spending *s, tl_relay_spent *e)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, s->table, e);
    DL_DELETE(s->oldest, e);
    free(e);
}

/* Frees entries that may spend all again, for they say nothing. It looks at two in each call, and a
 * call adds at most one. So such entries cannot make the list grow. */
static void forget_full(tl_relay_spending *s, tl_time now)
{
    for (int i = 0; i < 2 && s->oldest; i++) {
        tl_relay_spent *e = s->oldest;
        if (tl_ratelimit_when(&e->limit, e->limit.burst, now) <= now) {
            forget(s, e);
        } else {
            DL_DELETE(s->oldest, e);
            DL_APPEND(s->oldest, e);
        }
    }
}

bool tl_relay_spending_take(tl_relay_spending *s, const tl_relay_spender *who, size_t n,
                            uint64_t per_sec, uint64_t burst, tl_time now)
{
    tl_relay_spent *e;
    forget_full(s, now);
    HASH_FIND(hh, s->table, who, sizeof *who, e);
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e)
            return false;
        e->key = *who;
        e->limit = tl_ratelimit_make(per_sec, burst, now);
        if (!TL_TABLE_ADD(hh, s->table, key, sizeof e->key, e)) {
            free(e);
            return false;
        }
        DL_APPEND(s->oldest, e);
    }
    return tl_ratelimit_take(&e->limit, n, now);
}

void tl_relay_spending_clear(tl_relay_spending *s)
{
    while (s->oldest)
        forget(s, s->oldest);
}
