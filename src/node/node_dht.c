/* This node in the DHT: makes the machine, hands it the port's datagrams and what is known of the network,
 * shows it the way in, and keeps its table over restarts. */
#include "node/beside.h"
#include "node/dht_state.h"
#include "node/reach.h"

#include "base/log.h"
#include "crypto/blake2s.h"

#include <stdlib.h>

#define FILE_NAME   "dht"
#define FILE_MAGIC  "TLDHT2\n"
#define FILE_SUM    4 /* bytes of the BLAKE2s of all behind it */
#define FILE_SEQ    (sizeof FILE_MAGIC + FILE_SUM)
#define FILE_HEAD   (FILE_SEQ + 8) /* the magic with its NUL, the sum, the seq; then the table */
#define FILE_MAX    (FILE_HEAD + TL_DHT_TABLE_BYTES_MAX)
#define SAVE_EVERY  (10 * TL_MIN)
#define SAVE_FIRST  (30 * TL_SEC) /* a node that runs for a minute is to come back faster, too */
#define DOORS_AGAIN (30 * TL_SEC) /* while the DHT is not entered; doubles up to: */
#define DOORS_MAX   (10 * TL_MIN)
#define SETTLE_IN   (5 * TL_SEC) /* a round of STUN takes less, or is of no use */
#define DHT_PORT    6881         /* where a setting names none */

static tl_time now_of(const tl_node_dht *d)
{
    return tl_loop_now(d->node->loop);
}

/* --- datagrams --- */

static void send_datagram(void *user, const tl_addr *to, tl_slice datagram)
{
    const tl_node *n = ((tl_node_dht *)user)->node;
    tl_sock sock =
        to->family == TL_ADDR_V4 ? tl_network_sock4(n->network) : tl_network_sock6(n->network);
    if (sock) /* what the kernel does not take is lost, as on any network */
        (void)!tl_network_send(n->network, sock, to, datagram.p, datagram.n, datagram.n);
}

static bool may_send(void *user, const tl_addr *to)
{
    return !tl_node_is_ours(((tl_node_dht *)user)->node, to);
}

/* What comes from a relay's address, some peer chose: no message of the DHT is taken from there. */
bool tl_node_dht_datagram(tl_node *n, const tl_addr *from, tl_slice datagram)
{
    if (!n->dht || tl_peers_is_relay(n->peers, from))
        return false;
    tl_dht_on_datagram(n->dht->core, from, datagram, now_of(n->dht), tl_loop_unix());
    tl_node_wake(n);
    return true;
}

/* --- the way in --- */

static void on_resolved(void *user, const tl_addr *addrs, size_t count, const char *why)
{
    tl_dht_door *door = user;
    tl_resolve_free(door->resolve);
    door->resolve = NULL;
    if (!count && !door->failed)
        tl_log(TL_LOG_INFO, "DHT: %s:%u: %s", door->host, door->port, why);
    door->failed = !count;
    door->n_addrs = count ? 0 : door->n_addrs;
    for (size_t i = 0; i < count; i++) {
        tl_addr addr = tl_addr_normal(addrs[i]);
        tl_dht_add_node(door->dht->core, &addr, now_of(door->dht));
        if (door->n_addrs < TL_DHT_DOOR_ADDRS_MAX)
            door->addrs[door->n_addrs++] = addr;
    }
    tl_node_wake(door->dht->node);
}

static void ask_doors(tl_node_dht *d)
{
    for (size_t i = 0; i < d->n_doors; i++) {
        tl_dht_door *door = &d->doors[i];
        if (!door->resolve && tl_resolve_start(d->node->loop, door->host, door->port, on_resolved,
                                               door, &door->resolve))
            door->resolve = NULL; /* no memory: it is tried again later */
    }
    d->doors_at = now_of(d) + d->doors_wait;
    d->doors_wait = tl_time_min(2 * d->doors_wait, DOORS_MAX);
}

