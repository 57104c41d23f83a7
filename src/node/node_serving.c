/* What this node does for others now, for a person who looks at it: who is served, who waits, how fast. */
#include "node/facts.h"
#include "node/node_net_report.h"
#include "node/state.h"
#include "node/verbs.h"

#include "crypto/idjson.h"

#define SHOWN_MAX                                                                                  \
    100 /* questions: what a page can show, and the place of each in the queue is counted */

typedef struct {
    tl_node *node;
    tl_time now;
    json_t *list; /* NULL: out of memory */
    size_t n;
    double speed; /* tokens a second, of all that stream */
} serving;

/* A mean from the answer's first byte to now. 0: too short to tell. */
static double speed_of(const tl_slots_question *q, tl_time now)
{
    tl_time span = q->answering ? now - q->first : 0;
    return span >= 100 * TL_MS ? (double)q->generated * TL_SEC / (double)span : 0;
}

static json_t *question_json(const serving *s, const tl_slots_question *q)
{
    const tl_peer *p = tl_peer_table_find(&s->node->table, &q->ask->requester);
    const tl_membership *m =
        q->ask->has_network ? tl_networks_by_id(s->node->book, &q->ask->network) : NULL;
    tl_peer_facts facts;
    bool connected = p && tl_peers_facts(s->node->peers, p, &facts);
    bool waits = !q->running;
    double speed = speed_of(q, s->now);
    return json_pack(
        "{s:s, s:s, s:o, s:s?, s:s?, s:o, s:s?, s:s, s:o, s:o, s:o, s:I, s:o}", "request",
        q->ask->id, "model", q->ask->model, "peer", tl_node_id_json(&q->ask->requester), "name",
        p && p->name[0] ? p->name : NULL, "path", connected ? tl_via_name(facts.via) : NULL,
        "ptn_id", q->ask->has_network ? tl_node_id_json(&q->ask->network) : json_null(), "ptn",
        m ? m->name : NULL, "state",
        waits          ? "waiting"
        : q->answering ? "answering"
                       : "working",
        "position", waits ? json_integer(q->progress.position) : json_null(), "wait_s",
        waits ? json_integer(q->progress.wait_seconds) : json_null(), "for_ms",
        tl_net_ms_json(s->now - (waits ? q->asked : q->began)), "tokens", (json_int_t)q->generated,
        "tokens_per_s", speed > 0 ? json_real(speed) : json_null());
}

static bool add_question(void *user, const tl_slots_question *q)
{
    serving *s = user;
    s->speed += speed_of(q, s->now);
    if (s->n == SHOWN_MAX)
        return q->running; /* those that wait have no speed */
    s->list = tl_json_append(s->list, question_json(s, q));
    s->n++;
    return s->list != NULL;
}

void tl_verb_serving(tl_node *n, const json_t *args, tl_call *call)
{
    tl_slots_facts f;
    tl_node_facts done;
    serving s = {.node = n, .now = tl_loop_now(n->loop), .list = json_array()};
    (void)args;
    tl_slots_each(n->slots, add_question, &s);
    tl_slots_facts_of(n->slots, &f);
    tl_node_facts_of(n, &done);
    size_t all = f.running, prompt = 0;
    for (tl_sched_class c = 0; c < TL_SCHED_CLASSES; c++) {
        all += f.queued[c];
        prompt += f.prompt[c];
    }
    json_t *result = json_pack(
        "{s:o, s:o, s:o, s:I, s:f, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}", "sharing",
        tl_node_sharing_json(n), "share", tl_node_share_json(n), "questions", s.list, "more",
        (json_int_t)(all > s.n ? all - s.n : 0), "tokens_per_s", s.speed, "totals", "served",
        (json_int_t)done.served.served + (json_int_t)done.old.served, "failed",
        (json_int_t)done.served.failed + (json_int_t)done.old.serve_failed, "tokens_in",
        (json_int_t)prompt, "tokens_out", (json_int_t)f.streamed, "turned_away",
        (json_int_t)f.turned_away, "late", (json_int_t)f.late, "gave_up", (json_int_t)f.gave_up);
    tl_call_ok(call, result);
}
