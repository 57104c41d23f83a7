#include "introduced_scene.h"

#define STEP (5 * TL_MS)
#define WALL 1800000000

end ends[ENDS];
tl_identity introducer;
tl_identity introducer2;
tl_addr dave;
tl_addr carol, victim;
parcel queue[QUEUE_N];
size_t queued, to_victim, bytes_to_victim, to_dave;
tl_time now;
bool wire_cut, carol_gone, refuse, greet;
const tl_node_id *known;
const tl_addr *proven;
tl_control last_intro;

static tl_time env_now(void *user)
{
    (void)user;
    return now;
}

tl_unix env_wall(void *user)
{
    (void)user;
    return WALL + (tl_unix)(now / TL_SEC);
}

static void env_wake(void *user)
{
    (void)user;
}

static void post(int to, const tl_addr *source, const void *bytes, size_t n)
{
    assert_true(queued < QUEUE_N && n <= sizeof queue[0].bytes);
    parcel *p = &queue[queued++];
    *p = (parcel){.to = to, .n = n, .source = *source};
    memcpy(p->bytes, bytes, n);
}

static const tl_direct_self *self(void *user)
{
    return &((end *)user)->self;
}

static tl_err no_signal(void *user, tl_signal_type type, const json_t *payload)
{
    (void)user, (void)type, (void)payload;
    return TL_ERR_CLOSED;
}

static tl_err send_datagram(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data,
                            size_t n, size_t segment)
{
    const end *e = user;
    (void)sock, (void)segment;
    to_victim += tl_addr_eq(to, &victim);
    bytes_to_victim += tl_addr_eq(to, &victim) ? n + 28 : 0;
    to_dave += tl_addr_eq(to, &dave);
    for (int i = 0; i < ENDS && !wire_cut; i++)
        if (tl_addr_eq(to, &ends[i].addr))
            post(i, &e->addr, data, n);
    if (tl_addr_eq(to, &carol))
        post(ENDS, &e->addr, data, n);
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
    return !refuse;
}

static tl_path_id new_path(void *user, const tl_node_id *peer)
{
    (void)peer;
    return ++((end *)user)->next_path;
}

static void free_path(void *user, tl_path_id path)
{
    (void)user, (void)path;
}

void sign(tl_control *c, const tl_identity *signer)
{
    assert_int_equal(tl_control_sign(c, signer), TL_OK);
}

tl_control intro_of(const end *from, const uint8_t *introducer_key, const tl_node_id *target,
                    const uint8_t *nonce)
{
    tl_control c = {.type = TL_CONTROL_PUNCH_INTRO,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .addr = from->addr,
                    .nat = tl_control_nat_named(tl_nat_tesseras_type(&from->facts)),
                    .timestamp = (uint64_t)env_wall(NULL)};
    memcpy(c.initiator, from->identity.id.key, sizeof c.initiator);
    memcpy(c.introducer, introducer_key, sizeof c.introducer);
    memcpy(c.target, target->key, sizeof c.target);
    memcpy(c.nonce, nonce, sizeof c.nonce);
    sign(&c, &from->identity);
    return c;
}

static void post_control(int to, const tl_addr *source, const tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    post(to, source, bytes, tl_control_write(c, bytes));
}

static bool introduce(void *user, const tl_node_id *peer,
                      const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth)
{
    end *e = user;
    assert_int_equal(nth, e->asked % TL_DIRECT_INTRODUCTIONS);
    if (e->alone)
        return false;
    e->asked++;
    if (e->introduces) {
        tl_control c = intro_of(e, e->identity.id.key, peer, nonce);
        c.type = TL_CONTROL_PUNCH_REQUEST;
        post_control(e == &ends[A] ? B : A, &e->addr, &c);
        return true;
    }
    tl_control c = intro_of(e, introducer.id.key, peer, nonce);
    post_control(ENDS, &e->addr, &c);
    return true;
}

static bool is_introducer(void *user, const tl_node_id *node, const tl_addr *from,
                          tl_addr *ret_seen)
{
    *ret_seen = ((end *)user)->addr;
    for (int i = 0; i < ENDS; i++)
        if (ends[i].introduces && tl_node_id_eq(node, &ends[i].identity.id))
            return tl_addr_eq(from, &ends[i].addr);
    return (tl_node_id_eq(node, &introducer.id) && tl_addr_eq(from, &carol)) ||
           (tl_node_id_eq(node, &introducer2.id) && tl_addr_eq(from, &dave));
}

static bool greets(void *user)
{
    (void)user;
    return greet;
}

static bool knows(void *user, const tl_node_id *node)
{
    (void)user;
    return known && tl_node_id_eq(node, known);
}

static bool vouches(void *user, const tl_node_id *node, const tl_addr *from)
{
    (void)user, (void)node;
    return proven && tl_addr_eq(from, proven);
}

static const tl_direct_world world = {
    self,      no_signal, send_datagram, open_sockets, close_socket, welcome, new_path,
    free_path, introduce, is_introducer, greets,       knows,        vouches};

