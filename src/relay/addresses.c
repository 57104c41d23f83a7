#include "relay/addresses.h"

#include <stdlib.h>
#include <utlist.h>

static void make_key(const tl_addr *addr, uint8_t ret_key[9])
{
    tl_addr a = tl_addr_normal(*addr);
    memset(ret_key, 0, 9);
    ret_key[0] = (uint8_t)a.family;
    memcpy(ret_key + 1, a.bytes, a.family == TL_ADDR_V4 ? 4 : 8);
}

static bool is_paid(const tl_relay_address *a, tl_time now)
{
    return a->busy_until <= now && a->told_until <= now;
}

static void forget(tl_relay_addresses *t, tl_relay_address *a)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, t->table, a);
    if (--a->site->addresses == 0) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the site is in the table */
        HASH_DELETE(hh, t->sites, a->site);
        free(a->site);
    }
    free(a);
}

/* Frees entries that are paid off. It looks at two in each call, and a call adds at most one. So
 * paid entries cannot make the list grow. */
static void forget_paid(tl_relay_addresses *t, tl_time now)
{
    for (int i = 0; i < 2 && t->indebted; i++) {
        tl_relay_address *a = t->indebted;
        DL_DELETE(t->indebted, a);
        if (is_paid(a, now))
            forget(t, a);
        else
            DL_APPEND(t->indebted, a);
    }
}

static void make_site_key(const uint8_t key[9], uint8_t ret_key[9])
{
    memcpy(ret_key, key, 9);
    if (key[0] == TL_ADDR_V6)
        memset(ret_key + 7, 0, 2);
}

static tl_relay_site *make_site(tl_relay_addresses *t, const uint8_t key[9])
{
    tl_relay_site *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    memcpy(s->key, key, sizeof s->key);
    if (!TL_TABLE_ADD(hh, t->sites, key, sizeof s->key, s)) {
        free(s);
        return NULL;
    }
    return s;
}

/* `site` NULL: it is made too. */
static tl_relay_address *make(tl_relay_addresses *t, const uint8_t key[9], tl_relay_site *site)
{
    uint8_t site_key[9];
    tl_relay_address *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    memcpy(a->key, key, sizeof a->key);
    make_site_key(key, site_key);
    a->site = site ? site : make_site(t, site_key);
    if (a->site)
        a->site->addresses++;
    if (!a->site || !TL_TABLE_ADD(hh, t->table, key, sizeof a->key, a)) {
        if (a->site && --a->site->addresses == 0) {
            HASH_DELETE(hh, t->sites, a->site);
            free(a->site);
        }
        free(a);
        return NULL;
    }
    return a;
}

/* One more connection that is not registered. `a` and `site` NULL: they are made. */
static tl_err enter(tl_relay_addresses *t, const uint8_t key[9], tl_relay_site *site,
                    tl_relay_address *a, tl_relay_address **ret_address)
{
    if (a && a->conns == 0)
        DL_DELETE(t->indebted, a);
    if (!a && !(a = make(t, key, site)))
        return TL_ERR_NOMEM;
    a->conns++;
    a->unregistered++;
    a->site->unregistered++;
    *ret_address = a;
    return TL_OK;
}

tl_err tl_relay_address_add(tl_relay_addresses *t, const tl_addr *addr,
                            const tl_relay_config *limits, tl_time now,
                            tl_relay_address **ret_address)
{
    uint8_t key[9], site_key[9];
    tl_relay_address *a;
    tl_relay_site *site;
    forget_paid(t, now);
    make_key(addr, key);
    make_site_key(key, site_key);
    HASH_FIND(hh, t->table, key, sizeof key, a);
    HASH_FIND(hh, t->sites, site_key, sizeof site_key, site);
    if (a && (a->conns >= limits->conns_per_address_max ||
              a->unregistered >= limits->unregistered_per_address_max))
        return TL_ERR_BUSY;
    if (a && !tl_relay_address_may_connect(a, now))
        return TL_ERR_BUSY;
    if (site && site->unregistered >= limits->unregistered_per_site_max)
        return TL_ERR_BUSY;
    return enter(t, key, site, a, ret_address);
}

tl_err tl_relay_address_add_untold(tl_relay_addresses *t, const tl_addr *proxy, tl_time now,
                                   tl_relay_address **ret_address)
{
    uint8_t key[9], site_key[9];
    tl_relay_address *a;
    tl_relay_site *site;
    forget_paid(t, now);
    make_key(proxy, key);
    key[0] |= TL_RELAY_UNTOLD;
    make_site_key(key, site_key);
    HASH_FIND(hh, t->table, key, sizeof key, a);
    HASH_FIND(hh, t->sites, site_key, sizeof site_key, site);
    return enter(t, key, site, a, ret_address);
}

void tl_relay_address_drop(tl_relay_addresses *t, tl_relay_address *a, bool was_registered,
                           tl_time now)
{
    if (!was_registered)
        tl_relay_address_registered(a);
    if (--a->conns != 0)
        return;
    if (is_paid(a, now))
        forget(t, a);
    else
        DL_APPEND(t->indebted, a);
}

void tl_relay_addresses_clear(tl_relay_addresses *t)
{
    while (t->indebted) {
        tl_relay_address *a = t->indebted;
        DL_DELETE(t->indebted, a);
        forget(t, a);
    }
}
