#include "relayd/view.h"

#include "relayd/report.h"

_Static_assert(sizeof(tl_relay_counters) % sizeof(uint64_t) == 0, "counters are numbers alone");
_Static_assert(sizeof(tl_tokens_counters) % sizeof(uint64_t) == 0, "counters are numbers alone");
_Static_assert(sizeof(tl_stun_counters) % sizeof(uint64_t) == 0, "counters are numbers alone");
_Static_assert(sizeof(tl_fed_counters) % sizeof(uint64_t) == 0, "counters are numbers alone");

static void add(void *sum, const void *part, size_t size)
{
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t a, b;
        memcpy(&a, (char *)sum + at, sizeof a);
        memcpy(&b, (const char *)part + at, sizeof b);
        a += b;
        memcpy((char *)sum + at, &a, sizeof a);
    }
}

static void add_cluster(tl_relayd_view *v, const tl_relay *relay, tl_time now)
{
    const tl_fed_counters *fed = tl_fed_counters_of(relay);
    if (!fed)
        return;
    tl_fed_counters before = v->fed;
    add(&v->fed, fed, sizeof *fed);
    if (v->has_fed) { /* every loop knows the same others */
        v->fed.relays = before.relays > fed->relays ? before.relays : fed->relays;
        v->fed.away = before.away > fed->away ? before.away : fed->away;
    }
    v->has_fed = true;
    v->far |= tl_fed_has_far(relay);
    v->far_is_up = tl_fed_is_up(relay, now) && (v->loops == 0 || v->far_is_up);
}

void tl_relayd_view_add(tl_relayd_view *v, const tl_relay *relay, const tl_stunserver *stun,
                        tl_time now)
{
    add(&v->relay, tl_relay_counters_of(relay), sizeof v->relay);
    add(&v->datagrams, tl_relay_datagrams_of(relay), sizeof v->datagrams);
    if (stun)
        add(&v->stun, tl_stunserver_counters(stun), sizeof v->stun);
    v->has_stun |= stun != NULL;
    v->leaving |= tl_relay_is_leaving(relay);
    add_cluster(v, relay, now);
    if (v->wants_peers && tl_relayd_write_peers(relay, now, &v->peers))
        v->failed = true;
    v->loops++;
}

void tl_relayd_view_clear(tl_relayd_view *v)
{
    tl_buf_clear(&v->peers);
}