/* The introducer hands the PunchIntro on to the other, and the PunchReady back. */
static void at_carol(const parcel *p)
{
    tl_control c;
    if (carol_gone || tl_control_parse(tl_slice_of(p->bytes, p->n), &c))
        return;
    const uint8_t *to = c.type == TL_CONTROL_PUNCH_INTRO ? c.target : c.initiator;
    if (c.type == TL_CONTROL_PUNCH_INTRO) {
        c.type = TL_CONTROL_PUNCH_REQUEST;
        last_intro = c;
    }
    for (int i = 0; i < ENDS; i++)
        if (memcmp(to, ends[i].identity.id.key, sizeof c.target) == 0)
            post_control(i, &carol, &c);
}

void deliver(void)
{
    static parcel now_due[QUEUE_N];
    size_t n = queued;
    memcpy(now_due, queue, n * sizeof *queue);
    queued = 0;
    for (size_t i = 0; i < n; i++) {
        const parcel *p = &now_due[i];
        tl_slice bytes = tl_slice_of(p->bytes, p->n);
        tl_stun stun;
        if (p->to == ENDS)
            at_carol(p);
        else if (tl_control_is(bytes))
            assert_true(tl_direct_on_control(ends[p->to].direct, 1, &p->source, bytes));
        else if (!tl_stun_read(bytes, &stun))
            tl_direct_on_stun(ends[p->to].direct, 1, &p->source, bytes, &stun);
    }
}

void run_for(tl_time span)
{
    tl_direct_event ev;
    for (tl_time until = now + span; now < until; now += STEP) {
        deliver();
        for (int i = 0; i < ENDS; i++) {
            tl_direct_on_timer(ends[i].direct);
            while (tl_direct_next_event(ends[i].direct, &ev))
                ;
        }
    }
}

tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

int introduced_setup(void **state)
{
    static const char *const at[] = {"45.13.1.2:4000", "45.13.2.2:4000"};
    tl_rand rand = tl_rand_seeded(9);
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rand, &introducer), TL_OK);
    assert_int_equal(tl_identity_new(&rand, &introducer2), TL_OK);
    dave = addr_of("45.13.8.8:4000");
    carol = addr_of("45.13.9.9:4000");
    victim = addr_of("45.13.66.6:4000");
    now = TL_SEC;
    wire_cut = carol_gone = refuse = greet = false;
    known = NULL;
    proven = NULL;
    to_victim = bytes_to_victim = to_dave = 0;
    for (int i = 0; i < ENDS; i++) {
        end *e = &ends[i];
        *e = (end){.rand = tl_rand_seeded((uint64_t)i + 1), .addr = addr_of(at[i])};
        assert_int_equal(tl_identity_new(&e->rand, &e->identity), TL_OK);
        e->facts = (tl_nat_facts){.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT, .public4 = e->addr};
        e->self = (tl_direct_self){
            .sock4 = 1, .port = 4000, .facts = &e->facts, .keepalive = 25 * TL_SEC};
        tl_env env = {env_now, env_wall, env_wake, e};
        assert_int_equal(tl_direct_new(&e->identity, &e->rand, &env, &world, e, &e->direct), TL_OK);
    }
    return 0;
}

int introduced_teardown(void **state)
{
    (void)state;
    queued = 0; /* parcels own nothing */
    for (int i = 0; i < ENDS; i++)
        tl_direct_free(ends[i].direct);
    return 0;
}

size_t ways(int i)
{
    tl_direct_way list[TL_DIRECT_WAYS_MAX];
    return tl_direct_ways(ends[i].direct, &ends[!i].identity.id, list);
}

tl_direct_state state_of(int i)
{
    tl_direct_report r;
    assert_true(tl_direct_report_of(ends[i].direct, &ends[!i].identity.id, &r));
    return r.state;
}

void want(int i)
{
    tl_direct_want(ends[i].direct, &ends[!i].identity.id);
}

uint64_t requests(int i, tl_direct_intro_result result)
{
    return tl_direct_counters_of(ends[i].direct)->intros_in[result];
}

uint64_t readies(int i, tl_direct_intro_result result)
{
    return tl_direct_counters_of(ends[i].direct)->readies_in[result];
}

tl_direct_intro_result give(int to, const tl_addr *from, const tl_control *c)
{
    uint64_t before[TL_DIRECT_INTRO_RESULTS];
    uint8_t bytes[TL_CONTROL_MAX];
    const tl_direct_counters *n = tl_direct_counters_of(ends[to].direct);
    const uint64_t *after = c->type == TL_CONTROL_PUNCH_READY ? n->readies_in : n->intros_in;
    memcpy(before, after, sizeof before);
    size_t len = tl_control_write(c, bytes);
    assert_true(tl_direct_on_control(ends[to].direct, 1, from, tl_slice_of(bytes, len)));
    for (int i = 0; i < TL_DIRECT_INTRO_RESULTS; i++)
        if (after[i] != before[i])
            return (tl_direct_intro_result)i;
    fail();
    return TL_DIRECT_INTRO_RESULTS;
}

tl_control request(void)
{
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    tl_rand_bytes(&ends[A].rand, nonce, sizeof nonce);
    tl_control c = intro_of(&ends[A], introducer.id.key, &ends[B].identity.id, nonce);
    c.type = TL_CONTROL_PUNCH_REQUEST;
    return c;
}
