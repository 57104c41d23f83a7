#include "peer/peer_table.h"

#include "base/plain.h"

#include <stdlib.h>

static void free_models(char **models, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(models[i]);
    free(models);
}

static void forget(tl_peer_table *t, tl_peer *p)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    HASH_DEL(t->peers, p);
    free_models(p->models, p->n_models);
    tl_bids_clear(&p->bids);
    free(p->ptns);
    free(p);
}

void tl_peer_table_clear(tl_peer_table *t)
{
    tl_peer *p, *next;
    HASH_ITER (hh, t->peers, p, next)
        forget(t, p);
    tl_peer_keyed *k, *next_k;
    for (size_t i = 0; i < 2; i++)
        HASH_ITER (hh, t->keyed[i], k, next_k) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
            HASH_DEL(t->keyed[i], k);
            free(k);
        }
}

tl_peer *tl_peer_table_find(const tl_peer_table *t, const tl_node_id *id)
{
    tl_peer *p;
    HASH_FIND(hh, t->peers, id, sizeof *id, p);
    return p;
}

size_t tl_peer_table_count(const tl_peer_table *t)
{
    return HASH_COUNT(t->peers);
}

/* Forgets a node without a contact and without a question: the first that the discovery under way has
 * not listed, else the first. Where there are none of the former, this is found out once: a relay that
 * lists more nodes than there is room for costs no search for each of them. */
static bool make_room(tl_peer_table *t)
{
    tl_peer *first = NULL, *p, *next;
    HASH_ITER (hh, t->peers, p, next) {
        if (p->contact || p->asking)
            continue;
        first = first ? first : p;
        if (t->none_older_in == t->round + 1 || p->round != t->round) {
            forget(t, p);
            return true;
        }
    }
    t->none_older_in = t->round + 1;
    if (first)
        forget(t, first);
    return first;
}

tl_peer *tl_peer_table_get(tl_peer_table *t, const tl_node_id *id)
{
    tl_peer *p = tl_peer_table_find(t, id);
    if (p)
        return p;
    if (tl_peer_table_count(t) >= TL_PEERS_MAX && !make_room(t))
        return NULL;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->id = *id;
    p->tier = 4;
    p->round = t->round;
    p->looks = &t->looks;
    if (!TL_TABLE_ADD(hh, t->peers, id, sizeof p->id, p)) {
        free(p);
        return NULL;
    }
    return p;
}

/* --- what a node says of itself --- */

/* Keeps what may be shown. The parser lets no invalid UTF-8 through. */
static bool set_name(tl_peer *p, const char *name)
{
    char clean[TL_PEER_NAME_MAX];
    size_t n = 0, k;
    for (tl_slice t = tl_slice_str(name); t.n; t = tl_slice_of(t.p + k, t.n - k)) {
        bool shown = tl_plain_next(t, &k) == TL_PLAIN_SHOWN;
        if (shown && n + k >= sizeof clean)
            break;
        if (shown)
            memcpy(clean + n, t.p, k);
        n += shown ? k : 0;
    }
    clean[n] = 0;
    if (strcmp(clean, p->name) == 0)
        return false;
    memcpy(p->name, clean, n + 1);
    return true;
}

/* A name with characters that nobody sees is none: it would be taken for another. */
static bool model_is(const json_t *v)
{
    size_t n = json_is_string(v) ? json_string_length(v) : 0;
    return n > 0 && n < TL_MODEL_MAX && tl_plain_is(tl_slice_of(json_string_value(v), n));
}

static bool same_models(const tl_peer *p, char **models, size_t n)
{
    if (n != p->n_models)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(models[i], p->models[i]) != 0)
            return false;
    return true;
}

