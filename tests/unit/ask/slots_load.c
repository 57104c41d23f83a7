#include "slots_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <utlist.h>

#include <cmocka.h>

void slots_load_init(slots_load *w, uint64_t seed, unsigned slots, tl_time wait_max)
{
    *w = (slots_load){.rand = tl_rand_seeded(seed)};
    slots_scene_init(&w->s, slots, TL_SLOTS_QUEUE_MAX, wait_max);
}

static void over(listener *l)
{
    load_question *q = l->user;
    slots_load *w = q->load;
    if (w->n_marks < w->marks_max) {
        load_mark *m = &w->marks[w->n_marks++];
        *m = (load_mark){.at = w->s.env.now,
                         .waited = q->waits ? w->s.env.now - q->asked_at : q->waited,
                         .private = w->clients[q->client].private,
                         .answered = l->calls[ON_END] > 0};
        for (tl_sched_class c = 0; c < TL_SCHED_CLASSES; c++)
            m->served[c] = tl_slots_served(w->s.slots, c);
    }
}

/* Text of about four bytes a token, 3 to 5. */
static const char *body_of(slots_load *w, unsigned prompt)
{
    static char body[5 * LOAD_PROMPT_MAX + 1];
    size_t n = prompt * (12 + tl_rand_below(&w->rand, 9)) / 4;
    assert_true(n < sizeof body);
    memset(body, 'a', n);
    body[n] = 0;
    return body;
}

static void ask(slots_load *w, unsigned client, load_question *q)
{
    const load_client *c = &w->clients[client];
    unsigned span = c->longest - c->shortest + 1;
    slots_question question = {.private = c->private,
                               .network = c->network,
                               .member = c->member,
                               .bid = c->private ? -1 : 1,
                               .prompt = (unsigned)tl_rand_below(&w->rand, c->prompt_max + 1),
                               .generated = c->shortest + (unsigned)tl_rand_below(&w->rand, span)};
    question.body = body_of(w, question.prompt);
    listener_clear(&q->l);
    *q = (load_question){.load = w, .client = client, .asked_at = w->s.env.now, .waits = true};
    q->l.inside[ON_END] = q->l.inside[ON_FAIL] = over;
    q->l.user = q;
    slots_scene_ask(&w->s, &question, &q->l);
}

/* Each question that got its slot meanwhile, and the tokens that its answer will get now. */
static void look(slots_load *w)
{
    for (unsigned c = 0; c < w->n_clients; c++)
        for (unsigned i = 0; i < LOAD_AT_ONCE_MAX; i++) {
            load_question *q = &w->questions[c][i];
            served *v = q->l.exchange ? slots_scene_served(&w->s, &q->l) : NULL;
            if (v && q->waits) {
                q->waits = false;
                q->waited = w->s.env.now - q->asked_at;
            }
        }
}

static void count(slots_load *w)
{
    for (unsigned c = 0; c < w->n_clients; c++)
        for (unsigned i = 0; i < LOAD_AT_ONCE_MAX; i++) {
            const load_question *q = &w->questions[c][i];
            const served *v = q->l.exchange ? slots_scene_served(&w->s, &q->l) : NULL;
            if (!v)
                continue;
            unsigned now = v->left < LOAD_TOKENS ? v->left : LOAD_TOKENS;
            w->units[c] += (uint64_t)now * TL_SCHED_GENERATED;
            if (!v->streamed)
                w->units[c] += (uint64_t)v->prompt * TL_SCHED_PROMPT;
        }
}

void slots_load_tick(slots_load *w)
{
    for (unsigned c = 0; c < w->n_clients; c++)
        for (unsigned i = 0; i < w->clients[c].at_once; i++)
            if (!w->questions[c][i].l.exchange)
                ask(w, c, &w->questions[c][i]);
    slots_scene_pass(&w->s, 0);
    look(w);
    slots_scene_pass(&w->s, LOAD_TICK);
    look(w);
    count(w);
    slots_scene_stream(&w->s, 0, LOAD_TOKENS);
}

bool slots_load_is_full(const slots_load *w)
{
    return w->n_marks == w->marks_max;
}

bool slots_load_waits(const slots_load *w, unsigned client)
{
    for (unsigned i = 0; i < LOAD_AT_ONCE_MAX; i++)
        if (w->questions[client][i].l.exchange && w->questions[client][i].waits)
            return true;
    return false;
}

void slots_load_clear(slots_load *w)
{
    for (unsigned c = 0; c < LOAD_CLIENTS_MAX; c++)
        for (unsigned i = 0; i < LOAD_AT_ONCE_MAX; i++) {
            if (w->questions[c][i].l.exchange)
                listener_cancel(&w->questions[c][i].l);
            listener_clear(&w->questions[c][i].l);
        }
    slots_scene_clear(&w->s);
}

double slots_load_worst(const load_mark *marks, size_t count, size_t n)
{
    double worst = 0;
    for (size_t i = n; i < count; i++) {
        const uint64_t *from = marks[i - n].served, *to = marks[i].served;
        double private = (double)to[TL_SCHED_PRIVATE] - (double)from[TL_SCHED_PRIVATE];
        double public = (double)to[TL_SCHED_PUBLIC] - (double)from[TL_SCHED_PUBLIC];
        double off = 100 * private / (private + public) - TL_SCHED_PRIVATE_WEIGHT;
        worst = off > worst ? off : -off > worst ? -off : worst;
    }
    return worst;
}
