/* Our questions. */
#include "crypto/blake2s.h"
#include "legacy/question.h"
#include "legacy/state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Chunks without a word that are taken: a second, and at once. A model whose thoughts are hidden
 * sends one for each token. */
#define EMPTIES_PER_SEC 1000
#define EMPTIES_AT_ONCE 4096

static void leave_session(tl_old_question *q)
{
    if (!q->session)
        return;
    q->session->used_at = tl_legacy_now(q->legacy);
    q->session->questions--;
    q->session = NULL;
}

static void set_state(tl_old_question *q, tl_old_question_state to)
{
    static const unsigned before_end =
        1u << TL_OLD_WAITING | 1u << TL_OLD_ASKED | 1u << TL_OLD_ANSWERING;
    static const unsigned from[] = {[TL_OLD_WAITING] = 0,
                                    [TL_OLD_ASKED] = 1u << TL_OLD_WAITING,
                                    [TL_OLD_ANSWERING] = 1u << TL_OLD_ASKED,
                                    [TL_OLD_ENDING] = before_end,
                                    [TL_OLD_OVER] = before_end | 1u << TL_OLD_ENDING};
    assert(from[to] & 1u << q->state);
    q->state = to;
    if (to >= TL_OLD_ENDING) { /* the peer has nothing to say to it any more */
        leave_session(q);
        q->deadline = TL_NEVER;
    }
    if (to == TL_OLD_OVER)
        tl_legacy_look(q->legacy);
}

static void set_deadline(tl_old_question *q, tl_time within)
{
    q->deadline = q->paused || within == TL_NEVER ? TL_NEVER : tl_legacy_now(q->legacy) + within;
    tl_legacy_due(q->legacy, q->deadline);
}

static void fail(tl_old_question *q, tl_fail f, const char *message)
{
    q->legacy->counters.failed++;
    set_state(q, TL_OLD_OVER);
    q->sink.on_fail(q->user, &(tl_failure){.fail = f, .message = message});
}

/* For a cause that comes up inside a call that must not call the sink. */
static void fail_soon(tl_old_question *q, tl_fail f, const char *why)
{
    q->fail = f;
    q->why = why;
    tl_legacy_look(q->legacy);
}

/* --- on a session --- */

static void asked(tl_old_question *q)
{
    tl_old_session *s = q->session;
    set_state(q, TL_OLD_ASKED);
    q->asked_at = tl_legacy_now(q->legacy);
    set_deadline(q, q->legacy->times.first_byte);
    if (s->beat_at == TL_NEVER)
        s->beat_at = tl_legacy_now(q->legacy) + TL_LEGACY_BEAT_AFTER;
    tl_legacy_due(q->legacy, s->beat_at);
}

void tl_old_questions_ready(tl_old_session *s)
{
    tl_old_question *q;
    DL_FOREACH (s->legacy->questions, q)
        if (q->session == s && q->state == TL_OLD_WAITING)
            asked(q);
    tl_old_questions_alive(s);
}

void tl_old_questions_ended(tl_old_session *s, const char *why)
{
    tl_old_question *q;
    DL_FOREACH (s->legacy->questions, q)
        if (q->session == s) {
            leave_session(q);
            fail_soon(q, TL_FAIL_PEER_FAILED, why);
        }
}

void tl_old_questions_alive(tl_old_session *s)
{
    tl_old_question *q;
    DL_FOREACH (s->legacy->questions, q)
        if (q->session == s && !q->has_head && q->sink.on_progress)
            q->sink.on_progress(q->user, &(tl_progress){0});
}

/* --- the answer --- */

/* False: the sink has cancelled. */
static bool give_head(tl_old_question *q)
{
    tl_answer_head head = {.status = 200, .peer = q->peer, .via = TL_VIA_PLAINTEXT};
    if (q->has_head)
        return true;
    q->has_head = true;
    snprintf(head.content_type, sizeof head.content_type, "%s",
             q->streaming ? "text/event-stream" : "application/json");
    tl_usage_init(&q->usage, head.content_type);
    q->sink.on_head(q->user, &head);
    return q->state != TL_OLD_OVER;
}

