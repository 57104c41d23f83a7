/* bench_joins DIR [NODES]: so many nodes (1000) join at one admin, at once, each with an invite of its
 * own: the requests as they come over the control stream, the checks of their signatures, the new
 * certificates, and a real store in DIR, whose commits reach the disk before anybody is answered.
 * Without the connections themselves. Prints one `name: value unit` a line. */
#include "members/members.h"
#include "store/networks.h"
#include "wire/cluster.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NODES_MAX 4000

static struct {
    tl_identity identity;
    char *invite;
} nodes[NODES_MAX];
static size_t n_nodes = 1000, joined, refused;

static tl_identity self;
static tl_networks *book;
static tl_members *members;
static tl_store *store;
static int bell[2]; /* the store's thread rings */

static void must(bool so, const char *what)
{
    if (!so) {
        fprintf(stderr, "bench_joins: %s\n", what);
        exit(1);
    }
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the world --- */

static tl_time now(void *user)
{
    (void)user;
    return (tl_time)(seconds_of(CLOCK_MONOTONIC) * 1e9);
}

static tl_unix wall(void *user)
{
    (void)user;
    return time(NULL);
}

static void wake(void *user)
{
    (void)user;
}

/* As the connection does it: the payload becomes text. */
static tl_err tell(void *user, const tl_node_id *peer, const char *name, json_t *payload)
{
    (void)user, (void)peer;
    tl_buf text = {0};
    must(!tl_json_write(&text, payload), "memory");
    tl_buf_clear(&text);
    joined += strcmp(name, "ptnJoined") == 0;
    refused += strcmp(name, "ptnRefused") == 0;
    return TL_OK;
}

static void connect_to(void *user, const tl_node_id *peer)
{
    (void)user, (void)peer;
}

static bool claims(void *user, const tl_node_id *peer, const tl_membership *n)
{
    (void)user, (void)peer, (void)n;
    return false;
}

static size_t present(void *user, const tl_membership *n, tl_node_id *ret, size_t max)
{
    (void)user, (void)n, (void)ret, (void)max;
    return 0;
}

static void on_done(void *user, tl_err e, const char *why)
{
    tl_members_stored *s = user;
    (void)why;
    if (s)
        s->on_stored(s, e);
}

static void save_network(void *user, const tl_membership *n, tl_members_stored *s)
{
    (void)user;
    char *own = n->certificate ? json_dumps(n->certificate, JSON_COMPACT) : NULL;
    tl_network_row row = {.network = n->id,
                          .certificate = own,
                          .ca_seed = n->has_ca ? n->ca.seed : NULL,
                          .at = wall(NULL)};
    snprintf(row.name, sizeof row.name, "%s", n->name);
    must(!tl_store_put_network(store, &row, on_done, s), "the store");
    free(own);
}

static void save_objects(void *user, const tl_membership *n, tl_members_stored *s)
{
    (void)user, (void)n;
    must(!tl_store_put_objects(store, &n->id, TL_OBJECTS_REVOCATIONS, "[]", on_done, s),
         "the store");
}

static void save_invite(void *user, const tl_invite *invite, tl_members_stored *s)
{
    (void)user;
    tl_invite_row row = {
        .network = invite->network, .role = invite->role, .expires_at = invite->expires_at};
    memcpy(row.nonce, invite->nonce, sizeof row.nonce);
    must(!tl_store_put_invite(store, &row, wall(NULL), on_done, s), "the store");
}

static void on_spent(void *user, tl_err e, const char *certificate, const char *why)
{
    tl_members_spend *spend = user;
    (void)why;
    if (!e)
        must(!tl_json_parse(tl_slice_str(certificate), 16, &spend->ret_certificate, NULL), "JSON");
    spend->stored.on_stored(&spend->stored, e);
}

static void spend_invite(void *user, tl_members_spend *spend)
{
    (void)user;
    char *text = json_dumps(spend->certificate, JSON_COMPACT);
    const tl_member_row row = {.network = spend->network,
                               .node = spend->node,
                               .certificate = text,
                               .name = "",
                               .last_seen = wall(NULL)};
    must(!tl_store_spend_invite(store, spend->nonce, &row, on_spent, spend), "the store");
    free(text);
}

static void save_member(void *user, const tl_node_id *network, const tl_node_id *node,
                        const json_t *certificate, tl_unix last_seen, tl_members_stored *s)
{
    (void)user, (void)network, (void)node, (void)certificate, (void)last_seen;
    if (s)
        s->on_stored(s, TL_OK);
}

static void save_seen(void *user, const tl_node_id *network, const tl_node_id *node,
                      tl_unix last_seen)
{
    (void)user, (void)network, (void)node, (void)last_seen;
}

static void on_event(void *user, const tl_membership *n, const tl_node_id *node,
                     tl_membership_event e)
{
    (void)user, (void)n, (void)node, (void)e;
}

static const tl_members_world world = {.tell = tell,
                                       .connect = connect_to,
                                       .claims = claims,
                                       .present = present,
                                       .save_network = save_network,
                                       .save_objects = save_objects,
                                       .save_invite = save_invite,
                                       .spend_invite = spend_invite,
                                       .save_member = save_member,
                                       .save_seen = save_seen,
                                       .on_event = on_event};

static void ring(void *user)
{
    (void)user;
    must(write(bell[1], "x", 1) == 1, "a pipe");
}

/* What the node's loop does when the store's thread has rung; for at most a while. */
static void hear(int ms)
{
    char rings[256];
    struct pollfd p = {.fd = bell[0], .events = POLLIN};
    if (poll(&p, 1, ms) > 0)
        must(read(bell[0], rings, sizeof rings) > 0, "a pipe");
    tl_store_collect(store);
}

/* --- the joins --- */

static void op_done(tl_members_op *op)
{
    must(op->refusal == 0, op->words);
}

static tl_membership *found(void)
{
    static tl_members_op op = {.on_done = op_done};
    tl_membership *n[2];
    tl_members_create(members, &op, "lab", false);
    while (tl_networks_find(book, TL_SLICE_LIT("lab"), n) != 1 || !n[0]->certificate)
        hear(100);
    return n[0];
}

static void make_invites(tl_membership *lab)
{
    static tl_members_op ops[NODES_MAX];
    tl_rand rand = tl_rand_seeded(3);
    for (size_t i = 0; i < n_nodes; i++) {
        tl_invite invite = {.role = TL_ROLE_CONSUMER, .expires_at = wall(NULL) + 3600};
        tl_buf text = {0};
        ops[i].on_done = op_done;
        must(!tl_identity_new(&rand, &nodes[i].identity), "a key");
        tl_members_invite(members, &ops[i], lab, &invite, &text);
        nodes[i].invite = strndup((const char *)tl_buf_begin(&text), text.len);
        tl_buf_clear(&text);
        tl_store_collect(store);
    }
    while (!tl_store_is_idle(store))
        hear(100);
}

static void join_all(void)
{
    static json_t *requests[NODES_MAX];
    for (size_t i = 0; i < n_nodes; i++)
        must(!tl_authority_write_join(&nodes[i].identity, nodes[i].invite, &requests[i]), "memory");
    double begun = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < n_nodes; i++) {
        tl_members_on_hello(members, &nodes[i].identity.id);
        tl_members_on_told(members, &nodes[i].identity.id, "ptnJoin", requests[i]);
        hear(0);
    }
    while (joined + refused < n_nodes)
        hear(100);
    double took = seconds_of(CLOCK_MONOTONIC) - begun;
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    must(joined == n_nodes, "not all joined");
    printf("%zu nodes join at one admin: %.2f s\n", n_nodes, took);
    printf("processor time of one join: %.0f us\n", cpu / (double)n_nodes * 1e6);
    for (size_t i = 0; i < n_nodes; i++)
        json_decref(requests[i]);
}

int main(int argc, char **argv)
{
    char path[1024];
    tl_why why;
    tl_rand rand = tl_rand_system();
    tl_store_config config = tl_store_config_default();
    if (argc > 2)
        n_nodes = strtoul(argv[2], NULL, 10);
    if (argc < 2 || argc > 3 || n_nodes < 1 || n_nodes > NODES_MAX) {
        fprintf(stderr, "usage: bench_joins DIR [NODES]\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/teale.db", argv[1]);
    config.wake = ring;
    must(!tl_crypto_init() && !pipe(bell) && !tl_identity_new(&rand, &self), "keys");
    must(!tl_networks_new(&self.id, &book), "memory");
    if (tl_store_open(path, &config, &store, &why))
        must(false, why.text);
    const tl_members_config c = {.identity = &self,
                                 .rand = &rand,
                                 .book = book,
                                 .world = &world,
                                 .env = {.now = now, .wall = wall, .wake = wake}};
    must(!tl_members_new(&c, &members), "memory");
    make_invites(found());
    join_all();
    tl_store_close(store);
    tl_members_free(members);
    tl_networks_free(book);
    for (size_t i = 0; i < n_nodes; i++)
        free(nodes[i].invite);
    return 0;
}