static bool set_models(tl_peer *p, const json_t *list)
{
    if (!json_is_array(list))
        return false;
    size_t cap = json_array_size(list), n = 0;
    if (cap > TL_PEER_MODELS_MAX)
        cap = TL_PEER_MODELS_MAX;
    char **models = calloc(cap ? cap : 1, sizeof *models);
    size_t i;
    json_t *v;
    json_array_foreach (list, i, v) {
        if (!models || n == cap)
            break;
        if (model_is(v) && (models[n] = strdup(json_string_value(v))))
            n++;
    }
    if (!models || same_models(p, models, n)) {
        free_models(models, models ? n : 0);
        return false;
    }
    free_models(p->models, p->n_models);
    p->models = models;
    p->n_models = n;
    return true;
}

/* A text, or an object with one, as some programs write it. */
static bool ptn_read(const json_t *v, uint8_t ret[32])
{
    const char *hex = json_is_object(v) ? tl_json_string(v, "ptnID", "") : json_string_value(v);
    return hex && !tl_hex_parse(tl_slice_str(hex), true, ret, 32);
}

static bool set_ptns(tl_peer *p, const json_t *list)
{
    size_t cap = json_array_size(list), n = 0, i;
    const json_t *v;
    if (cap > TL_PEER_PTNS_MAX)
        cap = TL_PEER_PTNS_MAX;
    uint8_t(*ptns)[32] = cap ? malloc(cap * sizeof *ptns) : NULL;
    json_array_foreach (list, i, v)
        if (ptns && n < cap && ptn_read(v, ptns[n]))
            n++;
    if (n == p->n_ptns && (!n || memcmp(ptns, p->ptns, n * sizeof *ptns) == 0)) {
        free(ptns);
        return false;
    }
    free(p->ptns);
    p->ptns = ptns;
    p->n_ptns = n;
    p->claims.known = false;
    return true;
}

static bool read_addr(const json_t *v, tl_addr *ret_addr)
{
    const char *text = json_string_value(v);
    return text && !tl_addr_parse(tl_slice_str(text), ret_addr) && ret_addr->port != 0 &&
           ret_addr->family != TL_ADDR_NONE;
}

static size_t read_addrs(const json_t *list, size_t max, tl_addr *ret_addrs)
{
    const json_t *v;
    size_t i, n = 0;
    json_array_foreach (list, i, v)
        if (n < max && read_addr(v, &ret_addrs[n]))
            n++;
    return n;
}

static size_t read_names(const json_t *list, size_t max, tl_relayer_name *ret_names)
{
    const json_t *v;
    size_t i, n = 0;
    json_array_foreach (list, i, v)
        if (n < max && read_addr(json_object_get(v, "address"), &ret_names[n].addr) &&
            !tl_node_id_parse_form(tl_slice_str(tl_json_string(v, "nodeID", "")), &ret_names[n].id))
            n++;
    return n;
}

static void read_relaying(const json_t *capabilities, tl_peer_relaying *ret)
{
    const json_t *relay = json_object_get(capabilities, "relay");
    *ret = (tl_peer_relaying){.n_addrs = 0};
    ret->n_addrs =
        read_addrs(json_object_get(relay, "addresses"), TL_RELAYER_ADDRS_MAX, ret->addrs);
    ret->fellows_only = strcmp(tl_json_string(relay, "for", "any"), "any") != 0;
    ret->full = tl_json_number(relay, "free", 1) < 1;
    ret->n_by = read_names(json_object_get(capabilities, "relayedBy"), TL_RELAYED_BY_MAX, ret->by);
}

static void read_introducing(const json_t *capabilities, tl_peer_introducing *ret)
{
    const json_t *introduces = json_object_get(capabilities, "introduces");
    *ret = (tl_peer_introducing){.n_addrs = 0};
    ret->n_addrs =
        read_addrs(json_object_get(introduces, "addresses"), TL_RELAYER_ADDRS_MAX, ret->addrs);
    ret->n_by =
        read_names(json_object_get(capabilities, "introducedBy"), TL_INTRODUCED_BY_MAX, ret->by);
}

