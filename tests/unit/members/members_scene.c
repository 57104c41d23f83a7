#include "members_scene.h"

#include "crypto/identity.h"

#include <stdio.h>

node *nodes[NODES_MAX];
bool (*on_the_way)(const node *from, const node *to, const char *name, json_t *payload);
static size_t n_nodes;
static tl_time now;
static uint8_t linked[NODES_MAX][NODES_MAX / 8];

/* --- what is under way --- */

typedef struct thing {
    enum { MESSAGE, DIAL, STORED } kind;
    node *from, *to;
    char name[32];
    json_t *payload;
    tl_members_stored *stored;
    tl_err e;
    struct thing *next;
} thing;
static thing *first, **last = &first;

static thing *add(int kind, node *from, node *to)
{
    thing *t = calloc(1, sizeof *t);
    t->kind = (typeof(t->kind))kind;
    t->from = from;
    t->to = to;
    *last = t;
    last = &t->next;
    return t;
}

static bool is_linked(const node *a, const node *b)
{
    return linked[a->nth][b->nth / 8] >> (b->nth % 8) & 1;
}

static void set_link(const node *a, const node *b, bool on)
{
    uint8_t bit = (uint8_t)(1 << (b->nth % 8));
    linked[a->nth][b->nth / 8] =
        (uint8_t)(on ? linked[a->nth][b->nth / 8] | bit : linked[a->nth][b->nth / 8] & ~bit);
}

node *node_of(const tl_node_id *id)
{
    for (size_t i = 0; i < n_nodes; i++)
        if (tl_node_id_eq(&nodes[i]->identity.id, id))
            return nodes[i];
    return NULL;
}

/* --- the world --- */

static tl_err tell(void *user, const tl_node_id *peer, const char *name, json_t *payload)
{
    node *a = user, *b = node_of(peer);
    if (!b || !is_linked(a, b))
        return TL_ERR_NOT_FOUND;
    thing *t = add(MESSAGE, a, b);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->payload = json_deep_copy(payload);
    a->told++;
    return TL_OK;
}

static void world_connect(void *user, const tl_node_id *peer)
{
    add(DIAL, user, node_of(peer));
}

static tl_membership *network_in(const node *a, const tl_node_id *id)
{
    tl_membership *n = tl_networks_by_id(a->book, id);
    return n && !n->left && n->certificate ? n : NULL;
}

static bool claims(void *user, const tl_node_id *peer, const tl_membership *n)
{
    const node *a = user, *b = node_of(peer);
    return b && network_in(b, &n->id) && (!b->hidden || a->recognises);
}

static size_t present(void *user, const tl_membership *n, tl_node_id *ret, size_t max)
{
    const node *a = user;
    size_t count = 0;
    for (size_t i = 0; i < n_nodes && count < max; i++)
        if (nodes[i] != a && !nodes[i]->down && claims(user, &nodes[i]->identity.id, n))
            ret[count++] = nodes[i]->identity.id;
    return count;
}

static void answer(node *a, tl_members_stored *s, tl_err e)
{
    if (!s)
        return;
    thing *t = add(STORED, a, NULL);
    t->stored = s;
    t->e = e;
}

static void save_network(void *user, const tl_membership *n, tl_members_stored *s)
{
    node *a = user;
    (void)n;
    a->saved_networks += !a->disk;
    answer(a, s, a->disk);
}

static void save_objects(void *user, const tl_membership *n, tl_members_stored *s)
{
    node *a = user;
    if (!a->disk) {
        json_decref(a->saved_lists);
        a->saved_lists = json_array();
        for (size_t i = 0; i < tl_ptn_list_count(n->ptn); i++)
            json_array_append_new(a->saved_lists, json_deep_copy(tl_ptn_list_at(n->ptn, i)));
    }
    answer(a, s, a->disk);
}

/* Invites of all nodes: a nonce is in one of them. */
static struct {
    uint8_t nonce[TL_INVITE_NONCE];
    enum { OPEN, USED, WITHDRAWN } state;
    tl_node_id by;
    json_t *certificate;
} invites[4096];
static size_t n_invites;

static size_t invite_at(const uint8_t *nonce)
{
    size_t i = 0;
    while (i < n_invites && memcmp(invites[i].nonce, nonce, TL_INVITE_NONCE) != 0)
        i++;
    return i;
}

static void save_invite(void *user, const tl_invite *invite, tl_members_stored *s)
{
    node *a = user;
    if (!a->disk) {
        assert_true(n_invites < 4096);
        memcpy(invites[n_invites++].nonce, invite->nonce, TL_INVITE_NONCE);
    }
    answer(a, s, a->disk);
}

