/* The world of members/: connections by tl_peers, rows in the store, events to listeners. And the book
 * of networks at start. */
#include "node/accounts.h"
#include "node/members_state.h"
#include "node/names.h"

#include "base/log.h"
#include "base/plain.h"
#include "peer/claims.h"
#include "store/networks.h"

#include <stdlib.h>
#include <utlist.h>

/* --- answers that did not come from the store --- */

/* Nothing is told from inside the call that asks: it waits for the next turn. */
static void answer_later(tl_node *n, tl_members_stored *s, tl_err e)
{
    if (!s)
        return;
    s->e = e;
    LL_APPEND(n->members_world->answers, s);
    tl_node_wake(n);
}

static void stored(void *user, tl_err e, const char *why)
{
    tl_members_stored *s = user;
    if (e && *why)
        tl_log(TL_LOG_WARN, "networks: not stored: %s", why);
    if (s)
        s->on_stored(s, e);
}

/* After a call that hands a job to the store. */
static void submitted(tl_node *n, tl_members_stored *s, tl_err e)
{
    if (e)
        answer_later(n, s, e);
}

/* --- connections --- */

static tl_err tell(void *user, const tl_node_id *peer, const char *name, json_t *payload)
{
    return tl_peers_tell(((tl_node *)user)->peers, peer, name, payload);
}

/* A wish for a connection, until it stands or fails. */
typedef struct tl_member_dial {
    tl_peer_wish wish; /* first */
    tl_node *node;
    bool failed; /* at once: it is told in the next turn */
    struct tl_member_dial *prev, *next;
} tl_member_dial;

static void end_dial(tl_member_dial *d)
{
    DL_DELETE(d->node->members_world->dials, d);
    free(d);
}

static void dialled(tl_peer_wish *w, tl_quic_stream *s)
{
    (void)s; /* NULL: the hello follows */
    end_dial((tl_member_dial *)w);
}

static void not_dialled(tl_peer_wish *w, tl_err e, const char *why)
{
    tl_member_dial *d = (tl_member_dial *)w;
    tl_node *n = d->node;
    tl_node_id peer = w->peer;
    (void)e;
    end_dial(d);
    tl_members_on_unreachable(n->members, &peer, why);
}

static void dial(void *user, const tl_node_id *peer)
{
    tl_node *n = user;
    tl_member_dial *d = calloc(1, sizeof *d);
    if (!d)
        return; /* as if it had no end: the next look does not dial it again */
    d->node = n;
    d->wish = (tl_peer_wish){
        .peer = *peer, .connection_only = true, .on_stream = dialled, .on_failed = not_dialled};
    DL_APPEND(n->members_world->dials, d);
    d->failed = tl_peers_wish(n->peers, &d->wish) != TL_OK;
    tl_node_wake(n);
}

/* Anybody who knows a ptnID can list it: a node that hides believes tags alone. A member that does not
 * hide recognises our tag, and speaks first. */
static bool claims(void *user, const tl_node_id *peer, const tl_membership *network)
{
    tl_node *n = user;
    tl_peer *p = tl_peer_table_find(&n->table, peer);
    if (!p)
        return false;
    return n->settings.ptn_hide ? tl_claims_by_tag(n->book, p, &network->id, tl_loop_unix())
                                : tl_claims_has(n->book, p, &network->id, tl_loop_unix());
}

static size_t present(void *user, const tl_membership *network, tl_node_id *ret, size_t max)
{
    tl_node *n = user;
    size_t count = 0;
    bool untold = !tl_relays_is_registered(n->relays); /* nobody tells who is there */
    for (tl_peer *p = n->table.peers; p && count < max; p = p->hh.next)
        if ((p->listed || untold) && !p->in_clear &&
            (tl_claims_has(n->book, p, &network->id, tl_loop_unix()) ||
             tl_networks_cert_of(n->book, network, &p->id))) /* its tag may be of an older key */
            ret[count++] = p->id;
    return count;
}

/* --- the store --- */

/* The caller frees it; NULL: no memory, or nothing there. */
static char *text_of(const json_t *value)
{
    return value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
}

