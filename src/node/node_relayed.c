/* The nodes that relay for this one: what it tells of them, and what it remembers, so that it finds them, the
 * peers that they reach, and those with which it dealt, at a start without a relay. */
#include "node/state.h"

#include "crypto/idjson.h"
#include "node/accounts.h"
#include "node/beside.h"
#include "node/reach.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_NAME   "relaying"
#define KEPT_PEERS  64           /* those with which a question went well, or a connection stands */
#define KEPT_MODELS 32           /* of each, */
#define KEPT_NAMES  1024         /* and so many bytes of their names */
#define KEPT_PTNS   16           /* networks of each */
#define FILE_MAX    (512 * 1024) /* bytes; what is kept takes less than 8 KiB for each peer */
#define KEPT_FOR    (30 * 24 * 3600) /* seconds since a connection stood */
#define SAVE_APART  (60 * TL_SEC)

static json_t *addr_json(const tl_addr *addr)
{
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, addr);
    return json_string(text);
}

/* Takes `item`. NULL: out of memory; the list is gone. */
static json_t *name_json(const tl_relayer_name *name)
{
    return json_pack("{s:o, s:o}", "nodeID", tl_node_id_json(&name->id), "address",
                     addr_json(&name->addr));
}

static size_t attached(const tl_node *n, tl_relayer_facts ret[TL_RELAYERS_ATTACHED])
{
    const tl_relayers *r = tl_peers_relayers(n->peers);
    return r ? tl_relayers_attached(r, ret) : 0;
}

/* --- told --- */

json_t *tl_node_relayed_capability(const tl_node *n)
{
    tl_relayer_facts by[TL_RELAYERS_ATTACHED];
    size_t count = attached(n, by);
    json_t *list = count ? json_array() : NULL;
    for (size_t i = 0; list && i < count; i++)
        list = tl_json_append(list, name_json(&by[i].name));
    return list;
}

json_t *tl_node_relayed_json(const tl_node *n)
{
    tl_relayer_facts by[TL_RELAYERS_ATTACHED];
    size_t count = attached(n, by);
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        const tl_peer *p = tl_peer_table_find(&n->table, &by[i].name.id);
        double ms = (double)by[i].rtt / (double)TL_MS;
        list = tl_json_append(
            list, json_pack("{s:o, s:s, s:o, s:o}", "node_id", tl_node_id_json(&by[i].name.id),
                            "name", p ? p->name : "", "address", addr_json(&by[i].name.addr),
                            "rtt_ms", by[i].rtt ? json_real(ms) : json_null()));
    }
    return list;
}

const char *tl_node_relay_name(const tl_node *n, const tl_peer_facts *f, char ret[TL_RELAY_NAME])
{
    char hex[TL_NODE_ID_HEX + 1];
    if (f->by_node) {
        tl_node_id_write(hex, &f->node.id);
        snprintf(ret, TL_RELAY_NAME, "node:%s", hex);
        return ret;
    }
    return f->relay < TL_RELAYS_MAX ? tl_relay_pair_url_of(n->client, f->relay)
                                    : tl_relay_pair_url(n->client);
}

void tl_node_on_attached(void *user)
{
    tl_node *n = user;
    n->relayed.changed = n->relayed.unsaved = true;
    tl_node_wake(n);
}

void tl_node_on_relayed(void *user, const tl_node_id *node, uint64_t bytes)
{
    tl_node_note_relayed(user, node, bytes);
}

/* --- remembered --- */

static json_t *models_of(const tl_peer *p)
{
    json_t *models = json_array();
    size_t bytes = 0;
    for (size_t i = 0; models && i < p->n_models && i < KEPT_MODELS; i++) {
        bytes += strlen(p->models[i]);
        if (bytes > KEPT_NAMES)
            break;
        models = tl_json_append(models, json_string(p->models[i]));
    }
    return models;
}

static json_t *ptns_of(const tl_peer *p)
{
    json_t *ptns = json_array();
    for (size_t i = 0; ptns && i < p->n_ptns && i < KEPT_PTNS; i++) {
        char hex[TL_NODE_ID_HEX + 1];
        tl_hex_write(hex, p->ptns[i], sizeof p->ptns[i]);
        ptns = tl_json_append(ptns, json_string(hex));
    }
    return ptns;
}

static json_t *names_json(const tl_relayer_name *names, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        list = tl_json_append(list, name_json(&names[i]));
    return list;
}

/* What the peer said of itself, as far as asking it needs it. */
static json_t *peer_json(const tl_peer *p)
{
    json_t *by = names_json(p->relaying.by, p->relaying.n_by),
           *introduced = names_json(p->introducing.by, p->introducing.n_by);
    return json_pack("{s:o, s:s, s:I, s:{s:o, s:o, s:o, s:o, s:b, s:b, s:b}}", "nodeID",
                     tl_node_id_json(&p->id), "name", p->name, "seen", (json_int_t)p->seen,
                     "capabilities", "loadedModels", models_of(p), "ptnIDs", ptns_of(p),
                     "relayedBy", by, "introducedBy", introduced, "membersOnly", p->members_only,
                     "isAvailable", p->available, "relayFirst", p->reads_first);
}

