#include "backup/serve.h"

#include "backup/frames.h"
#include "wire/codes.h"

#include <stddef.h>
#include <stdlib.h>
#include <utlist.h>

/*  READING --the request is whole--> HELD --the holder's answer--> SAYING --all is taken--> freed
 *  READING, HELD --the holder refuses it--> SAYING          no place --> SAYING, without an op     */
typedef struct visit {
    tl_stream_owner owner; /* first */
    tl_holder_op op;
    tl_fragment_server *server;
    tl_node_id peer;
    tl_frames frames;
    tl_buf answer_body; /* while it is written */
    bool inside;        /* a call of the holder: its answer is written afterwards */
    bool answered, said;
    bool refused; /* there was no place for it */
    tl_time deadline, end;
    struct visit *prev, *next;
} visit;

struct tl_fragment_server {
    tl_env env;
    tl_holder *holder;
    visit *visits;
    uint64_t malformed;
};

static void free_visit(visit *v, uint64_t code)
{
    tl_fragment_server *s = v->server;
    tl_holder_end(&v->op);
    tl_frames_clear(&v->frames, code);
    tl_buf_clear(&v->answer_body);
    DL_DELETE(s->visits, v);
    free(v);
}

static void set_deadline(visit *v)
{
    tl_fragment_server *s = v->server;
    bool hush = v->refused || v->op.awaits; /* `awaits` ends when the bytes are here */
    tl_time idle = hush ? TL_FRAGMENT_SERVE_HUSH : TL_FRAGMENT_SERVE_IDLE;
    v->deadline = tl_time_min(tl_env_now(&s->env) + idle, v->end);
    tl_env_wake(&s->env);
}

/* Whoever sends or takes so many bytes a few at a time does not stay for long. */
static void set_end(visit *v, size_t bytes)
{
    tl_time most = TL_FRAGMENT_SERVE_SLACK + (tl_time)bytes * TL_SEC / TL_FRAGMENT_SERVE_RATE;
    v->end = tl_time_min(v->end, tl_env_now(&v->server->env) + most);
}

/* --- the request and its answer. Each call may free the visit. --- */

static void go_on(visit *v)
{
    bool fin;
    tl_slice in;
    tl_err e = v->answered ? TL_OK : tl_frames_read_on(&v->frames);
    if (e && e != TL_ERR_AGAIN) {
        v->server->malformed++;
        free_visit(v, TL_CODE_PROTOCOL);
        return;
    }
    if (!e && !v->answered && v->op.awaits) {
        v->inside = true;
        tl_holder_body(&v->op, tl_buf_slice(&v->frames.content));
        v->inside = false;
        tl_buf_clear(&v->frames.content);
    }
    set_deadline(v);
    if (!v->answered)
        return;
    while ((in = tl_quic_stream_peek(v->frames.stream, &fin)).n) /* of what was refused */
        tl_quic_stream_consume(v->frames.stream, in.n);
    if (!v->said || tl_frames_write_on(&v->frames))
        free_visit(v, TL_CODE_NONE); /* out of memory */
}

static void on_reply(tl_holder_op *op, const tl_talk *answer, tl_slice body)
{
    visit *v = (visit *)((char *)op - offsetof(visit, op));
    v->answered = true;
    set_end(v, body.n);
    v->said = !tl_buf_append(&v->answer_body, body) &&
              !tl_frames_say(&v->frames, answer, tl_buf_slice(&v->answer_body));
    if (!v->inside)
        go_on(v);
}

static void on_readable(tl_stream_owner *o)
{
    go_on((visit *)o);
}

static void on_writable(tl_stream_owner *o)
{
    go_on((visit *)o);
}

static void on_reset(tl_stream_owner *o)
{
    free_visit((visit *)o, TL_CODE_CANCELLED);
}

static void on_closed(tl_stream_owner *o, const char *why)
{
    visit *v = (visit *)o;
    (void)why;
    v->frames.stream = NULL;
    free_visit(v, TL_CODE_NONE);
}

/* A peer for which there is no place is told so: a reset would be taken for a node that is not there. */
static bool may_be_told(const tl_fragment_server *s, const tl_node_id *peer)
{
    unsigned all = 0, of_peer = 0;
    const visit *v;
    DL_FOREACH (s->visits, v) {
        all += v->refused;
        of_peer += v->refused && tl_node_id_eq(&v->peer, peer);
    }
    return all < TL_FRAGMENT_SERVE_TOLD && of_peer < TL_FRAGMENT_SERVE_TOLD_OF_PEER;
}

void tl_fragment_server_on_stream(tl_fragment_server *s, const tl_node_id *peer,
                                  tl_quic_stream *stream, const tl_cluster_other *m,
                                  tl_frame_reader *reader)
{
    tl_talk talk;
    tl_err e = tl_talk_read(m->name, m->payload, &talk);
    bool place = !e && tl_holder_may_begin(s->holder, peer, &talk);
    visit *v = e || (!place && !may_be_told(s, peer)) ? NULL : calloc(1, sizeof *v);
    if (!v) {
        s->malformed += e != TL_OK;
        tl_quic_stream_set_user(stream, NULL);
        tl_quic_stream_reset(stream, e ? TL_CODE_PROTOCOL : TL_CODE_NONE);
        tl_frame_reader_clear(reader);
        return;
    }
    v->owner = (tl_stream_owner){on_readable, on_writable, on_reset, on_closed};
    v->op.on_reply = on_reply;
    v->server = s;
    v->peer = *peer;
    v->frames = (tl_frames){.stream = stream,
                            .reader = *reader,
                            .has_message = true,
                            .message = talk,
                            .body_max = talk.type == TL_TALK_PUT ? talk.u.put.size : 0};
    *reader = (tl_frame_reader){0};
    v->end = tl_env_now(&s->env) + TL_FRAGMENT_SERVE_MAX;
    DL_APPEND(s->visits, v);
    tl_quic_stream_set_user(stream, &v->owner);
    if (talk.type == TL_TALK_PUT)
        set_end(v, talk.u.put.size);
    v->refused = !place;
    v->inside = true;
    (void)tl_holder_begin(s->holder, &v->op, peer, &talk);
    v->inside = false;
    if (!place) /* it was refused, and is only to be told so */
        tl_holder_end(&v->op);
    go_on(v);
}

tl_err tl_fragment_server_new(const tl_env *env, tl_holder *holder, tl_fragment_server **ret_server)
{
    tl_fragment_server *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    *s = (tl_fragment_server){.env = *env, .holder = holder};
    *ret_server = s;
    return TL_OK;
}

void tl_fragment_server_free(tl_fragment_server *s)
{
    if (!s)
        return;
    while (s->visits)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        free_visit(s->visits, TL_CODE_CANCELLED);
    free(s);
}

static visit *next_overdue(const tl_fragment_server *s, tl_time now)
{
    visit *v;
    DL_FOREACH (s->visits, v)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (now >= v->deadline)
            return v;
    return NULL;
}

void tl_fragment_server_on_timer(tl_fragment_server *s)
{
    tl_time now = tl_env_now(&s->env);
    for (visit *v; (v = next_overdue(s, now));)
        free_visit(v, TL_CODE_CANCELLED);
}

tl_time tl_fragment_server_expiry(const tl_fragment_server *s)
{
    tl_time at = TL_NEVER;
    const visit *v;
    DL_FOREACH (s->visits, v)
        at = tl_time_min(at, v->deadline);
    return at;
}

uint64_t tl_fragment_server_malformed(const tl_fragment_server *s)
{
    return s->malformed;
}