static void set_doors(tl_node_dht *d)
{
    const tl_string_list *list = &d->node->settings.dht_bootstrap;
    for (size_t i = 0; i < list->n; i++) {
        tl_dht_door *door = &d->doors[d->n_doors];
        tl_addr addr;
        *door = (tl_dht_door){.dht = d};
        if (tl_hostport_parse(tl_slice_str(list->item[i]), DHT_PORT, door->host, &door->port))
            continue; /* the setting's rule lets none pass */
        d->n_doors++;
        d->on_loopback |=
            !tl_addr_parse_ip(tl_slice_str(door->host), &addr) && tl_addr_is_loopback(&addr);
    }
}

static bool is_ready(const tl_node_dht *d)
{
    tl_dht_report r;
    tl_dht_report_of(d->core, &r);
    return r.state == TL_DHT_READY;
}

bool tl_node_dht_is_ready(const tl_node *n)
{
    return n->dht && is_ready(n->dht);
}

void tl_node_dht_met(tl_node *n, const tl_addr *addr)
{
    if (n->dht && !is_ready(n->dht))
        tl_dht_add_node(n->dht->core, addr, now_of(n->dht));
}

bool tl_node_dht_on_loopback(const tl_node *n)
{
    return n->dht && n->dht->on_loopback;
}

/* --- over restarts --- */

static void sum_of(const uint8_t *file, size_t n, uint8_t ret_sum[TL_BLAKE2S_SIZE])
{
    tl_blake2s b;
    tl_blake2s_init(&b);
    tl_blake2s_update(&b, tl_slice_of(file + FILE_SEQ, n - FILE_SEQ));
    tl_blake2s_final(&b, ret_sum);
}

/* Whole, as it was written: it is not much, but a torn file must not set the seq. */
static bool is_whole(const uint8_t *file, size_t n)
{
    uint8_t sum[TL_BLAKE2S_SIZE];
    if (n < FILE_HEAD || memcmp(file, FILE_MAGIC, sizeof FILE_MAGIC) != 0)
        return false;
    sum_of(file, n, sum);
    return memcmp(file + sizeof FILE_MAGIC, sum, FILE_SUM) == 0;
}

static void save(tl_node_dht *d)
{
    char path[TL_BESIDE_PATH_MAX];
    uint8_t bytes[FILE_MAX], sum[TL_BLAKE2S_SIZE];
    d->save_at = now_of(d) + SAVE_EVERY;
    if (!tl_beside_path(d->node->port_file, FILE_NAME, path))
        return;
    memcpy(bytes, FILE_MAGIC, sizeof FILE_MAGIC);
    for (int i = 0; i < 8; i++)
        bytes[FILE_SEQ + i] = (uint8_t)((uint64_t)d->seq >> (56 - 8 * i));
    size_t len = FILE_HEAD + tl_dht_save(d->core, bytes + FILE_HEAD);
    sum_of(bytes, len, sum);
    memcpy(bytes + sizeof FILE_MAGIC, sum, FILE_SUM);
    tl_beside_write(path, tl_slice_of(bytes, len));
}

static void take_seq(tl_node_dht *d, const uint8_t bytes[8])
{
    uint64_t seq = 0;
    for (int i = 0; i < 8; i++)
        seq = seq << 8 | bytes[i];
    if (seq <= INT64_MAX && tl_dht_seq_may_be((int64_t)seq, tl_loop_unix()))
        d->seq = (int64_t)seq;
    else
        tl_log(TL_LOG_WARN,
               "DHT: the number of the last record in the file %s cannot be: the time is taken",
               FILE_NAME);
}

