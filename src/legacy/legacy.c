#include "legacy/legacy.h"

#include "base/log.h"
#include "legacy/state.h"

#include <stdlib.h>

tl_err tl_legacy_new(const tl_legacy_config *config, const tl_legacy_times *times,
                     const tl_legacy_world *world, void *user, tl_legacy **ret_legacy)
{
    tl_legacy *l = calloc(1, sizeof *l);
    if (!l)
        return TL_ERR_NOMEM;
    *l = (tl_legacy){
        .config = *config, .times = *times, .world = *world, .user = user, .due = TL_NEVER};
    tl_old_allow_init(l);
    *ret_legacy = l;
    return TL_OK;
}

void tl_legacy_set_times(tl_legacy *l, const tl_legacy_times *times)
{
    l->times = *times;
}

const tl_legacy_counters *tl_legacy_counters_of(const tl_legacy *l)
{
    return &l->counters;
}

static void end_all(tl_legacy *l, bool tell)
{
    for (tl_old_session *s = l->sessions; s; s = s->hh.next)
        tl_old_session_end(s, tell, "the old protocol is not spoken any more");
}

void tl_legacy_stop(tl_legacy *l)
{
    end_all(l, true);
}

void tl_legacy_free(tl_legacy *l)
{
    if (!l)
        return;
    end_all(l, false);
    tl_old_jobs_free(l);
    tl_old_questions_free(l);
    tl_old_sessions_reap(l);
    free(l);
}

/* --- what comes --- */

bool tl_legacy_is_message(tl_slice text)
{
    tl_legacy_front front;
    return !tl_legacy_peek(text, &front);
}

void tl_legacy_accept(tl_legacy *l, tl_path_id path, const tl_node_id *peer)
{
    if (!tl_old_session_find(l, path) && !tl_old_session_add(l, path, peer, false))
        l->world.close(l->user, path);
}

void tl_legacy_on_ready(tl_legacy *l, tl_path_id path)
{
    tl_old_session *s = tl_old_session_find(l, path);
    if (!s || s->state != TL_OLD_OPENING)
        return;
    s->state = TL_OLD_OPEN;
    s->heard_at = s->moved_at = tl_legacy_now(l);
    tl_old_questions_ready(s);
    tl_legacy_look(l);
}

void tl_legacy_on_ended(tl_legacy *l, tl_path_id path, const char *why)
{
    tl_old_session *s = tl_old_session_find(l, path);
    if (s)
        tl_old_session_end(s, false, why);
}

/* Once for each node, and for so many nodes. */
static void tell_declined(tl_legacy *l, const tl_node_id *peer)
{
    char hex[TL_NODE_ID_HEX + 1];
    for (size_t i = 0; i < l->n_told; i++)
        if (tl_node_id_eq(&l->told[i], peer))
            return;
    if (l->n_told == TL_LEGACY_TOLD_MAX) {
        if (!l->told_more)
            tl_log(TL_LOG_INFO, "more nodes ask in the old protocol; they are not named");
        l->told_more = true;
        return;
    }
    l->told[l->n_told++] = *peer;
    tl_node_id_write(hex, peer);
    tl_log(TL_LOG_INFO,
           "%.16s asks in the old protocol, in clear through the relay: declined (setting: "
           "legacy_plaintext)",
           hex);
}

/* The setting is off: no more is read than who asks what. Beyond the rate, nobody is told. */
static void decline(tl_old_session *s, tl_slice text)
{
    tl_legacy *l = s->legacy;
    tl_legacy_front front;
    tl_buf message = {0};
    l->counters.declined++;
    if (tl_legacy_peek(text, &front) || !tl_old_may_be_told(l, &s->peer)) {
        tl_old_session_end(s, true, "");
        return;
    }
    tell_declined(l, &s->peer);
    if (front.type == TL_LEGACY_REQUEST && front.id[0]) {
        tl_err e = tl_legacy_write_error(&message, front.id, "unavailable",
                                         tl_access_words(TL_ACCESS_ENCRYPTED));
        tl_old_session_say(s, &message, e);
        tl_old_session_flush(s);
    }
    tl_old_session_end(s, true, "");
}

