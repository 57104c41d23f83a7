#include "node/network_internal.h"

/* --- facts --- */

const tl_nat_facts *tl_network_facts(const tl_network *w)
{
    static const tl_nat_facts nothing = {.mapping = TL_MAPPING_UNKNOWN};
    (void)w;
    return &nothing;
}

size_t tl_network_stun_reports(const tl_network *w, tl_stun_report ret[TL_STUN_SERVERS_MAX])
{
    (void)w;
    (void)ret;
    return 0;
}

const tl_behaviour_counters *tl_network_stun_counters(const tl_network *w)
{
    static const tl_behaviour_counters none;
    (void)w;
    return &none;
}

tl_time tl_network_keepalive(const tl_network *w)
{
    (void)w;
    return TL_BEHAVIOUR_FRESH;
}

const char *tl_network_mapped_by(const tl_network *w)
{
    (void)w;
    return NULL;
}

tl_addr tl_network_mapped(const tl_network *w)
{
    (void)w;
    return (tl_addr){.family = TL_ADDR_NONE};
}

const char *tl_network_mapping_error(const tl_network *w)
{
    (void)w;
    return "not asked yet";
}

void tl_network_set_relay_stun(tl_network *w, const char *hostport)
{
    (void)w;
    (void)hostport;
}

void tl_network_suspect(tl_network *w)
{
    (void)w;
}

/* --- looks --- */

static void finish_looks(void *user)
{
    tl_network *w = user;
    while (w->looks) {
        tl_network_look *l = w->looks;
        w->looks = l->next;
        l->network = NULL;
        l->on_done(l->user);
    }
}

void tl_network_look_start(tl_network *w, tl_network_look *l)
{
    l->network = w;
    l->next = w->looks;
    w->looks = l;
    tl_loop_defer(w->loop, &w->looks_done, finish_looks, w);
}

void tl_network_unlook(tl_network_look *l)
{
    if (!l->network)
        return;
    for (tl_network_look **at = &l->network->looks; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    l->network = NULL;
}

/* --- the end --- */

static void on_stopped(void *user)
{
    tl_network *w = user;
    w->on_stopped(w->stopped_user);
}

void tl_network_stop(tl_network *w, void (*on_done)(void *user), void *user)
{
    w->on_stopped = on_done;
    w->stopped_user = user;
    tl_loop_defer(w->loop, &w->stopped, on_stopped, w);
}
