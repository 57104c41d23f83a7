/* Sessions at the relay: the table, and what waits to be sent. */
#include "legacy/state.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>

#define HEAD sizeof(uint32_t) /* before each message that waits: its length */

/* --- the table --- */

tl_old_session *tl_old_session_find(const tl_legacy *l, tl_path_id path)
{
    tl_old_session *s;
    HASH_FIND(hh, l->sessions, &path, sizeof path, s);
    return s;
}

static bool has_work(const tl_old_session *s)
{
    return s->questions || s->jobs;
}

/* False: every session has a question on it. */
static bool make_room(tl_legacy *l)
{
    tl_old_session *idlest = NULL;
    for (tl_old_session *s = l->sessions; s; s = s->hh.next) {
        if (s->state == TL_OLD_ENDED || has_work(s))
            continue;
        if (!idlest || s->heard_at < idlest->heard_at)
            idlest = s;
    }
    if (idlest)
        tl_old_session_end(idlest, true, "");
    return idlest;
}

static size_t count(const tl_legacy *l)
{
    size_t n = 0;
    for (const tl_old_session *s = l->sessions; s; s = s->hh.next)
        n += s->state != TL_OLD_ENDED;
    return n;
}

tl_old_session *tl_old_session_add(tl_legacy *l, tl_path_id path, const tl_node_id *peer, bool ours)
{
    tl_time now = tl_legacy_now(l);
    if (count(l) >= TL_LEGACY_SESSIONS_MAX && !make_room(l))
        return NULL;
    tl_old_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (tl_old_session){
        .legacy = l,
        .path = path,
        .peer = *peer,
        .state = ours ? TL_OLD_OPENING : TL_OLD_OPEN,
        .ours = ours,
        .moved_at = now,
        .heard_at = now,
        .used_at = now,
        .beat_at = TL_NEVER,
        .greetings = tl_ratelimit_make(TL_LEGACY_GREETINGS, TL_LEGACY_GREETINGS_MAX, now),
        .answers = tl_ratelimit_make(TL_LEGACY_ANSWERS, TL_LEGACY_ANSWERS_MAX, now)};
    if (!TL_TABLE_ADD(hh, l->sessions, path, sizeof s->path, s)) {
        free(s);
        return NULL;
    }
    tl_legacy_due(l, now + (ours ? TL_LEGACY_IDLE : TL_LEGACY_SILENT));
    return s;
}

tl_old_session *tl_old_session_with(const tl_legacy *l, const tl_node_id *peer)
{
    for (tl_old_session *s = l->sessions; s; s = s->hh.next)
        if (s->state != TL_OLD_ENDED && tl_node_id_eq(&s->peer, peer))
            return s;
    return NULL;
}

static void drop_waiting(tl_old_session *s)
{
    s->legacy->config.places->pending -= s->out.len;
    tl_buf_clear(&s->out);
}

void tl_old_session_end(tl_old_session *s, bool tell, const char *why)
{
    tl_legacy *l = s->legacy;
    if (s->state == TL_OLD_ENDED)
        return;
    s->state = TL_OLD_ENDED;
    drop_waiting(s);
    tl_old_jobs_ended(s);
    tl_old_questions_ended(s, why);
    if (tell)
        l->world.close(l->user, s->path);
    tl_legacy_look(l);
}

void tl_old_session_release(tl_old_session *s)
{
    if (!has_work(s))
        tl_old_session_end(s, true, "");
}

void tl_old_sessions_reap(tl_legacy *l)
{
    tl_old_session *s, *next;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    HASH_ITER (hh, l->sessions, s, next)
        if (s->state == TL_OLD_ENDED) {
            assert(!has_work(s));
            HASH_DEL(l->sessions, s);
            free(s);
        }
}

/* --- sending --- */

bool tl_old_session_is_full(const tl_old_session *s)
{
    return s->out.len > TL_SERVER_PENDING_MAX ||
           (s->out.len && s->legacy->config.places->pending > TL_SERVER_PENDING_SUM);
}