/* Of all answers. */
static size_t held_sum(const tl_legacy *l)
{
    size_t sum = 0;
    const tl_old_question *q;
    DL_FOREACH (l->questions, q)
        sum += q->held.len + q->answer.bytes;
    return sum;
}

static void fail_of_peer(tl_old_question *q, const char *why)
{
    tl_old_session *s = q->session;
    fail(q, TL_FAIL_PEER_FAILED, why);
    tl_old_session_release(s);
}

/* False: the question is over. */
static bool give_body(tl_old_question *q, tl_slice bytes)
{
    tl_usage_observe(&q->usage, bytes);
    if (!q->paused && !q->held.len) {
        q->sink.on_body(q->user, bytes);
        return q->state != TL_OLD_OVER;
    }
    if (q->held.len + bytes.n <= TL_LEGACY_HELD_MAX &&
        held_sum(q->legacy) + bytes.n <= TL_LEGACY_HELD_SUM && !tl_buf_append(&q->held, bytes))
        return true;
    tl_old_session *s = q->session;
    fail(q, TL_FAIL_INTERNAL, "the answer came faster than it was read, and was too long to keep");
    if (s)
        tl_old_session_release(s);
    return false;
}

static tl_time age(const tl_old_question *q)
{
    return tl_legacy_now(q->legacy) - q->asked_at;
}

static void on_chunk(tl_old_question *q, const json_t *chunk)
{
    tl_buf event = {0};
    bool first = q->state == TL_OLD_ASKED, says = tl_legacy_chunk_says(chunk);
    if (first)
        set_state(q, TL_OLD_ANSWERING);
    q->empties += !says;
    if (q->empties > EMPTIES_AT_ONCE + EMPTIES_PER_SEC * (age(q) / TL_SEC)) {
        fail_of_peer(q, "the peer sends chunks without a word, and no end");
        return;
    }
    if (first || says) /* what says nothing keeps nobody waiting longer */
        set_deadline(q, q->legacy->times.silence);
    if (!q->streaming) {
        if (tl_legacy_answer_add(&q->answer, chunk))
            fail_of_peer(q, "the peer's answer is too long");
        else if (held_sum(q->legacy) > TL_LEGACY_HELD_SUM)
            fail_of_peer(q, "the answers that are under way are too long to keep");
        else if ((first || says) && q->sink.on_progress)
            q->sink.on_progress(q->user, &(tl_progress){0});
        return;
    }
    tl_err e = tl_buf_append_str(&event, "data: ");
    if (!e)
        e = tl_json_write(&event, chunk); /* compact: a line */
    if (!e)
        e = tl_buf_append_str(&event, "\n\n");
    if (e)
        fail(q, TL_FAIL_INTERNAL, "out of memory");
    else if (give_head(q))
        (void)give_body(q, tl_buf_slice(&event));
    tl_buf_clear(&event);
}

static void finish(tl_old_question *q)
{
    tl_answer_end end = q->end;
    if (q->held.len)
        return; /* ENDING, until the sink goes on */
    q->legacy->counters.answered++;
    set_state(q, TL_OLD_OVER);
    q->sink.on_end(q->user, &end);
}

static void on_complete(tl_old_question *q, const tl_legacy_message *m)
{
    const tl_env *env = &q->legacy->config.env;
    tl_buf last = {0};
    set_state(q, TL_OLD_ENDING);
    tl_err e = q->streaming ? tl_buf_append_str(&last, "data: [DONE]\n\n")
                            : tl_legacy_answer_write(&q->answer, m->tokens_in, m->tokens_out,
                                                     env->wall(env->user), &last);
    tl_legacy_answer_clear(&q->answer);
    if (e)
        fail(q, TL_FAIL_INTERNAL, "out of memory");
    else if (give_head(q) && give_body(q, tl_buf_slice(&last))) {
        tl_answer_end seen = tl_usage_end(&q->usage);
        q->end = (tl_answer_end){seen.tokens_in ? seen.tokens_in : m->tokens_in,
                                 m->tokens_out ? m->tokens_out : seen.tokens_out};
        finish(q);
    }
    tl_buf_clear(&last);
}