/* Whom this node may want to find again, or who is reached through one that relays. */
static bool is_worth_it(const tl_node *n, const tl_peer *p)
{
    if (p->seen && tl_loop_unix() - p->seen > KEPT_FOR)
        return false;
    return p->relaying.n_by ||
           (p->n_models && (p->proven || p->kept || tl_access_is_member(&n->access, &p->id)));
}

/* Smaller is kept first: strangers that connected, and what earlier runs kept, push out nobody who answered. */
static int rank_of(const tl_peer *p)
{
    return p->proven ? 0 : p->kept ? 1 : p->contact ? 2 : 3;
}

static void note_seen(tl_node *n)
{
    for (tl_peer *p = n->table.peers; p; p = p->hh.next) {
        tl_peer_facts facts;
        if (tl_peers_facts(n->peers, p, &facts))
            p->seen = tl_loop_unix();
    }
}

static json_t *all_json(const tl_node *n)
{
    tl_relayer_facts by[TL_RELAYERS_ATTACHED];
    size_t count = attached(n, by), kept = 0;
    json_t *nodes = json_array(), *peers = json_array();
    for (size_t i = 0; nodes && i < count; i++)
        nodes = tl_json_append(nodes, name_json(&by[i].name));
    for (int rank = 0; rank < 3; rank++)
        for (const tl_peer *p = n->table.peers; peers && p && kept < KEPT_PEERS; p = p->hh.next)
            if (is_worth_it(n, p) && rank_of(p) == rank) {
                peers = tl_json_append(peers, peer_json(p));
                kept++;
            }
    return json_pack("{s:o, s:o}", "nodes", nodes, "peers", peers);
}

static void save(tl_node *n)
{
    char path[TL_BESIDE_PATH_MAX];
    tl_buf text = {0};
    note_seen(n);
    n->relayed.unsaved = false;
    n->relayed.save_at = tl_loop_now(n->loop) + SAVE_APART;
    json_t *all = tl_beside_path(n->port_file, FILE_NAME, path) ? all_json(n) : NULL;
    if (all && !tl_json_write(&text, all))
        tl_beside_write(path, tl_buf_slice(&text));
    tl_buf_clear(&text);
    json_decref(all);
}

static bool name_read(const json_t *o, tl_relayer_name *ret_name)
{
    return !tl_node_id_parse(tl_slice_str(tl_json_string(o, "nodeID", "")), &ret_name->id) &&
           !tl_addr_parse(tl_slice_str(tl_json_string(o, "address", "")), &ret_name->addr);
}

static void take(tl_node *n, const json_t *all)
{
    const json_t *o;
    size_t i;
    tl_relayer_name name;
    tl_node_id id;
    json_array_foreach (json_object_get(all, "nodes"), i, o)
        if (i < TL_RELAYERS_TRIED && name_read(o, &name))
            tl_relayers_remember(tl_peers_relayers(n->peers), &name);
    json_array_foreach (json_object_get(all, "peers"), i, o) {
        if (i == KEPT_PEERS || tl_node_id_parse(tl_slice_str(tl_json_string(o, "nodeID", "")), &id))
            continue;
        tl_peer *p = tl_peer_table_get(&n->table, &id);
        if (!p)
            continue;
        p->kept = true;
        p->seen = (tl_unix)tl_json_number(o, "seen", 0);
        (void)tl_peer_describe(p, tl_json_string(o, "name", ""),
                               json_object_get(o, "capabilities"));
        p->available |= p->n_models && !p->paused; /* it may have been about to leave */
        tl_node_again_known(n, &p->id);
    }
}

void tl_node_read_relayed(tl_node *n)
{
    char path[TL_BESIDE_PATH_MAX];
    uint8_t *text;
    size_t len;
    json_t *all = NULL;
    tl_why why;
    n->relayed.save_at = tl_loop_now(n->loop) + SAVE_APART;
    if (!tl_peers_relayers(n->peers) || !tl_beside_path(n->port_file, FILE_NAME, path) ||
        tl_beside_read(path, FILE_MAX, &text, &len))
        return;
    if (!tl_json_parse_bounded(tl_slice_of(text, len), 6, TL_JSON_VALUES_MAX, &all, &why))
        take(n, all);
    json_decref(all);
    free(text);
}

void tl_node_follow_relayed(tl_node *n)
{
    if (n->relayed.changed) {
        n->relayed.changed = false;
        tl_node_tell_capabilities(n);
        save(n);
    }
    if (n->relayed.unsaved && tl_loop_now(n->loop) >= n->relayed.save_at)
        save(n);
}

tl_time tl_node_relayed_expiry(const tl_node *n)
{
    return n->relayed.unsaved ? n->relayed.save_at : TL_NEVER;
}

void tl_node_relayed_dealt(tl_node *n)
{
    n->relayed.unsaved = true;
}

void tl_node_save_relayed(tl_node *n)
{
    if (n->relayed.unsaved)
        save(n);
}