static void save_network(void *user, const tl_membership *m, tl_members_stored *s)
{
    tl_node *n = user;
    char *certificate = m->left ? NULL : text_of(m->certificate);
    tl_network_row row = {.network = m->id,
                          .certificate = certificate,
                          .ca_seed = m->has_ca ? m->ca.seed : NULL,
                          .api_key = *m->api_key ? m->api_key : NULL,
                          .has_left = m->left,
                          .at = tl_loop_unix()};
    memcpy(row.name, m->name, sizeof row.name);
    tl_err e = m->certificate && !certificate ? TL_ERR_NOMEM
                                              : tl_store_put_network(n->store, &row, stored, s);
    free(certificate);
    submitted(n, s, e);
}

static tl_err put_objects(tl_node *n, const tl_membership *m, tl_object_kind kind, json_t *array,
                          tl_members_stored *s)
{
    char *text = array ? text_of(array) : NULL;
    json_decref(array);
    tl_err e = text ? tl_store_put_objects(n->store, &m->id, kind, text, stored, s) : TL_ERR_NOMEM;
    free(text);
    return e;
}

static json_t *array_of(const json_t *object)
{
    json_t *array = json_array();
    if (object && array && json_array_append_new(array, json_deep_copy(object))) {
        json_decref(array);
        return NULL;
    }
    return array;
}

static void save_objects(void *user, const tl_membership *m, tl_members_stored *s)
{
    tl_node *n = user;
    json_t *lists = json_array();
    for (size_t i = 0; lists && i < tl_ptn_list_count(m->ptn); i++)
        lists = tl_json_append(lists, json_deep_copy(tl_ptn_list_at(m->ptn, i)));
    tl_err e = put_objects(n, m, TL_OBJECTS_PRICE, array_of(tl_ptn_price_object(m->ptn)), NULL);
    if (!e)
        e = put_objects(n, m, TL_OBJECTS_KEY, array_of(tl_ptn_groupkey_object(m->ptn)), NULL);
    if (e)
        json_decref(lists);
    else
        e = put_objects(n, m, TL_OBJECTS_REVOCATIONS, lists, s);
    submitted(n, s, e);
}

static void save_invite(void *user, const tl_invite *invite, tl_members_stored *s)
{
    tl_node *n = user;
    tl_invite_row row = {.network = invite->network,
                         .role = invite->role,
                         .expires_at = invite->expires_at,
                         .valid_seconds = invite->valid_seconds,
                         .bound = invite->bound,
                         .bound_to = invite->node};
    memcpy(row.nonce, invite->nonce, sizeof row.nonce);
    submitted(n, s, tl_store_put_invite(n->store, &row, tl_loop_unix(), stored, s));
    tl_node_invites_changed(n, &invite->network);
}

static void withdraw_invite(void *user, const tl_node_id *network, const uint8_t *nonce,
                            tl_members_stored *s)
{
    tl_node *n = user;
    submitted(n, s, tl_store_withdraw_invite(n->store, network, nonce, stored, s));
    tl_node_invites_changed(n, network);
}

static void spent(void *user, tl_err e, const char *certificate, const char *why)
{
    tl_members_spend *spend = user;
    if (!e && tl_json_parse(tl_slice_str(certificate), 16, &spend->ret_certificate, NULL))
        e = TL_ERR_PROTO;
    stored(&spend->stored, e, why);
}

/* The name as it is now; it is remembered for when the member is away. */
static const char *name_of(tl_node *n, const tl_node_id *node)
{
    const tl_peer *p = tl_peer_table_find(&n->table, node);
    if (p)
        tl_naming_hear(&n->names->naming, node, p->name);
    return p ? p->name : "";
}

static void spend_invite(void *user, tl_members_spend *spend)
{
    tl_node *n = user;
    char *certificate = spend->certificate ? text_of(spend->certificate) : NULL;
    tl_member_row row = {spend->network, spend->node, certificate, name_of(n, &spend->node),
                         tl_loop_unix()};
    tl_err e = certificate || !spend->certificate
                   ? tl_store_spend_invite(n->store, spend->nonce, &row, spent, spend)
                   : TL_ERR_NOMEM;
    free(certificate);
    submitted(n, &spend->stored, e);
    tl_node_invites_changed(n, &spend->network);
}