/* A code of the old protocol has the same name here; Macs send none. */
static void on_error(tl_old_question *q, const tl_legacy_message *m)
{
    tl_fail f;
    if (tl_fail_parse(tl_slice_str(m->code), &f) || f > TL_FAIL_CANCELLED)
        f = TL_FAIL_INTERNAL;
    fail(q, f, m->words);
}

void tl_old_question_on_message(tl_old_session *s, const tl_legacy_message *m)
{
    tl_old_question *q;
    DL_FOREACH (s->legacy->questions, q)
        if (q->session == s && tl_legacy_id_eq(q->id, m->id))
            break;
    if (!q || (q->state != TL_OLD_ASKED && q->state != TL_OLD_ANSWERING)) {
        s->legacy->counters.ignored++;
        return;
    }
    if (m->type == TL_LEGACY_CHUNK)
        on_chunk(q, m->body);
    else if (m->type == TL_LEGACY_COMPLETE)
        on_complete(q, m);
    else
        on_error(q, m);
}

/* --- the handle --- */

static void cancel(tl_exchange *x)
{
    tl_old_question *q = (tl_old_question *)x;
    tl_old_session *s = q->session;
    set_state(q, TL_OLD_OVER);
    if (s)
        tl_old_session_release(s);
}

static void set_paused(tl_exchange *x, bool on)
{
    tl_old_question *q = (tl_old_question *)x;
    if (q->paused && !on) { /* goes on from tl_legacy_run, not from inside this call */
        q->resumed = true;
        tl_legacy_look(q->legacy);
    }
    q->paused = on;
    if (on)
        q->deadline = TL_NEVER; /* it is we who are slow */
}

/* The message, with the request in it. TL_ERR_TOO_LARGE, TL_ERR_PROTO, TL_ERR_NOMEM. */
static tl_err write_question(tl_old_question *q, tl_slice body, tl_buf *ret_message)
{
    tl_buf request = {0};
    if (body.n > TL_LEGACY_MESSAGE_MAX)
        return TL_ERR_TOO_LARGE;
    tl_err e = tl_legacy_question_write(&request, body);
    if (!e)
        e = tl_legacy_write_request(ret_message, q->id, tl_buf_slice(&request));
    tl_buf_clear(&request);
    if (!e && ret_message->len > TL_LEGACY_MESSAGE_MAX)
        e = TL_ERR_TOO_LARGE;
    return e;
}

/* The session with the peer, or a new one. */
static tl_err get_session(tl_old_question *q)
{
    tl_legacy *l = q->legacy;
    tl_path_id path;
    tl_old_session *s = tl_old_session_with(l, &q->peer);
    tl_err e = s ? TL_OK : l->world.open(l->user, &q->peer, &path);
    if (e)
        return e;
    if (!s && !(s = tl_old_session_add(l, path, &q->peer, true))) {
        l->world.close(l->user, path);
        return TL_ERR_BUSY;
    }
    q->session = s;
    s->questions++;
    return TL_OK;
}

/* What cannot even be sent fails soon. */
static void begin(tl_old_question *q, tl_slice body)
{
    tl_buf message = {0};
    tl_err e = write_question(q, body, &message);
    if (e == TL_ERR_TOO_LARGE)
        fail_soon(q, TL_FAIL_UNAVAILABLE,
                  "the question is larger than the old protocol carries "
                  "(3 MiB)");
    else if (e == TL_ERR_PROTO)
        fail_soon(q, TL_FAIL_UNAVAILABLE, "the old protocol carries strict JSON alone");
    else if (e)
        fail_soon(q, TL_FAIL_INTERNAL, "out of memory");
    else if ((e = get_session(q)))
        fail_soon(q, TL_FAIL_PEER_FAILED,
                  e == TL_ERR_CLOSED ? "the relay is not connected"
                                     : "the relay takes no more sessions now");
    if (e) {
        tl_buf_clear(&message);
        return;
    }
    tl_old_session_say(q->session, &message, TL_OK);
    if (!q->session)
        return; /* out of memory: it fails soon */
    if (q->session->state == TL_OLD_OPEN)
        asked(q);
    else
        set_deadline(q, q->legacy->times.connect);
}

