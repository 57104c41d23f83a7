#include "peer/claims.h"

_Static_assert(TL_NETWORKS_MAX <= 64, "a peer keeps a bit for each of our networks");

static bool shows(const tl_peer *p, const uint8_t id[32])
{
    for (size_t i = 0; i < p->n_ptns; i++)
        if (memcmp(p->ptns[i], id, 32) == 0)
            return true;
    return false;
}

/* The group key changes when a member is revoked. That member knows the older keys, and can make tags
 * with them for any node. So a node that hides recognises the newest key alone. It knows members that
 * missed a change by their certificates. */
static size_t keys_of(const tl_networks *book, const tl_membership *n, const tl_hide_key **ret_keys)
{
    size_t count = tl_ptn_hide_keys(n->ptn, ret_keys);
    return count && tl_networks_hides(book) ? 1 : count;
}

static bool is_recognised(const tl_networks *book, const tl_peer *p, const tl_membership *n,
                          tl_unix now)
{
    const tl_hide_key *keys;
    size_t count = keys_of(book, n, &keys);
    for (size_t i = 0; i < count; i++)
        if (tl_hide_recognises(&keys[i], &p->id, now, (const uint8_t(*)[TL_HIDE_TAG])p->ptns,
                               p->n_ptns))
            return true;
    return false;
}

/* Of what is looked at here. The book's own version grows with each certificate that anybody shows. */
typedef struct {
    uint64_t networks, version;
    size_t cost; /* of one look, in HMACs and one */
} book_view;

static uint64_t mixed(uint64_t sum, uint64_t more)
{
    return (sum + more) * UINT64_C(0x9E3779B97F4A7C15);
}

static book_view view_of(const tl_networks *book)
{
    book_view v = {.cost = 1};
    for (size_t i = 0; i < tl_networks_count(book); i++) {
        const tl_membership *n = tl_networks_at(book, i);
        const tl_hide_key *keys;
        uint64_t id, count = keys_of(book, n, &keys);
        memcpy(&id, n->id.key, sizeof id);
        v.networks = mixed(v.networks, id ^ (n->left ? 1 : 0));
        v.version = mixed(v.version, (uint64_t)tl_ptn_groupkey_version(n->ptn) << 8 | count);
        v.cost += n->left ? 0 : count * TL_HIDE_HOURS;
    }
    v.networks = mixed(v.networks, tl_networks_hides(book));
    v.version = mixed(v.version, v.networks);
    return v;
}

static bool is_current(const tl_peer_claims *c, const book_view *v, tl_unix now)
{
    return c->known && c->version == v->version && now < c->until && now >= c->until - TL_HIDE_HOUR;
}

static void look(const tl_networks *book, tl_peer *p, const book_view *v, tl_unix now)
{
    p->claims = (tl_peer_claims){
        .known = true, .networks = v->networks, .version = v->version, .until = tl_hide_until(now)};
    for (size_t i = 0; p->n_ptns && i < tl_networks_count(book); i++) {
        const tl_membership *n = tl_networks_at(book, i);
        bool tagged = !n->left && is_recognised(book, p, n, now);
        bool open = !n->left && !tl_networks_hides(book) && shows(p, n->id.key);
        if (tagged || open)
            p->claims.ours |= UINT64_C(1) << i;
        if (tagged)
            p->claims.tagged |= UINT64_C(1) << i;
    }
}

/* The first look of a turn is always made, so that every turn gets on. False: not in this turn. */
static bool may_look(tl_peer_looks *l, const book_view *v)
{
    bool may = !l->spent || l->spent + v->cost <= TL_CLAIMS_PER_TURN;
    l->spent += may ? v->cost : 0;
    l->behind |= !may;
    return may;
}

/* NULL: nothing is claimed, as far as is known. */
static const tl_peer_claims *claims_of(const tl_networks *book, tl_peer *p, tl_unix now)
{
    if (!book || !p->n_ptns)
        return NULL;
    book_view v = view_of(book);
    if (is_current(&p->claims, &v, now))
        return &p->claims;
    if (may_look(p->looks, &v))
        look(book, p, &v, now);
    /* Another hour or key: what was found before counts until the next look. */
    return p->claims.known && p->claims.networks == v.networks ? &p->claims : NULL;
}

bool tl_claims_go_on(const tl_networks *book, tl_peer_table *t, tl_unix now)
{
    bool was_behind = t->looks.behind;
    t->looks = (tl_peer_looks){0};
    if (!was_behind || !book)
        return false;
    book_view v = view_of(book);
    for (tl_peer *p = t->peers; p; p = p->hh.next) {
        if (!p->n_ptns || is_current(&p->claims, &v, now))
            continue;
        if (!may_look(&t->looks, &v))
            return false;
        look(book, p, &v, now);
    }
    return true;
}

static bool is_in(const tl_networks *book, uint64_t bits, const tl_node_id *network)
{
    for (size_t i = 0; network && i < tl_networks_count(book); i++)
        if (tl_node_id_eq(&tl_networks_at(book, i)->id, network))
            return bits >> i & 1;
    return !network && bits;
}

bool tl_claims_has(const tl_networks *book, tl_peer *p, const tl_node_id *network, tl_unix now)
{
    const tl_peer_claims *c = claims_of(book, p, now);
    return c && is_in(book, c->ours, network);
}

bool tl_claims_by_tag(const tl_networks *book, tl_peer *p, const tl_node_id *network, tl_unix now)
{
    const tl_peer_claims *c = claims_of(book, p, now);
    return c && is_in(book, c->tagged, network);
}

json_t *tl_claims_own(const tl_networks *book, const tl_node_id *self, bool hide, tl_unix now,
                      tl_unix *ret_until)
{
    json_t *list = json_array();
    tl_unix until = hide ? tl_hide_until(now) : TL_PTN_NO_END;
    for (size_t i = 0; list && i < tl_networks_count(book); i++) {
        const tl_membership *n = tl_networks_at(book, i);
        const tl_hide_key *keys;
        uint8_t shown[32];
        char hex[2 * sizeof shown + 1];
        if (tl_networks_are_we(book, &n->id, now))
            continue;
        if (n->cert.expires_at < until)
            until = n->cert.expires_at + 1;
        if (hide && !tl_ptn_hide_keys(n->ptn, &keys))
            continue;
        if (hide)
            tl_hide_tag(&keys[0], self, now, shown);
        else
            memcpy(shown, n->id.key, sizeof shown);
        tl_hex_write(hex, shown, sizeof shown);
        if (json_array_append_new(list, json_string(hex))) {
            json_decref(list);
            return NULL;
        }
    }
    *ret_until = until;
    return list;
}