static void save_member(void *user, const tl_node_id *network, const tl_node_id *node,
                        const json_t *certificate, tl_unix last_seen, tl_members_stored *s)
{
    tl_node *n = user;
    char *text = text_of(certificate);
    tl_member_row row = {*network, *node, text, name_of(n, node), last_seen};
    tl_err e = text ? tl_store_put_member(n->store, &row, stored, s) : TL_ERR_NOMEM;
    free(text);
    submitted(n, s, e);
}

static void save_seen(void *user, const tl_node_id *network, const tl_node_id *node,
                      tl_unix last_seen)
{
    tl_node *n = user;
    submitted(n, NULL, tl_store_see_member(n->store, network, node, name_of(n, node), last_seen));
}

static void drop_member(void *user, const tl_node_id *network, const tl_node_id *node,
                        tl_unix issued_at)
{
    tl_node *n = user;
    tl_departed_row row = {*network, *node, issued_at};
    submitted(n, NULL, tl_store_drop_member(n->store, &row, tl_loop_unix(), stored, NULL));
}

static void listed(void *user, tl_err e, const tl_member_seen *rows, size_t n)
{
    tl_members_listing *l = user;
    const char **certificates = calloc(n + 1, sizeof *certificates);
    for (size_t i = 0; certificates && i < n; i++)
        certificates[i] = rows[i].certificate;
    l->on_listed(l, certificates ? e : TL_ERR_NOMEM, certificates, certificates ? n : 0);
    free(certificates);
}

static void list_members(void *user, tl_members_listing *l)
{
    tl_node *n = user;
    if (tl_store_list_members(n->store, &l->network, listed, l))
        l->on_listed(l, TL_ERR_NOMEM, NULL, 0);
}

static void save_join(void *user, const tl_node_id *network, const char *invite, const char *name,
                      tl_unix at, tl_members_stored *s)
{
    tl_node *n = user;
    tl_join_row row = {*network, invite, name, at};
    submitted(n, s, tl_store_put_join(n->store, &row, stored, s));
}

static void drop_join(void *user, const tl_node_id *network)
{
    tl_node *n = user;
    submitted(n, NULL, tl_store_drop_join(n->store, network, stored, NULL));
}

/* --- told --- */

static void on_event(void *user, const tl_membership *m, const tl_node_id *node,
                     tl_membership_event e)
{
    tl_node *n = user;
    char network[TL_NODE_ID_HEX + 1], hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(network, &m->id);
    tl_node_id_write(hex, node);
    tl_node_emit(n, "Membership",
                 json_pack("{s:s, s:s, s:s}", "ptn_id", network, "node_id", hex, "what",
                           tl_membership_event_name(e)));
    /* who is there now, to be met, or to be told of it? The list that we have may be old */
    bool ours = tl_node_id_eq(node, &n->identity.id);
    if ((e == TL_MEMBERSHIP_JOINED ? ours : e == TL_MEMBERSHIP_WAS_REVOKED && !ours) &&
        tl_node_ask_everybody(n))
        tl_log(TL_LOG_DEBUG, "network %s: the relay cannot be asked who is there", m->name);
    tl_node_wake(n);
}

/* What goes on for the network ends in this turn: the parts follow the book (node_scope.c). */
static void on_revoked(void *user, const tl_membership *m, const tl_node_id *node)
{
    tl_node *n = user;
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, node);
    tl_log(TL_LOG_INFO, "network %s: %.16s is out", m->name, hex);
    tl_networks_changed(n->book);
    tl_node_wake(n);
}

static void save_deeds(void *user, const tl_deeds *d)
{
    tl_node_save_deeds(user, d);
}