static void withdraw_invite(void *user, const tl_node_id *network, const uint8_t *nonce,
                            tl_members_stored *s)
{
    size_t i = invite_at(nonce);
    tl_err e = i == n_invites ? TL_ERR_NOT_FOUND : invites[i].state == USED ? TL_ERR_EXISTS : TL_OK;
    (void)network;
    if (!e)
        invites[i].state = WITHDRAWN;
    answer(user, s, e);
}

static void keep_in_roll(node *a, const tl_node_id *peer, const json_t *certificate)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, peer);
    if (!a->saved_roll)
        a->saved_roll = json_object();
    if (!a->disk)
        json_object_set_new(a->saved_roll, hex, json_deep_copy(certificate));
}

static void spend_invite(void *user, tl_members_spend *spend)
{
    node *a = user;
    size_t i = invite_at(spend->nonce);
    tl_err e = a->disk;
    if (!e && i == n_invites)
        e = TL_ERR_NOT_FOUND;
    else if (!e && invites[i].state == WITHDRAWN)
        e = TL_ERR_FORBIDDEN;
    else if (!e && invites[i].state == USED && !tl_node_id_eq(&invites[i].by, &spend->node))
        e = TL_ERR_EXISTS;
    else if (!e && invites[i].state == OPEN && !spend->certificate)
        e = TL_ERR_NOT_FOUND;
    if (!e && invites[i].state == OPEN) {
        invites[i].state = USED;
        invites[i].by = spend->node;
        invites[i].certificate = json_deep_copy(spend->certificate);
        keep_in_roll(a, &spend->node, spend->certificate);
    }
    if (!e)
        spend->ret_certificate = json_incref(invites[i].certificate);
    answer(a, &spend->stored, e);
}

static void save_member(void *user, const tl_node_id *network, const tl_node_id *peer,
                        const json_t *certificate, tl_unix last_seen, tl_members_stored *s)
{
    node *a = user;
    (void)network, (void)last_seen;
    a->saved_members += !a->disk;
    keep_in_roll(a, peer, certificate);
    answer(a, s, a->disk);
}

/* It answers at once, which a store does not; that makes no difference here. */
static void list_members(void *user, tl_members_listing *l)
{
    node *a = user;
    const char *key, *texts[NODES_MAX];
    json_t *one;
    size_t n = 0;
    json_object_foreach (a->saved_roll, key, one)
        texts[n++] = json_dumps(one, JSON_COMPACT);
    l->on_listed(l, a->disk, texts, n);
    while (n)
        free((void *)(uintptr_t)texts[--n]);
}

static void save_seen(void *user, const tl_node_id *network, const tl_node_id *peer, tl_unix at)
{
    (void)user, (void)network, (void)peer, (void)at;
}

static void drop_member(void *user, const tl_node_id *network, const tl_node_id *peer,
                        tl_unix issued_at)
{
    node *a = user;
    char hex[TL_NODE_ID_HEX + 1];
    (void)network;
    tl_node_id_write(hex, peer);
    json_object_del(a->saved_roll, hex);
    if (!a->saved_left)
        a->saved_left = json_object();
    json_object_set_new(a->saved_left, hex, json_integer(issued_at));
}

static void save_join(void *user, const tl_node_id *network, const char *invite, const char *name,
                      tl_unix at, tl_members_stored *s)
{
    node *a = user;
    (void)network, (void)at;
    if (!a->disk) {
        snprintf(a->saved_invite, sizeof a->saved_invite, "%s", invite);
        snprintf(a->saved_name, sizeof a->saved_name, "%s", name);
    }
    answer(a, s, a->disk);
}

static void drop_join(void *user, const tl_node_id *network)
{
    (void)network;
    ((node *)user)->saved_invite[0] = 0;
}

static void on_event(void *user, const tl_membership *n, const tl_node_id *peer,
                     tl_membership_event e)
{
    (void)n, (void)peer;
    ((node *)user)->events[e]++;
}

static void on_revoked(void *user, const tl_membership *n, const tl_node_id *peer)
{
    node *a = user;
    (void)n;
    a->revoked++;
    a->last_revoked = *peer;
}

static const tl_members_world world = {
    tell,         world_connect,   claims,       present,     save_network, save_objects,
    save_invite,  withdraw_invite, spend_invite, save_member, save_seen,    drop_member,
    list_members, save_join,       drop_join,    on_event,    on_revoked,   note_deeds};

static tl_time env_now(void *user)
{
    (void)user;
    return now;
}

static tl_unix env_wall(void *user)
{
    return NOW + (tl_unix)(now / TL_SEC) + ((node *)user)->clock_off;
}

static void env_wake(void *user)
{
    (void)user;
}

/* --- running --- */