tl_err tl_legacy_ask(tl_legacy *l, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                     tl_exchange **ret_exchange)
{
    tl_old_question *q = calloc(1, sizeof *q);
    uint8_t id[16];
    if (!q)
        return TL_ERR_NOMEM;
    q->exchange = (tl_exchange){cancel, set_paused};
    q->legacy = l;
    q->sink = *sink;
    q->user = user;
    q->peer = ask->peer;
    q->streaming = ask->streaming;
    q->deadline = TL_NEVER;
    if (tl_hex_parse(tl_slice_str(ask->id), true, id, sizeof id)) {
        tl_blake2s hash; /* a name that is no UUID stands for one */
        uint8_t digest[TL_BLAKE2S_SIZE];
        tl_blake2s_init(&hash);
        tl_blake2s_update(&hash, tl_slice_str(ask->id));
        tl_blake2s_final(&hash, digest);
        memcpy(id, digest, sizeof id);
    }
    tl_legacy_uuid_write(q->id, id);
    l->counters.asked++;
    DL_APPEND(l->questions, q);
    begin(q, ask->body);
    tl_legacy_look(l);
    *ret_exchange = &q->exchange;
    return TL_OK;
}

/* --- driving --- */

static void go_on(tl_old_question *q)
{
    tl_buf held = q->held;
    q->resumed = false;
    q->held = (tl_buf){0};
    if (held.len)
        q->sink.on_body(q->user, tl_buf_slice(&held));
    tl_buf_clear(&held);
    if (q->state == TL_OLD_ENDING && !q->paused)
        finish(q);
    else if (q->state == TL_OLD_ANSWERING)
        set_deadline(q, q->legacy->times.silence);
    else if (q->state == TL_OLD_ASKED)
        set_deadline(q, q->legacy->times.first_byte);
}

static void free_question(tl_old_question *q)
{
    DL_DELETE(q->legacy->questions, q);
    tl_buf_clear(&q->held);
    tl_legacy_answer_clear(&q->answer);
    free(q);
}

void tl_old_questions_run(tl_legacy *l)
{
    tl_old_question *q, *next;
    DL_FOREACH (l->questions, q) {
        if (q->state != TL_OLD_OVER && q->state != TL_OLD_ENDING && q->why)
            fail(q, q->fail, q->why);
        else if (q->state != TL_OLD_OVER && q->resumed && !q->paused)
            go_on(q);
    }
    DL_FOREACH_SAFE (l->questions, q, next)
        if (q->state == TL_OLD_OVER)
            free_question(q);
}

tl_time tl_old_questions_on_timer(tl_legacy *l, tl_time now)
{
    static const char *const why[] = {
        [TL_OLD_WAITING] = "the peer did not answer through the relay",
        [TL_OLD_ASKED] = "the peer did not answer in time",
        [TL_OLD_ANSWERING] = "the peer fell silent",
    };
    tl_time due = TL_NEVER;
    tl_old_question *q;
    DL_FOREACH (l->questions, q) {
        if (q->state >= TL_OLD_ENDING)
            continue;
        if (now < q->deadline) {
            due = tl_time_min(due, q->deadline);
            continue;
        }
        tl_old_session *s = q->session;
        fail(q, q->state == TL_OLD_WAITING ? TL_FAIL_PEER_FAILED : TL_FAIL_TIMEOUT, why[q->state]);
        if (s)
            tl_old_session_release(s);
    }
    return due;
}

void tl_old_questions_free(tl_legacy *l)
{
    while (l->questions)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        free_question(l->questions);
}