static const tl_members_world world = {
    .tell = tell,
    .connect = dial,
    .claims = claims,
    .present = present,
    .save_network = save_network,
    .save_objects = save_objects,
    .save_invite = save_invite,
    .withdraw_invite = withdraw_invite,
    .spend_invite = spend_invite,
    .save_member = save_member,
    .save_seen = save_seen,
    .drop_member = drop_member,
    .list_members = list_members,
    .save_join = save_join,
    .drop_join = drop_join,
    .on_event = on_event,
    .on_revoked = on_revoked,
    .save_deeds = save_deeds,
};

/* --- the book at start --- */

/* What the store has of one network's objects; they are taken in their order. */
typedef struct {
    tl_node *node;
    tl_node_id network; /* of `objects` */
    json_t *objects[TL_OBJECT_KINDS];
    size_t unread;
} loading;

static void take_lists(tl_membership *m, const json_t *lists)
{
    size_t i;
    json_t *list;
    json_array_foreach (lists, i, list) {
        tl_ptn_verdict v = tl_ptn_load_revocations(m->ptn, list, tl_loop_unix());
        if (v && v != TL_PTN_OLD) /* it tells what another one tells, too */
            tl_log(TL_LOG_ERROR, "network %s: a stored list of revoked nodes is not readable",
                   m->name);
    }
}

/* Price and key first: who signed them may be revoked since, and they hold all the same. */
static void take_objects(loading *l)
{
    tl_membership *m = tl_networks_by_id(l->node->book, &l->network);
    const json_t *price = json_array_get(l->objects[TL_OBJECTS_PRICE], 0),
                 *key = json_array_get(l->objects[TL_OBJECTS_KEY], 0);
    if (m && price)
        (void)tl_ptn_take_price(m->ptn, price, TL_PTN_TIME_MAX);
    if (m && key)
        (void)tl_ptn_take_groupkey(m->ptn, key, TL_PTN_TIME_MAX);
    if (m)
        take_lists(m, l->objects[TL_OBJECTS_REVOCATIONS]);
    for (int i = 0; i < TL_OBJECT_KINDS; i++) {
        json_decref(l->objects[i]);
        l->objects[i] = NULL;
    }
}

static tl_err load_objects(void *user, const tl_objects_row *row)
{
    loading *l = user;
    if (!tl_node_id_eq(&l->network, &row->network)) {
        take_objects(l);
        l->network = row->network;
    }
    json_decref(l->objects[row->kind]);
    l->objects[row->kind] = NULL;
    if (tl_json_parse(tl_slice_str(row->objects), 16, &l->objects[row->kind], NULL))
        l->unread++;
    return TL_OK;
}

static tl_err load_network(void *user, const tl_network_row *row)
{
    loading *l = user;
    tl_networks *b = l->node->book;
    tl_membership *m;
    json_t *certificate = NULL;
    tl_identity ca;
    char name[TL_PTN_NAME_MAX + 1];
    tl_network_name_make(row->name, name); /* earlier versions had more names */
    tl_err e = tl_networks_add(b, &row->network, name, &m);
    if (e)
        return e == TL_ERR_NOMEM ? e : TL_OK; /* more than have room: those that were left */
    if (row->has_left) {
        tl_networks_leave(b, m);
        return TL_OK;
    }
    if (row->certificate &&
        (tl_json_parse(tl_slice_str(row->certificate), 16, &certificate, NULL) ||
         tl_networks_set_certificate(b, m, certificate)))
        l->unread++;
    json_decref(certificate);
    if (row->ca_seed && !tl_identity_from_seed(row->ca_seed, &ca)) {
        l->unread += tl_networks_set_ca(b, m, &ca) != TL_OK;
        tl_identity_clear(&ca);
    }
    if (row->api_key && tl_networks_set_api_key(b, m, row->api_key))
        l->unread++;
    return TL_OK;
}

static tl_err load_old_name(void *user, const tl_old_name_row *row)
{
    loading *l = user;
    tl_membership *m = tl_networks_by_id(l->node->book, &row->network);
    if (m && strlen(row->name) <= TL_PTN_NAME_MAX)
        tl_networks_add_old_name(m, row->name);
    return TL_OK;
}

