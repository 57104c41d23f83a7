/* A node that introduces others, four nodes and strangers that write to it, and one node that lets itself be
 * introduced by it (direct/). Each step of the input is: what (1 byte), who (1 byte), how long (1 byte), the bytes. */
#include "direct/direct.h"
#include "relay/introducer.h"

#include <stdlib.h>

#define WALL  1790000000
#define NODES 4
#define SELF  3 /* of the nodes: its datagrams go to `direct` */

typedef struct {
    tl_attached *attached;
    tl_introducer *i;
    tl_direct *direct;
    tl_direct_self own;
    tl_nat_facts facts;
    tl_rand rand;
    tl_identity carol, id[NODES];
    tl_time now;
    uint64_t sent; /* by direct */
    tl_path_id next_path;
    tl_control last; /* PunchIntro that was made */
} scene;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static tl_addr address(uint8_t who)
{
    return (tl_addr){
        .family = TL_ADDR_V4, .port = 1000, .bytes = {198, 18, 0, (uint8_t)(10 + who % 8)}};
}

/* --- what both ask --- */

static bool admits(void *user, const tl_node_id *node)
{
    (void)user;
    return node->key[0] != 0x55;
}

static bool is_ours(void *user, const tl_addr *addr)
{
    (void)user;
    return addr->bytes[3] == 17; /* the last of them is a relay of ours */
}

static bool find(void *user, const tl_node_id *node, tl_burst_way *ret_way)
{
    scene *s = user;
    *ret_way = (tl_burst_way){.remote = address(2)};
    return tl_node_id_eq(node, &s->id[2].id);
}

static const tl_direct_self *self(void *user)
{
    return &((scene *)user)->own;
}

static tl_err no_signal(void *user, tl_signal_type type, const json_t *payload)
{
    (void)user, (void)type, (void)payload;
    return TL_ERR_CLOSED;
}

static tl_err send_datagram(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data,
                            size_t n, size_t segment)
{
    scene *s = user;
    (void)sock, (void)data, (void)segment;
    check(n <= TL_CONTROL_MAX && to->port);
    s->sent++;
    return TL_OK;
}

static size_t open_sockets(void *user, tl_sock *ret_socks, size_t n)
{
    (void)user, (void)ret_socks, (void)n;
    return 0;
}

static void close_socket(void *user, tl_sock sock)
{
    (void)user, (void)sock;
}

static bool welcome(void *user, const tl_node_id *peer)
{
    (void)user, (void)peer;
    return true;
}

static tl_path_id new_path(void *user, const tl_node_id *peer)
{
    (void)peer;
    return ++((scene *)user)->next_path;
}

static void free_path(void *user, tl_path_id path)
{
    (void)user, (void)path;
}

static bool introduce(void *user, const tl_node_id *peer,
                      const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth)
{
    scene *s = user;
    check(nth < TL_DIRECT_INTRODUCTIONS);
    s->last = (tl_control){.type = TL_CONTROL_PUNCH_INTRO, .addr = address(SELF)};
    memcpy(s->last.initiator, s->id[SELF].id.key, sizeof s->last.initiator);
    memcpy(s->last.introducer, s->carol.id.key, sizeof s->last.introducer);
    memcpy(s->last.target, peer->key, sizeof s->last.target);
    memcpy(s->last.nonce, nonce, sizeof s->last.nonce);
    return true;
}

static bool is_introducer(void *user, const tl_node_id *node, const tl_addr *from,
                          tl_addr *ret_seen)
{
    const scene *s = user;
    *ret_seen = address(SELF);
    return tl_node_id_eq(node, &s->carol.id) && from->bytes[3] == 10;
}

static tl_time env_now(void *user)
{
    return ((scene *)user)->now;
}

static tl_unix wall_of(const scene *s)
{
    return WALL + (tl_unix)(s->now / TL_SEC);
}

static tl_unix env_wall(void *user)
{
    return wall_of(user);
}

static void env_wake(void *user)
{
    (void)user;
}

/* --- steps --- */

/* To the introducer, and what it sends on to the node `SELF`, or straight to that. */
static void write_control(scene *s, uint8_t what, uint8_t who, const uint8_t *bytes, size_t n)
{
    tl_burst_way way = {.remote = address(who), .local = address(0)};
    tl_introducer_output out;
    tl_slice datagram = tl_slice_of(bytes, n);
    if (what & 8) {
        tl_addr from = address(what & 16 ? 0 : who);
        (void)tl_direct_on_control(s->direct, 1, &from, datagram);
        return;
    }
    (void)tl_introducer_on_control(s->i, &way, datagram, s->now, wall_of(s), &out);
    check(out.n <= n);
    check(!out.n || (out.way.remote.bytes[3] != 17 && out.bytes[0] == TL_CONTROL_FIRST_BYTE));
    if (out.n && out.way.remote.bytes[3] == 10 + SELF) {
        tl_addr from = address(0);
        (void)tl_direct_on_control(s->direct, 1, &from, tl_slice_of(out.bytes, out.n));
    }
}

