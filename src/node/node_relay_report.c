/* What this node relays for others, for its owner. */
#include "node/relaying_state.h"

#include "node/accounts.h"
#include "node/facts.h"
#include "node/node_net_report.h"
#include "node/reach.h"
#include "node/verbs.h"

#define LIST_MAX 256 /* relay sessions that one answer shows */

static const tl_peerrelay_counters *counters_of(const tl_node *n)
{
    static const tl_peerrelay_counters none;
    return n->relaying ? tl_peerrelay_counters_of(n->relaying->core) : &none;
}

static const tl_tokens_counters *tokens_of(const tl_node *n)
{
    static const tl_tokens_counters none;
    return n->relaying ? tl_peerrelay_tokens(n->relaying->core) : &none;
}

void tl_node_relaying_facts_of(const tl_node *n, tl_relaying_counts *ret_facts)
{
    tl_relaying judged;
    tl_node_relaying_of(n, &judged);
    *ret_facts = (tl_relaying_counts){.enabled = n->relaying != NULL,
                                      .serving = judged.state == TL_RELAYING_SERVING,
                                      .asked = *counters_of(n),
                                      .tokens = *tokens_of(n)};
}

json_t *tl_node_relaying_json(const tl_node *n)
{
    tl_relaying r;
    const tl_peerrelay_counters *c = counters_of(n);
    const tl_attached_counters *a = tl_node_attached_counters(n);
    tl_node_relaying_of(n, &r);
    json_t *addresses =
        r.address.family ? json_pack("[o]", tl_net_addr_json(&r.address)) : json_array();
    return json_pack(
        "{s:b, s:s, s:s?, s:s?, s:o, s:s, s:I, s:I, s:I, s:I, s:I}", "enabled",
        n->settings.nat_relay_enabled, "state", tl_relaying_state_name(r.state), "reason",
        r.reason[0] ? r.reason : NULL, "remedy", r.remedy[0] ? r.remedy : NULL, "addresses",
        addresses, "for", n->settings.nat_relay_for, "sessions", (json_int_t)c->sessions,
        "sessions_max", (json_int_t)n->settings.nat_relay_max_sessions, "reciprocal",
        (json_int_t)c->reciprocal, "attached", (json_int_t)(n->relaying ? a->attached : 0), "bytes",
        (json_int_t)tokens_of(n)->bytes[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP]);
}

static json_t *seconds(tl_time from, tl_time to)
{
    return json_integer(to > from ? (json_int_t)((to - from) / TL_SEC) : 0);
}

/* One side of a relay session, and why it has this rate. */
static json_t *side_json(const tl_node *n, const tl_peerrelay_session *s, int i)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &s->node[i]);
    return json_pack("{s:s, s:b, s:o}", "node_id", hex, "reciprocal", s->reciprocal[i],
                     "reciprocity", tl_node_reciprocity_json(n, &s->node[i]));
}

static json_t *session_json(const tl_node *n, const tl_peerrelay_session *s)
{
    tl_time now = tl_loop_now(n->loop);
    return json_pack("{s:[o, o], s:o, s:o, s:o, s:I}", "nodes", side_json(n, s, 0),
                     side_json(n, s, 1), "since_secs", seconds(s->since, now), "idle_secs",
                     seconds(s->heard, now), "ends_in_secs",
                     s->ends_at == TL_NEVER ? json_null() : seconds(now, s->ends_at), "bytes",
                     (json_int_t)s->bytes);
}

static json_t *sessions_json(const tl_node *n)
{
    tl_peerrelay_session list[LIST_MAX];
    size_t count = n->relaying ? tl_peerrelay_list(n->relaying->core, list, LIST_MAX) : 0;
    json_t *json = json_array();
    for (size_t i = 0; json && i < count; i++)
        json = tl_json_append(json, session_json(n, &list[i]));
    return json;
}

/* By the name of what became of it; those that never happened are left out. */
static json_t *results_json(const uint64_t *counts)
{
    json_t *o = json_object();
    for (int i = 0; o && i < TL_ASKED_RESULTS; i++)
        if (counts[i] && json_object_set_new(o, tl_asked_name((tl_asked)i),
                                             json_integer((json_int_t)counts[i]))) {
            json_decref(o);
            return NULL;
        }
    return o;
}

static json_t *dropped_json(const tl_node *n)
{
    const tl_tokens_counters *t = tokens_of(n);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "token",
                     (json_int_t)t->dropped[TL_TOKENS_DROP_TOKEN], "source",
                     (json_int_t)t->dropped[TL_TOKENS_DROP_SOURCE] +
                         (json_int_t)counters_of(n)->packets_loop,
                     "short", (json_int_t)t->dropped[TL_TOKENS_DROP_SHORT], "size",
                     (json_int_t)t->dropped[TL_TOKENS_DROP_SIZE], "rate",
                     (json_int_t)t->dropped[TL_TOKENS_DROP_RATE], "slow",
                     (json_int_t)t->dropped[TL_TOKENS_DROP_SLOW], "control",
                     (json_int_t)t->dropped[TL_TOKENS_DROP_CONTROL]);
}

static json_t *limits_json(const tl_settings *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "reciprocal_kbps",
                     (json_int_t)s->nat_relay_reciprocal_kbps, "bootstrap_kbps",
                     (json_int_t)s->nat_relay_bootstrap_kbps, "idle_timeout_secs",
                     (json_int_t)s->nat_relay_idle_timeout_secs, "session_max_secs",
                     (json_int_t)s->nat_relay_session_max_secs, "session_warn_secs",
                     (json_int_t)s->nat_relay_session_warn_secs, "pause_secs",
                     (json_int_t)s->nat_relay_pause_secs, "burst_ms",
                     (json_int_t)s->nat_relay_burst_ms);
}

void tl_node_do_relay_status(tl_node *n, const json_t *args, tl_call *call)
{
    json_t *o = tl_node_relaying_json(n);
    const tl_peerrelay_counters *c = counters_of(n);
    (void)args;
    if (o &&
        (json_object_set_new(
             o, "packets",
             json_integer((json_int_t)tokens_of(n)->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP])) ||
         json_object_set_new(o, "list", sessions_json(n)) ||
         json_object_set_new(o, "limits", limits_json(&n->settings)) ||
         json_object_set_new(o, "requests", results_json(c->requests)) ||
         json_object_set_new(o, "attaches", results_json(tl_node_attached_counters(n)->attaches)) ||
         json_object_set_new(o, "dropped", dropped_json(n)))) {
        json_decref(o);
        o = NULL;
    }
    tl_call_ok(call, o);
}