static void greet(tl_old_session *s, tl_legacy_type with)
{
    tl_old_self self;
    tl_buf message = {0};
    if (tl_old_session_is_full(s) ||
        !tl_ratelimit_take(&s->greetings, 1, tl_legacy_now(s->legacy)) ||
        tl_old_self_of(s->legacy, &self))
        return;
    tl_err e = with == TL_LEGACY_HELLO_ACK ? tl_legacy_write_hello(&message, with, &self.self)
                                           : tl_legacy_write_heartbeat(&message, with, &self.self);
    tl_old_self_clear(&self);
    tl_old_session_say(s, &message, e);
}

static void on_message(tl_old_session *s, const tl_legacy_message *m)
{
    switch (m->type) {
    case TL_LEGACY_HELLO: greet(s, TL_LEGACY_HELLO_ACK); break;
    case TL_LEGACY_HEARTBEAT: greet(s, TL_LEGACY_HEARTBEAT_ACK); break;
    case TL_LEGACY_HELLO_ACK:
    case TL_LEGACY_HEARTBEAT_ACK: tl_old_questions_alive(s); break;
    case TL_LEGACY_REQUEST: tl_old_job_begin(s, m); break;
    case TL_LEGACY_CHUNK:
    case TL_LEGACY_COMPLETE:
    case TL_LEGACY_ERROR: tl_old_question_on_message(s, m); break;
    case TL_LEGACY_OTHER: s->legacy->counters.ignored++; break;
    }
}

void tl_legacy_on_text(tl_legacy *l, tl_path_id path, tl_slice text)
{
    tl_old_session *s = tl_old_session_find(l, path);
    tl_legacy_message m;
    if (!s || s->state != TL_OLD_OPEN) {
        l->counters.ignored++;
        return;
    }
    if (tl_access_for_old(l->config.access) == TL_ACCESS_ENCRYPTED) {
        decline(s, text);
        return;
    }
    bool admitted = tl_old_may_say(s, text.n);
    if (!admitted || tl_legacy_parse(text, &m)) {
        l->counters.ignored++;
        if (!admitted && s->questions) /* a piece of an answer is missing */
            tl_old_session_end(s, true, "the peer sent more than this node reads at once");
        return;
    }
    s->heard_at = tl_legacy_now(l);
    on_message(s, &m);
    tl_legacy_message_clear(&m);
}

/* --- driving --- */

void tl_legacy_run(tl_legacy *l)
{
    bool look = l->look;
    l->look =
        false; /* what comes up from here on is for the next call, which tl_legacy_look wakes */
    if (look)
        tl_old_questions_run(l);
    for (tl_old_session *s = l->sessions; s; s = s->hh.next)
        tl_old_session_flush(s);
    if (!look)
        return;
    tl_old_jobs_reap(l);
    tl_old_sessions_reap(l);
}

void tl_legacy_on_timer(tl_legacy *l)
{
    tl_time now = tl_legacy_now(l);
    if (now < l->due)
        return;
    l->due = TL_NEVER;
    tl_legacy_due(l, tl_old_questions_on_timer(l, now));
    for (tl_old_session *s = l->sessions; s; s = s->hh.next)
        tl_legacy_due(l, tl_old_session_on_timer(s, now));
}

tl_time tl_legacy_expiry(const tl_legacy *l)
{
    return l->due;
}

bool tl_legacy_is_idle(const tl_legacy *l)
{
    const tl_old_session *s;
    for (s = l->sessions; s; s = s->hh.next)
        if (s->state == TL_OLD_OPEN && (s->out.len || s->jobs))
            return false;
    return true;
}
