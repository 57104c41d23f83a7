/* What this node relays for others: hands the UDP port's datagrams to relay/peerrelay, tells it who is
 * who, and tells others where it serves. */
#include "node/accounts.h"
#include "node/reach.h"
#include "node/relaying_state.h"

#include "base/log.h"

#include <stdlib.h>

#define REVIEW_EVERY    (10 * TL_SEC) /* certificates end, and who is reciprocal changes */
#define LOOK_EVERY      (1 * TL_SEC)  /* at what is known of the NAT, which may change */
#define TELL_FREE_EVERY (30 * TL_SEC) /* the number of free relay sessions, in capabilities */
#define LEAVE_FOR       (2 * TL_SEC)  /* the time for both sides to find another way */

/* --- what peerrelay asks --- */

static bool share_a_network(const tl_node *n, const tl_node_id *a, const tl_node_id *b)
{
    for (size_t i = 0; i < tl_networks_count(n->book); i++) {
        const tl_node_id *network = &tl_networks_at(n->book, i)->id;
        if (tl_access_is_member_of(&n->access, a, network) &&
            tl_access_is_member_of(&n->access, b, network))
            return true;
    }
    return false;
}

static bool serves(void *user, const tl_node_id *a, const tl_node_id *b)
{
    const tl_node *n = user;
    return !strcmp(n->settings.nat_relay_for, "any") || share_a_network(n, a, b);
}

bool tl_node_relays_for(const tl_node *n, const tl_node_id *node)
{
    return n->relaying && n->relaying->now.state == TL_RELAYING_SERVING &&
           (!strcmp(n->settings.nat_relay_for, "any") || tl_access_is_member(&n->access, node));
}

static bool is_reciprocal(void *user, const tl_node_id *node)
{
    return tl_node_is_reciprocal(user, node);
}

static const tl_peerrelay_world world = {serves, is_reciprocal, tl_node_is_ours};

static void judge(const tl_node *n, tl_relaying *ret_relaying);
static void follow(const tl_node *n);

/* --- life --- */

static tl_relay_limits limits_of(const tl_settings *s)
{
    return (tl_relay_limits){.max_sessions = s->nat_relay_max_sessions,
                             .reciprocal_kbps = s->nat_relay_reciprocal_kbps,
                             .bootstrap_kbps = s->nat_relay_bootstrap_kbps,
                             .idle_timeout = s->nat_relay_idle_timeout_secs * TL_SEC,
                             .session_max = s->nat_relay_session_max_secs * TL_SEC,
                             .session_warn = s->nat_relay_session_warn_secs * TL_SEC,
                             .pause = s->nat_relay_pause_secs * TL_SEC,
                             .burst = s->nat_relay_burst_ms * TL_MS};
}

static tl_time now_of(const tl_node *n)
{
    return tl_loop_now(n->loop);
}

static void flush(const tl_node *n)
{
    tl_peerrelay *core = n->relaying ? n->relaying->core : NULL;
    if (!core || !n->network || !tl_peerrelay_bursts(core)->n)
        return;
    tl_network_send_bursts(n->network, tl_peerrelay_bursts(core));
    tl_peerrelay_sent(core);
}

void tl_node_apply_relaying(tl_node *n)
{
    tl_node_free_relaying(n);
    tl_node_follow_relaying(n);
    if (!n->settings.nat_relay_enabled || !n->introducing)
        return;
    tl_peerrelay_config config = {
        .identity = &n->identity,
        .attached = tl_node_attached(n),
        .limits = limits_of(&n->settings),
        .port4 = tl_network_sock4(n->network) ? tl_network_port(n->network) : 0,
        .port6 = tl_network_sock6(n->network) ? tl_network_port(n->network) : 0};
    tl_node_relaying *r = calloc(1, sizeof *r);
    if (!r || tl_peerrelay_new(&config, &world, n, &n->rand, now_of(n), &r->core)) {
        free(r);
        tl_log(TL_LOG_ERROR, "out of memory: nothing is relayed for others");
        return;
    }
    n->relaying = r;
    follow(n);
}

void tl_node_free_relaying(tl_node *n)
{
    if (!n->relaying)
        return;
    tl_peerrelay_free(n->relaying->core);
    free(n->relaying);
    n->relaying = NULL;
}

void tl_node_leave_relaying(tl_node *n)
{
    tl_node_relaying *r = n->relaying;
    if (!r || r->leaves_until)
        return;
    r->leaves_until = now_of(n) + LEAVE_FOR;
    judge(n, &r->now);
    tl_peerrelay_leave(r->core, now_of(n), tl_loop_unix() + (tl_unix)(LEAVE_FOR / TL_SEC));
    flush(n);
}

bool tl_node_relaying_is_over(const tl_node *n)
{
    const tl_node_relaying *r = n->relaying;
    return !r || !tl_peerrelay_counters_of(r->core)->sessions || now_of(n) >= r->leaves_until;
}

/* --- datagrams --- */

bool tl_node_relay_control(tl_node *n, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_burst_way way;
    if (!n->relaying || !tl_network_way(n->network, sock, from, &way) ||
        !tl_peerrelay_on_control(n->relaying->core, &way, datagram, now_of(n), tl_loop_unix()))
        return false;
    flush(n);
    tl_node_wake(n);
    return true;
}

bool tl_node_relay_tokens(void *user, const tl_burst_way *way, uint8_t *data, size_t len,
                          size_t segment)
{
    const tl_node *n = user;
    if (!n->relaying || tl_node_is_aside(n))
        return false;
    tl_peerrelay_on_datagrams(n->relaying->core, way, data, len, segment, now_of(n));
    return true;
}