static void load(tl_node_dht *d)
{
    char path[TL_BESIDE_PATH_MAX];
    uint8_t *bytes;
    size_t len;
    if (!tl_beside_path(d->node->port_file, FILE_NAME, path) ||
        tl_beside_read(path, FILE_MAX, &bytes, &len))
        return;
    if (!is_whole(bytes, len) ||
        tl_dht_load(d->core, tl_slice_of(bytes + FILE_HEAD, len - FILE_HEAD), now_of(d)))
        tl_log(TL_LOG_WARN, "DHT: %s is not understood; the DHT is entered anew", path);
    else
        take_seq(d, bytes + FILE_SEQ);
    free(bytes);
}

void tl_node_save_dht(tl_node *n)
{
    if (n->dht)
        save(n->dht);
}

/* --- what is known of the network --- */

/* Strangers reach it, so it can be asked. */
static bool serves(const tl_node *n)
{
    tl_addr own[TL_DHT_RECORD_ADDRESSES_MAX];
    if (strcmp(n->settings.dht_serve, "auto") != 0)
        return !strcmp(n->settings.dht_serve, "on");
    return tl_dht_own_addresses(n, own) > 0;
}

static void tell_network(tl_node_dht *d)
{
    const tl_node *n = d->node;
    const tl_nat_facts *f = tl_network_facts(n->network);
    tl_time now = now_of(d);
    tl_dht_set_sockets(d->core, tl_network_sock4(n->network), tl_network_sock6(n->network), now);
    tl_dht_set_address(d->core, &f->public4, &f->public6, now);
    tl_dht_set_nat(d->core, tl_dht_own_nat(n));
    tl_dht_set_serving(d->core, serves(n));
    tl_dht_set_republish(d->core, n->settings.dht_republish_secs);
}

void tl_node_dht_network_changed(tl_node *n)
{
    if (!n->dht)
        return;
    tell_network(n->dht);
    tl_dht_follow(n->dht);
}

void tl_node_dht_announce(tl_node *n)
{
    tl_node_dht *d = n->dht;
    if (!d)
        return;
    tell_network(d);
    tl_dht_follow(d);
    tl_dht_network_changed(d->core, now_of(d));
    tl_node_wake(n);
}

void tl_node_dht_stale(tl_node *n)
{
    if (!n->dht)
        return;
    n->dht->look_at = now_of(n->dht);
    tl_node_wake(n);
}

bool tl_node_is_door(void *user, const tl_addr *addr)
{
    const tl_node_dht *d = ((const tl_node *)user)->dht;
    for (size_t i = 0; d && i < d->n_doors; i++)
        for (size_t k = 0; k < d->doors[i].n_addrs; k++)
            if (tl_addr_eq(&d->doors[i].addrs[k], addr))
                return true;
    return false;
}

bool tl_node_dht_rejoin(tl_node *n)
{
    tl_node_dht *d = n->dht;
    tl_dht_report r;
    if (!d)
        return false;
    tl_dht_report_of(d->core, &r);
    d->answers_seen = tl_dht_counters_of(d->core)->answers_in;
    d->doors_wait = DOORS_AGAIN;
    ask_doors(d);
    tl_dht_network_changed(d->core, now_of(d));
    tl_node_wake(n);
    return d->n_doors || r.nodes4 || r.nodes6;
}

bool tl_node_dht_joined(const tl_node *n)
{
    return n->dht && tl_dht_counters_of(n->dht->core)->answers_in > n->dht->answers_seen;
}

/* --- nodes that introduce --- */

static bool wants_introducers(void *user)
{
    const tl_introducers *own = tl_peers_introducers(((tl_node_dht *)user)->node->peers);
    return own && tl_introducers_wants(own);
}

static void on_introducer(void *user, const tl_addr *addr, const uint8_t key[32])
{
    tl_introducers *own = tl_peers_introducers(((tl_node_dht *)user)->node->peers);
    tl_relayer_name name = {.addr = *addr};
    if (own && !tl_node_id_from_bytes(key, &name.id))
        tl_introducers_found(own, &name);
}

/* --- life --- */

