#include "introducers_scene.h"

tl_rand rng;
tl_identity own;
tl_peer_table table;
tl_introducers *it;
introducer nodes[NODES];
tl_time now_at;
unsigned changed, strays;
tl_direct_self self;
tl_nat_facts facts;
tl_addr relay_addr, seen_as;

static tl_time env_now(void *user)
{
    (void)user;
    return now_at;
}

static tl_unix env_wall(void *user)
{
    (void)user;
    return WALL + (tl_unix)(now_at / TL_SEC);
}

static void env_wake(void *user)
{
    (void)user;
}

static const tl_direct_self *get_self(void *user)
{
    (void)user;
    return &self;
}

static size_t find(void *user, const char *hostport, tl_addr ret_addrs[2])
{
    (void)user, (void)hostport, (void)ret_addrs;
    return 0;
}

const uint8_t scene_mark[TL_CONTROL_NONCE_SIZE] = {[13] = 7, [14] = 8, [15] = 9};
static struct {
    int from; /* index + 1; 0: none */
    tl_control attached;
} answers[64];
static size_t n_answers;

static tl_err send_prefixed(void *user, tl_sock sock, const tl_addr *to, tl_slice prefix,
                            const uint8_t *data, size_t n, size_t segment)
{
    (void)user, (void)sock, (void)segment;
    tl_control c;
    assert_int_equal(prefix.n, 0);
    assert_int_equal(tl_control_parse(tl_slice_of(data, n), &c), TL_OK);
    assert_int_equal(tl_control_verify(&c, &own.id), TL_OK);
    for (int i = 0; i < NODES; i++) {
        introducer *x = &nodes[i];
        if (!tl_addr_eq(to, &x->addr))
            continue;
        if (c.type == TL_CONTROL_PUNCH_INTRO) {
            x->intros++;
            x->last_intro = c;
            return TL_OK;
        }
        assert_int_equal(c.type, TL_CONTROL_ATTACH);
        x->attaches++;
        x->last_attach = c;
        if (x->silent || n_answers == 64)
            return TL_OK;
        assert_true(tl_addr_eq(&c.addr, to));
        tl_control reply = {.type = TL_CONTROL_ATTACHED, .addr = seen_as};
        memcpy(reply.node, c.node, sizeof reply.node);
        memcpy(reply.nonce, c.nonce, sizeof reply.nonce);
        if (x->asks_for_proof)
            memcpy(reply.nonce + 13, scene_mark + 13, 3);
        if (!x->asks_unsigned || memcmp(c.nonce + 13, scene_mark + 13, 3) == 0)
            assert_int_equal(tl_control_sign(&reply, &x->identity), TL_OK);
        answers[n_answers].from = i + 1;
        answers[n_answers++].attached = reply;
        return TL_OK;
    }
    strays++;
    return TL_OK;
}

static bool is_relay(void *user, const tl_addr *addr)
{
    (void)user;
    return tl_addr_eq(addr, &relay_addr);
}

int trusted;

static bool is_ours(void *user, const tl_relayer_name *name)
{
    (void)user;
    return trusted >= 0 && tl_node_id_eq(&name->id, &nodes[trusted].identity.id);
}

static void on_changed(void *user)
{
    (void)user;
    changed++;
}

static const tl_peers_udp udp = {get_self, find, send_prefixed};

void run_for(tl_time span)
{
    for (tl_time until = now_at + span; now_at < until; now_at += 10 * TL_MS) {
        size_t n = n_answers;
        n_answers = 0;
        for (size_t i = 0; i < n; i++)
            (void)tl_introducers_on_attached(it, &nodes[answers[i].from - 1].addr,
                                             &answers[i].attached);
        tl_introducers_on_timer(it);
        assert_true(tl_introducers_expiry(it) > now_at);
    }
}

tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

tl_relayer_name name_of(int i)
{
    return (tl_relayer_name){nodes[i].identity.id, nodes[i].addr};
}

int introducers_setup(void **state)
{
    (void)state;
    rng = tl_rand_seeded(5);
    now_at = TL_SEC;
    changed = strays = 0;
    trusted = -1;
    n_answers = 0;
    memset(nodes, 0, sizeof nodes);
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &own), TL_OK);
    for (int i = 0; i < NODES; i++) {
        char text[32];
        snprintf(text, sizeof text, "198.18.%d.1:4000", i + 1);
        nodes[i].addr = addr_of(text);
        assert_int_equal(tl_identity_new(&rng, &nodes[i].identity), TL_OK);
    }
    relay_addr = addr_of("198.18.99.1:3478");
    seen_as = addr_of("198.18.77.1:5000");
    facts = (tl_nat_facts){.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT, .public4 = seen_as, .at = 1};
    self = (tl_direct_self){.sock4 = 1, .port = 4000, .facts = &facts};
    tl_introducers_config config = {.identity = &own,
                                    .rand = &rng,
                                    .table = &table,
                                    .udp = &udp,
                                    .env = {env_now, env_wall, env_wake, NULL},
                                    .is_relay = is_relay,
                                    .is_ours = is_ours,
                                    .on_changed = on_changed};
    assert_int_equal(tl_introducers_new(&config, &it), TL_OK);
    tl_introducers_set_published(it, true);
    return 0;
}

int introducers_teardown(void **state)
{
    (void)state;
    tl_introducers_free(it);
    tl_peer_table_clear(&table);
    return 0;
}

size_t attached(void)
{
    tl_introducer_facts all[TL_INTRODUCERS_MAX];
    return tl_introducers_attached(it, all);
}

void give(int from, int count)
{
    tl_relayer_name names[NODES];
    for (int i = 0; i < count; i++)
        names[i] = name_of(from + i);
    tl_introducers_give(it, names, (size_t)count);
}

tl_peer *peer_says(int i, const char *capabilities)
{
    tl_peer *p = tl_peer_table_get(&table, &nodes[i].identity.id);
    json_t *c = json_loads(capabilities, 0, NULL);
    assert_true(p && c);
    (void)tl_peer_describe(p, "x", c);
    json_decref(c);
    return p;
}