void tl_node_relay_read(void *user)
{
    flush(user);
}

/* --- where it serves --- */

static void judge(const tl_node *n, tl_relaying *ret_relaying)
{
    static const tl_nat_facts nothing;
    const tl_network *w = n->network;
    tl_relaying_facts f = {.enabled = n->settings.nat_relay_enabled,
                           .wan_enabled = n->settings.wan_enabled,
                           .direct_on = n->settings.nat_direct,
                           .leaving = n->stage > TL_NODE_RUNNING,
                           .network_error = n->network_error[0] ? n->network_error : NULL,
                           .port = w ? tl_network_port(w) : 0,
                           .nat = w ? tl_network_facts(w) : &nothing,
                           .mapped = w && tl_network_mapped_by(w)};
    tl_relaying_judge(&f, ret_relaying);
}

void tl_node_relaying_of(const tl_node *n, tl_relaying *ret_relaying)
{
    if (n->relaying)
        *ret_relaying = n->relaying->now;
    else
        judge(n, ret_relaying);
    if (!strcmp(n->settings.nat_relay_for, "networks") && !tl_access_in_network(&n->access))
        tl_relaying_for_nobody(ret_relaying);
}

/* Coarse, so that it seldom changes: 0, or a power of two. */
static uint32_t coarse(uint32_t n)
{
    return n ? UINT32_C(1) << (31 - __builtin_clz(n)) : 0;
}

static uint32_t free_sessions(const tl_node *n)
{
    size_t taken = tl_peerrelay_counters_of(n->relaying->core)->sessions;
    return coarse(n->settings.nat_relay_max_sessions - (uint32_t)taken);
}

static void log_state(const tl_relaying *now)
{
    char at[TL_ADDR_TEXT_MAX];
    tl_addr_write(at, &now->address);
    if (now->state == TL_RELAYING_SERVING)
        tl_log(TL_LOG_INFO, "relaying for others at %s", at);
    else if (now->state == TL_RELAYING_CLOSED || now->state == TL_RELAYING_UNPROVEN)
        tl_log(TL_LOG_WARN, "nat.relay_enabled, but nothing is relayed: %s; %s", now->reason,
               now->remedy);
}

/* Others are told when it begins or ends to serve, or serves elsewhere, at once; of its free relay
 * sessions now and then, or when there are none, or some again. */
static void tell(tl_node *n)
{
    tl_node_relaying *r = n->relaying;
    const tl_relaying *now = &r->now;
    uint32_t free = free_sessions(n);
    bool moved = now->state != r->told.state || !tl_addr_eq(&now->address, &r->told.address);
    bool served = now->state == TL_RELAYING_SERVING || r->told.state == TL_RELAYING_SERVING;
    bool filled = !free != !r->told_free;
    bool due = free != r->told_free && now_of(n) >= r->told_at + TELL_FREE_EVERY;
    if (moved)
        log_state(now);
    if (moved || filled || due) {
        r->told = *now;
        r->told_free = free;
        r->told_at = now_of(n);
        if (served)
            tl_node_tell_capabilities(n);
    }
}

/* Judges anew where it may serve; what it says and what it does are the same. */
static void follow(const tl_node *n)
{
    static const tl_addr none;
    tl_node_relaying *r = n->relaying;
    judge(n, &r->now);
    tl_peerrelay_set_address(r->core, &r->now.address, &none);
    tl_node_follow_relaying(n);
}

void tl_node_run_relaying(tl_node *n)
{
    tl_node_relaying *r = n->relaying;
    if (!r || n->stage != TL_NODE_RUNNING)
        return;
    if (now_of(n) >= r->look_at) {
        r->look_at = now_of(n) + LOOK_EVERY;
        follow(n);
        tell(n);
    }
    uint64_t book = tl_networks_version(n->book);
    if (book != r->book_seen || now_of(n) >= r->review_at) {
        r->book_seen = book;
        r->review_at = now_of(n) + REVIEW_EVERY;
        tl_peerrelay_review(r->core, now_of(n), tl_loop_unix());
    }
}

json_t *tl_node_relaying_capability(const tl_node *n)
{
    char at[TL_ADDR_TEXT_MAX];
    const tl_node_relaying *r = n->relaying;
    if (!r || r->told.state != TL_RELAYING_SERVING || n->stage > TL_NODE_RUNNING)
        return NULL;
    tl_addr_write(at, &r->told.address);
    return json_pack("{s:[s], s:s, s:I}", "addresses", at, "for", n->settings.nat_relay_for, "free",
                     (json_int_t)r->told_free);
}

/* --- time --- */

void tl_node_relaying_on_timer(tl_node *n)
{
    if (!n->relaying)
        return;
    tl_peerrelay_on_timer(n->relaying->core, now_of(n));
    flush(n);
}

tl_time tl_node_relaying_expiry(const tl_node *n)
{
    const tl_node_relaying *r = n->relaying;
    if (!r)
        return TL_NEVER;
    const tl_peerrelay_counters *c = tl_peerrelay_counters_of(r->core);
    tl_time at = tl_peerrelay_expiry(r->core);
    if (n->stage == TL_NODE_RUNNING)
        at = tl_time_min(at, r->look_at);
    if (c->sessions)
        at = tl_time_min(at, r->review_at);
    if (r->leaves_until && c->sessions)
        at = tl_time_min(at, r->leaves_until);
    return at;
}