/* A good Attach, PunchIntro or PunchReady with some bytes of it changed. */
static void write_good(scene *s, uint8_t what, uint8_t who, const uint8_t *more, size_t n)
{
    uint8_t bytes[TL_CONTROL_MAX];
    const tl_identity *a = &s->id[who % NODES], *b = &s->id[who / NODES % NODES];
    tl_control c = {
        .timestamp = (uint64_t)wall_of(s), .addr = address(who), .pad_n = TL_CONTROL_INTRO_PAD};
    if (what & 4) {
        c.type = what & 32 ? TL_CONTROL_PUNCH_READY : TL_CONTROL_PUNCH_INTRO;
        memcpy(c.initiator, a->id.key, sizeof c.initiator);
        memcpy(c.introducer, what & 64 ? b->id.key : s->carol.id.key, sizeof c.introducer);
        memcpy(c.target, b->id.key, sizeof c.target);
        if (what & 128) /* of the introduction that was asked for last */
            c = s->last;
        else
            tl_rand_bytes(&s->rand, c.nonce, sizeof c.nonce);
        c.timestamp = (uint64_t)wall_of(s);
        c.pad_n = TL_CONTROL_INTRO_PAD;
        if (what & 128)
            c.type = what & 32 ? TL_CONTROL_PUNCH_READY : TL_CONTROL_PUNCH_INTRO;
        if (!(what & 128) && !(what & 32))
            s->last = c;
        check(c.type == TL_CONTROL_PUNCH_READY || c.type == TL_CONTROL_PUNCH_INTRO);
    } else {
        c.type = TL_CONTROL_ATTACH;
        c.addr = (tl_addr){.family = TL_ADDR_V4, .bytes = {198, 18, 0, 1}, .port = 4433};
        memcpy(c.introducer, s->carol.id.key, sizeof c.introducer);
        memcpy(c.node, a->id.key, sizeof c.node);
        tl_rand_bytes(&s->rand, c.nonce, sizeof c.nonce);
    }
    if (!c.addr.port)
        c.addr = address(who);
    check(tl_control_sign(&c, c.type == TL_CONTROL_PUNCH_READY ? b : a) == TL_OK);
    size_t size = tl_control_write(&c, bytes);
    if ((what & 24) == 24 && c.type == TL_CONTROL_PUNCH_INTRO)
        bytes[1] = TL_CONTROL_PUNCH_REQUEST;
    for (size_t i = 0; i + 1 < n; i += 2) /* where, and what to do there */
        bytes[((size_t)more[i] * 5) % size] ^= more[i + 1];
    write_control(s, what, who & 7, bytes, size);
}

static void step(scene *s, uint8_t what, uint8_t who, const uint8_t *bytes, size_t n)
{
    uint8_t copy[256];
    switch (what & 3) {
    case 0:
        memcpy(copy, bytes, n);
        if (n > 1)
            copy[0] = TL_CONTROL_FIRST_BYTE;
        write_control(s, what, who, copy, n);
        break;
    case 1: write_good(s, what, who, bytes, n); break;
    case 2:
        if (what & 4)
            tl_direct_want(s->direct, &s->id[who % SELF].id);
        else
            tl_direct_hurry(s->direct, &s->id[who % SELF].id);
        break;
    default:
        s->now += (tl_time)who * (what & 4 ? 10 * TL_SEC : 10 * TL_MS);
        tl_introducer_on_timer(s->i, s->now);
        tl_direct_on_timer(s->direct);
        tl_introducer_set_serving(s->i, !(what & 8));
        if (what & 16)
            tl_attached_review(s->attached, s->now);
        check(tl_introducer_expiry(s->i) > s->now);
        break;
    }
    const tl_attached_counters *a = tl_attached_counters_of(s->attached);
    check(a->attached <= NODES && a->unproven <= a->attached);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const tl_attached_world attached_world = {admits, is_ours, find};
    static const tl_direct_world direct_world = {
        self,    no_signal, send_datagram, open_sockets, close_socket,
        welcome, new_path,  free_path,     introduce,    is_introducer};
    scene s = {.rand = tl_rand_seeded(3), .now = 1000 * TL_SEC};
    tl_addr v4 = address(0), none = {0};
    check(tl_crypto_init() == TL_OK && tl_identity_new(&s.rand, &s.carol) == TL_OK);
    for (int i = 0; i < NODES; i++)
        check(tl_identity_new(&s.rand, &s.id[i]) == TL_OK);
    s.facts = (tl_nat_facts){.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT, .public4 = address(SELF)};
    s.own = (tl_direct_self){.sock4 = 1, .port = 1000, .facts = &s.facts, .keepalive = TL_SEC};
    tl_env env = {env_now, env_wall, env_wake, &s};
    check(tl_attached_new(&s.carol, &attached_world, &s, &s.rand, s.now, &s.attached) == TL_OK);
    check(tl_introducer_new(&s.carol, s.attached, &s.i) == TL_OK);
    check(tl_direct_new(&s.id[SELF], &s.rand, &env, &direct_world, &s, &s.direct) == TL_OK);
    tl_attached_set_address(s.attached, &v4, &none);
    tl_introducer_set_serving(s.i, true);
    while (n >= 3) {
        size_t k = data[2] < n - 3 ? data[2] : n - 3;
        step(&s, data[0], data[1], data + 3, k);
        data += 3 + k;
        n -= 3 + k;
    }
    const tl_direct_counters *c = tl_direct_counters_of(s.direct);
    uint64_t mine = c->intros_out, theirs = c->intros_in[TL_DIRECT_INTRO_TAKEN];
    /* Each of theirs: a PunchReady to either side, and checks; each of ours: checks of two addresses. */
    check(s.sent <= 6 * theirs + 2 * TL_CHECKS_UNHEARD_MAX * mine);
    tl_direct_free(s.direct);
    tl_introducer_free(s.i);
    tl_attached_free(s.attached);
    return 0;
}