void tl_old_session_say(tl_old_session *s, tl_buf *message, tl_err e)
{
    uint32_t n = (uint32_t)message->len;
    if (s->state == TL_OLD_ENDED)
        e = TL_ERR_CLOSED;
    if (!e && !s->out.len)
        s->moved_at = tl_legacy_now(s->legacy);
    if (!e)
        e = tl_buf_append(&s->out, tl_slice_of(&n, HEAD));
    if (!e && (e = tl_buf_append(&s->out, tl_buf_slice(message))))
        s->out.len -= HEAD;
    if (!e)
        s->legacy->config.places->pending += HEAD + n;
    tl_buf_clear(message);
    if (e)
        tl_old_session_end(s, true, "out of memory");
    tl_legacy_look(s->legacy);
}

void tl_old_session_flush(tl_old_session *s)
{
    tl_legacy *l = s->legacy;
    while (s->state == TL_OLD_OPEN && s->out.len) {
        uint32_t n;
        memcpy(&n, tl_buf_begin(&s->out), HEAD);
        assert(s->out.len >= HEAD + n);
        tl_err e = l->world.send(l->user, s->path, tl_slice_of(tl_buf_begin(&s->out) + HEAD, n));
        if (e == TL_ERR_BUSY)
            break;
        if (e) {
            tl_old_session_end(s, true, "the connection to the relay was lost");
            return;
        }
        tl_buf_consume(&s->out, HEAD + n);
        l->config.places->pending -= HEAD + n;
        s->moved_at = tl_legacy_now(l);
    }
    if (s->holds_back && s->state == TL_OLD_OPEN && s->out.len <= TL_SERVER_PENDING_MAX / 2)
        tl_old_jobs_go_on(s);
    if (s->out.len)
        tl_legacy_due(l, s->moved_at + TL_SERVER_STALL_MAX);
}

/* --- time --- */

static void say_heartbeat(tl_old_session *s)
{
    tl_old_self self;
    tl_buf message = {0};
    if (tl_old_self_of(s->legacy, &self))
        return;
    tl_err e = tl_legacy_write_heartbeat(&message, TL_LEGACY_HEARTBEAT, &self.self);
    tl_old_self_clear(&self);
    tl_old_session_say(s, &message, e);
}

/* A sign of life is asked for while a question of ours waits, and the peer says nothing. */
static tl_time beat(tl_old_session *s, tl_time now)
{
    if (!s->questions)
        s->beat_at = TL_NEVER;
    if (now < s->beat_at)
        return s->beat_at;
    if (now - s->heard_at >= TL_LEGACY_BEAT_AFTER && !s->out.len)
        say_heartbeat(s);
    s->beat_at = now + TL_LEGACY_BEAT_AFTER;
    return s->beat_at;
}

/* Sets *ret_why, when it is over: one that is stuck, or that nobody needs. */
static tl_time ends_at(const tl_old_session *s, const char **ret_why)
{
    if (s->out.len && s->state == TL_OLD_OPEN) {
        *ret_why = "the relay takes nothing";
        return s->moved_at + TL_SERVER_STALL_MAX;
    }
    *ret_why = "";
    if (has_work(s))
        return TL_NEVER;
    return s->ours ? s->used_at + TL_LEGACY_IDLE : s->heard_at + TL_LEGACY_SILENT;
}

tl_time tl_old_session_on_timer(tl_old_session *s, tl_time now)
{
    const char *why;
    if (s->state == TL_OLD_ENDED)
        return TL_NEVER;
    tl_time at = ends_at(s, &why);
    if (now >= at) {
        tl_old_session_end(s, true, why);
        return TL_NEVER;
    }
    return s->state == TL_OLD_OPEN ? tl_time_min(at, beat(s, now)) : at;
}

/* --- what this node tells of itself --- */

tl_err tl_old_self_of(tl_legacy *l, tl_old_self *ret)
{
    const tl_env *env = &l->config.env;
    tl_old_self s = {.hardware = l->world.hardware(l->user), .models = l->world.models(l->user)};
    if (!s.hardware || !s.models) {
        tl_old_self_clear(&s);
        return TL_ERR_NOMEM;
    }
    s.self = (tl_legacy_self){.id = &l->config.own,
                              .name = l->config.name,
                              .hardware = s.hardware,
                              .models = s.models,
                              .running = (uint32_t)l->config.places->running,
                              .now = env->wall(env->user)};
    *ret = s;
    return TL_OK;
}

void tl_old_self_clear(tl_old_self *s)
{
    json_decref(s->hardware);
    json_decref(s->models);
}