void tl_node_apply_dht(tl_node *n)
{
    tl_node_free_dht(n);
    if (!n->network || !n->settings.dht_enabled) {
        if (tl_peers_introducers(n->peers))
            tl_introducers_set_published(tl_peers_introducers(n->peers), false);
        return;
    }
    tl_node_dht *d = calloc(1, sizeof *d);
    if (!d) {
        tl_log(TL_LOG_ERROR, "out of memory: this node is not in the DHT");
        return;
    }
    d->node = n;
    d->doors_wait = DOORS_AGAIN;
    set_doors(d);
    tl_dht_config config = {.rand = &n->rand,
                            .env = &n->env,
                            .has4 = tl_network_sock4(n->network),
                            .has6 = tl_network_sock6(n->network),
                            .serves = serves(n),
                            .to_loopback = d->on_loopback,
                            .nat = tl_dht_own_nat(n),
                            .republish_secs = n->settings.dht_republish_secs,
                            .send = send_datagram,
                            .may_send = may_send,
                            .wants_introducers = wants_introducers,
                            .on_introducer = on_introducer,
                            .user = d};
    tl_err e = tl_dht_new(&config, now_of(d), &d->core);
    if (!e && (e = tl_dht_open_seek(d)))
        tl_dht_free(d->core);
    if (e) {
        free(d);
        tl_log(TL_LOG_ERROR, "out of memory: this node is not in the DHT");
        return;
    }
    n->dht = d;
    load(d);
    tell_network(d);
    d->settles_at = now_of(d) + SETTLE_IN;
    tl_dht_follow(d);
    ask_doors(d);
    d->save_at = now_of(d) + SAVE_FIRST;
    tl_node_wake(n);
}

void tl_node_free_dht(tl_node *n)
{
    tl_node_dht *d = n->dht;
    if (!d)
        return;
    save(d);
    tl_dht_end_looks(d);
    tl_dht_close_seek(d);
    for (size_t i = 0; i < d->n_doors; i++)
        tl_resolve_free(d->doors[i].resolve);
    tl_dht_free(d->core);
    free(d);
    n->dht = NULL;
}

tl_dht *tl_node_dht_core(const tl_node *n)
{
    return n->dht ? n->dht->core : NULL;
}

/* --- time --- */

/* The number of what was signed last is kept: the next run must not sign a lower one. */
static void note_seq(tl_node_dht *d, tl_time now)
{
    tl_dht_id target = tl_dht_record_target(&d->node->identity.id);
    tl_dht_kept kept;
    if (!tl_dht_kept_of(d->core, &target, &kept))
        return;
    if (kept.cannot_sign && !d->cannot_sign)
        tl_log(TL_LOG_ERROR, "DHT: this node's record cannot be signed: nothing is published");
    d->cannot_sign = kept.cannot_sign;
    if (kept.outdone > d->outdone)
        tl_node_keeping_doubt(d->node);
    d->outdone = kept.outdone;
    if (kept.seq <= d->seq)
        return;
    d->seq = kept.seq;
    d->save_at = now;
}

void tl_node_dht_on_timer(tl_node *n)
{
    tl_node_dht *d = n->dht;
    if (!d)
        return;
    tl_time now = now_of(d);
    tl_dht_on_timer(d->core, now, tl_loop_unix());
    if (now >= d->look_at)
        tl_dht_follow(d);
    note_seq(d, now);
    tl_dht_seek_on_timer(d, now);
    if (now >= d->doors_at) {
        d->doors_at = now + DOORS_MAX;
        if (!is_ready(d))
            ask_doors(d);
    }
    if (now >= d->save_at)
        save(d);
}

tl_time tl_node_dht_expiry(const tl_node *n)
{
    const tl_node_dht *d = n->dht;
    if (!d)
        return TL_NEVER;
    tl_time at = tl_time_min(tl_dht_expiry(d->core), tl_time_min(d->save_at, d->doors_at));
    return tl_time_min(at, tl_time_min(d->look_at, tl_dht_seek_expiry(d)));
}