static void link_up(node *a, node *b)
{
    set_link(a, b, true);
    set_link(b, a, true);
    tl_members_on_hello(a->members, &b->identity.id);
    tl_members_on_hello(b->members, &a->identity.id);
}

static void deliver(thing *t)
{
    switch (t->kind) {
    case MESSAGE:
        if (is_linked(t->from, t->to) &&
            (!on_the_way || on_the_way(t->from, t->to, t->name, t->payload)))
            tl_members_on_told(t->to->members, &t->from->identity.id, t->name, t->payload);
        break;
    case DIAL:
        if (t->to && is_linked(t->from, t->to))
            tl_members_on_hello(t->from->members, &t->to->identity.id);
        else if (t->to && !t->to->down && !t->from->down)
            link_up(t->from, t->to);
        else
            tl_members_on_unreachable(t->from->members, &t->to->identity.id, "it is not there");
        break;
    case STORED: t->stored->on_stored(t->stored, t->e); break;
    }
    json_decref(t->payload);
    free(t);
}

/* A store that holds its answers back keeps its place in the list. */
static thing *take(void)
{
    for (thing **at = &first; *at; at = &(*at)->next) {
        thing *t = *at;
        if (t->kind == STORED && t->from->disk_holds)
            continue;
        *at = t->next;
        if (!t->next)
            last = at;
        t->next = NULL;
        return t;
    }
    return NULL;
}

void settle(void)
{
    thing *t;
    size_t n = 0;
    while ((t = take())) {
        deliver(t);
        assert_true(++n < 2000000); /* it comes to an end */
    }
}

void run_for(tl_time span)
{
    tl_time until = now + span;
    settle();
    for (;;) {
        tl_time at = until;
        for (size_t i = 0; i < n_nodes; i++)
            at = tl_time_min(at, tl_members_expiry(nodes[i]->members));
        now = tl_time_max(now, at);
        for (size_t i = 0; i < n_nodes; i++)
            if (tl_members_expiry(nodes[i]->members) <= now)
                tl_members_on_timer(nodes[i]->members);
        settle();
        if (now >= until)
            return;
    }
}

tl_time scene_now(void)
{
    return now;
}

void connect_nodes(node *a, node *b)
{
    if (!is_linked(a, b))
        link_up(a, b);
    settle();
}

void cut(node *a, node *b)
{
    if (!is_linked(a, b))
        return;
    set_link(a, b, false);
    set_link(b, a, false);
    tl_members_on_left(a->members, &b->identity.id);
    tl_members_on_left(b->members, &a->identity.id);
}

void cut_all(node *a)
{
    for (size_t i = 0; i < n_nodes; i++)
        cut(a, nodes[i]);
}

static void start(node *a)
{
    tl_members_config config = {.identity = &a->identity,
                                .rand = &a->rand,
                                .book = a->book,
                                .world = &world,
                                .user = a,
                                .env = {env_now, env_wall, env_wake, a},
                                .deeds = a->deeds};
    assert_int_equal(tl_members_new(&config, &a->members), TL_OK);
}

void restart(node *a)
{
    size_t i;
    json_t *list;
    tl_membership *old = tl_networks_count(a->book) ? tl_networks_at(a->book, 0) : NULL, *n;
    json_t *own = old ? json_incref(old->certificate) : NULL;
    tl_networks *before = a->book;
    cut_all(a);
    settle();
    tl_members_free(a->members);
    assert_int_equal(tl_networks_new(&a->identity.id, &a->book), TL_OK);
    if (own) {
        assert_int_equal(tl_networks_add(a->book, &old->id, old->name, &n), TL_OK);
        assert_int_equal(tl_networks_set_certificate(a->book, n, own), TL_PTN_OK);
        if (old->has_ca)
            assert_int_equal(tl_networks_set_ca(a->book, n, &old->ca), TL_OK);
        json_array_foreach (a->saved_lists, i, list)
            assert_int_equal(tl_ptn_load_revocations(n->ptn, list, env_wall(a)), TL_PTN_OK);
    }
    const char *hex;
    json_object_foreach (a->saved_roll, hex, list) {
        tl_cert cert;
        assert_int_equal(tl_cert_read(list, &cert), TL_PTN_OK);
        (void)tl_networks_keep(a->book, &cert); /* FOREIGN: it has left the network */
    }
    json_object_foreach (a->saved_left, hex, list) {
        tl_node_id id;
        assert_int_equal(tl_node_id_parse(tl_slice_str(hex), &id), TL_OK);
        tl_networks_load_left(a->book, lab(a), &id, json_integer_value(list));
    }
    json_decref(own);
    tl_networks_free(before);
    start(a);
    if (*a->saved_invite)
        assert_int_equal(tl_members_load_join(a->members, a->saved_invite, a->saved_name), TL_OK);
}