bool tl_peer_describe(tl_peer *p, const char *name, const json_t *capabilities)
{
    bool changed = name ? set_name(p, name) : false;
    if (!json_is_object(capabilities))
        return changed;
    changed |= set_models(p, json_object_get(capabilities, "loadedModels"));
    (void)!tl_bids_read(json_object_get(capabilities, "bids"), &p->bids); /* none: none are known */
    double tier = tl_json_number(json_object_get(capabilities, "hardware"), "tier", p->tier);
    if (tier >= 1 && tier <= 4)
        p->tier = (int)tier;
    changed |= set_ptns(p, json_object_get(capabilities, "ptnIDs"));
    bool members_only = tl_json_bool(capabilities, "membersOnly", false);
    changed |= members_only != p->members_only;
    p->members_only = members_only;
    p->reads_first = tl_json_bool(capabilities, "relayFirst", false);
    read_relaying(capabilities, &p->relaying);
    p->takes_fragments = tl_json_bool(capabilities, "fragments", false);
    read_introducing(capabilities, &p->introducing);
    bool available = tl_json_bool(capabilities, "isAvailable", true);
    changed |= available != p->available;
    p->available = available;
    bool paused = !available && tl_json_bool(capabilities, "paused", false);
    changed |= paused != p->paused;
    p->paused = paused;
    return changed;
}

bool tl_peer_serves(const tl_peer *p, const char *model)
{
    for (size_t i = 0; i < p->n_models; i++)
        if (strcmp(p->models[i], model) == 0)
            return true;
    return false;
}

/* --- who speaks Noise --- */

static bool is_keyed(const tl_peer_table *t, const tl_node_id *id)
{
    tl_peer_keyed *k = NULL;
    for (size_t i = 0; i < 2 && !k; i++)
        HASH_FIND(hh, t->keyed[i], id, sizeof *id, k);
    return k;
}

/* False: another was forgotten for it, or memory is out. */
static bool remember_key(tl_peer_keyed **keyed, const tl_node_id *id)
{
    bool forgot = false;
    tl_peer_keyed *k;
    HASH_FIND(hh, *keyed, id, sizeof *id, k);
    if (k) /* it becomes the newest */
        HASH_DEL(*keyed, k);
    else if (HASH_COUNT(*keyed) < TL_PEER_KEYED_MAX)
        k = malloc(sizeof *k);
    else {
        HASH_DEL(*keyed, (k = *keyed));
        forgot = true;
    }
    if (!k)
        return false;
    k->id = *id;
    if (!TL_TABLE_ADD(hh, *keyed, id, sizeof k->id, k)) {
        free(k);
        return false;
    }
    return !forgot;
}

void tl_peer_is_listed_as(tl_peer_table *t, tl_peer *p, bool in_clear)
{
    p->in_clear = in_clear && !is_keyed(t, &p->id) && (p->in_clear || !t->forgot_keys);
    if (!in_clear)
        t->forgot_keys |= !remember_key(&t->keyed[0], &p->id);
}

void tl_peer_has_key(tl_peer_table *t, tl_peer *p)
{
    p->in_clear = false;
    t->forgot_keys |= !remember_key(&t->keyed[1], &p->id);
}

size_t tl_peer_table_in_clear(const tl_peer_table *t)
{
    size_t n = 0;
    const tl_peer *p;
    for (p = t->peers; p; p = p->hh.next)
        n += p->in_clear && p->listed;
    return n;
}

void tl_peer_table_begin_round(tl_peer_table *t)
{
    t->round++;
}

static void unlist(tl_peer_table *t, tl_peer *p)
{
    p->listed = false;
    if (!p->contact && !p->asking)
        forget(t, p);
}

void tl_peer_table_end_round(tl_peer_table *t)
{
    tl_peer *p, *next;
    HASH_ITER (hh, t->peers, p, next)
        if (p->round != t->round)
            unlist(t, p);
}

void tl_peer_table_left(tl_peer_table *t, const tl_node_id *id)
{
    tl_peer *p = tl_peer_table_find(t, id);
    if (p)
        unlist(t, p);
}