static tl_err load_member(void *user, const tl_member_row *row)
{
    loading *l = user;
    tl_cert cert;
    json_t *certificate;
    take_objects(l); /* of the last network */
    if (tl_json_parse(tl_slice_str(row->certificate), 16, &certificate, NULL)) {
        l->unread++;
        return TL_OK;
    }
    if (tl_cert_read(certificate, &cert) || !tl_node_id_eq(&cert.node, &row->node))
        l->unread++;
    else if (!tl_networks_keep(l->node->book, &cert) && row->last_seen) /* FOREIGN: it was left */
        tl_networks_set_met(l->node->book, tl_networks_by_id(l->node->book, &cert.network),
                            &cert.node);
    json_decref(certificate);
    if (tl_plain_is(tl_slice_str(row->name)))
        tl_naming_hear(&l->node->names->naming, &row->node, row->name);
    return TL_OK;
}

static tl_err load_departed(void *user, const tl_departed_row *row)
{
    loading *l = user;
    tl_membership *m = tl_networks_by_id(l->node->book, &row->network);
    if (m)
        tl_networks_load_left(l->node->book, m, &row->node, row->issued_at);
    return TL_OK;
}

static tl_err load_join(void *user, const tl_join_row *row)
{
    loading *l = user;
    take_objects(l);
    if (tl_members_load_join(l->node->members, row->invite, row->name))
        l->unread++;
    return TL_OK;
}

static tl_err load(tl_node *n, tl_why *why)
{
    loading l = {.node = n};
    tl_store_visitor visitor = {.network = load_network,
                                .old_name = load_old_name,
                                .objects = load_objects,
                                .member = load_member,
                                .departed = load_departed,
                                .join = load_join,
                                .user = &l};
    tl_err e = tl_store_each(n->store, &visitor, why);
    take_objects(&l);
    if (l.unread)
        tl_log(TL_LOG_ERROR, "networks: %zu rows of the store could not be read", l.unread);
    return e;
}

/* --- life --- */

tl_err tl_node_open_members(tl_node *n, tl_why *why)
{
    tl_members_config config = {.identity = &n->identity,
                                .rand = &n->rand,
                                .book = n->book,
                                .world = &world,
                                .user = n,
                                .env = n->env,
                                .deeds = n->deeds};
    if (!n->store)
        return TL_OK;
    n->members_world = calloc(1, sizeof *n->members_world);
    tl_err e = n->members_world ? tl_members_new(&config, &n->members) : TL_ERR_NOMEM;
    if (e)
        return tl_why_set(why, e, "the node could not be set up: %s", tl_err_name(e));
    tl_err loaded = load(n, why);
    for (size_t i = 0; !loaded && i < tl_networks_count(n->book); i++)
        tl_node_invites_changed(n, &tl_networks_at(n->book, i)->id);
    return loaded;
}

static void run_answers(tl_node *n)
{
    tl_members_stored *s;
    while ((s = n->members_world->answers)) {
        LL_DELETE(n->members_world->answers, s);
        s->on_stored(s, s->e);
    }
}

void tl_node_run_members(tl_node *n)
{
    tl_member_dial *d, *next;
    if (!n->members)
        return;
    run_answers(n);
    DL_FOREACH_SAFE (n->members_world->dials, d, next)
        if (d->failed)
            not_dialled(&d->wish, TL_ERR_BUSY, "this node has too many connections");
}

/* The store has stopped: all that it was given is answered. */
void tl_node_close_members(tl_node *n)
{
    if (n->members_world)
        run_answers(n);
    tl_node_drop_ptn_calls(n);
    while (n->members_world && n->members_world->dials) {
        tl_member_dial *d = n->members_world->dials;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (!d->failed)
            tl_peers_unwish(n->peers, &d->wish);
        end_dial(d);
    }
    tl_members_free(n->members);
    n->members = NULL;
    while (n->members_world && n->members_world->calls) /* what waited for a peer */
        tl_ptn_call_free(n->members_world->calls);
    free(n->members_world);
    n->members_world = NULL;
}