void scene_begin(size_t n)
{
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_true(n <= NODES_MAX);
    now = 1000 * TL_SEC;
    n_invites = 0;
    on_the_way = NULL;
    memset(linked, 0, sizeof linked);
    memset(invites, 0, sizeof invites);
    for (n_nodes = 0; n_nodes < n; n_nodes++) {
        node *a = nodes[n_nodes] = calloc(1, sizeof *a);
        a->nth = (int)n_nodes;
        a->rand = tl_rand_seeded(n_nodes + 1);
        assert_int_equal(tl_identity_new(&a->rand, &a->identity), TL_OK);
        assert_int_equal(tl_networks_new(&a->identity.id, &a->book), TL_OK);
        assert_int_equal(tl_reciprocity_new(&a->identity.id, &deeds_world, a, &a->deeds), TL_OK);
        start(a);
    }
}

void scene_end(void)
{
    for (size_t i = 0; i < n_nodes; i++)
        nodes[i]->disk_holds = false;
    settle();
    for (size_t i = 0; i < n_nodes; i++) {
        tl_members_free(nodes[i]->members);
        tl_reciprocity_free(nodes[i]->deeds);
        tl_networks_free(nodes[i]->book);
        json_decref(nodes[i]->saved_lists);
        json_decref(nodes[i]->saved_roll);
        json_decref(nodes[i]->saved_left);
        free(nodes[i]);
    }
    while (first)
        deliver(take());
    for (size_t i = 0; i < n_invites; i++)
        json_decref(invites[i].certificate);
    n_nodes = 0;
}

/* --- what tests do --- */

static void op_done(tl_members_op *op)
{
    ask *a = (ask *)op;
    assert_false(a->done);
    a->done = true;
}

tl_members_op *begin(ask *a)
{
    memset(a, 0, sizeof *a);
    a->op.on_done = op_done;
    return &a->op;
}

tl_membership *found_lab(void)
{
    ask a;
    tl_members_create(nodes[0]->members, begin(&a), "lab", false);
    settle();
    assert_true(a.done);
    assert_int_equal(a.op.refusal, 0);
    return lab(nodes[0]);
}

tl_membership *lab(const node *a)
{
    assert_int_equal(tl_networks_count(a->book), 1);
    return tl_networks_at(a->book, 0);
}

char *invite_by(node *a, tl_role role, int64_t valid_seconds)
{
    ask op;
    tl_buf text = {0};
    tl_invite invite = {
        .role = role, .expires_at = env_wall(a) + 3600, .valid_seconds = valid_seconds};
    tl_members_invite(a->members, begin(&op), lab(a), &invite, &text);
    settle();
    assert_true(op.done);
    assert_int_equal(op.op.refusal, 0);
    char *copy = strndup((char *)tl_buf_begin(&text), text.len);
    tl_buf_clear(&text);
    return copy;
}

tl_refusal join(node *a, const char *invite)
{
    ask op;
    tl_members_join(a->members, begin(&op), invite, "");
    settle();
    assert_true(op.done);
    return op.op.refusal;
}

void all_join(tl_role role)
{
    found_lab();
    for (size_t i = 1; i < n_nodes; i++) {
        char *invite = invite_by(nodes[0], role, 0);
        assert_int_equal(join(nodes[i], invite), 0);
        free(invite);
    }
}

bool may_serve(const node *asker, const node *server)
{
    tl_unix wall = NOW + (tl_unix)(now / TL_SEC) + asker->clock_off;
    return !tl_networks_may_serve(asker->book, &lab(asker)->id, &server->identity.id, wall);
}

bool may_ask(const node *server, const node *asker)
{
    tl_unix wall = NOW + (tl_unix)(now / TL_SEC) + server->clock_off;
    return !tl_networks_may_ask(server->book, &lab(server)->id, &asker->identity.id, wall);
}

size_t revoke(node *a, const node *who, tl_refusal want)
{
    ask op;
    tl_members_revoke(a->members, begin(&op), lab(a), &who->identity.id, false);
    settle();
    assert_true(op.done);
    assert_int_equal(op.op.refusal, want);
    return op.op.told;
}

bool is_out(const node *at, const node *who)
{
    return tl_ptn_is_revoked(lab(at)->ptn, &who->identity.id);
}

tl_unix wall(void)
{
    return NOW + (tl_unix)(scene_now() / TL_SEC);
}

tl_membership_state state_of(const node *a)
{
    return tl_membership_state_of(a->book, lab(a), wall());
}

tl_refusal promote(node *a, const node *who)
{
    ask op;
    tl_members_promote(a->members, begin(&op), lab(a), &who->identity.id);
    settle();
    assert_true(op.done);
    return op.op.refusal;
}
