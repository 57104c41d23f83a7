#include "backup/ask.h"

#include "backup/frames.h"
#include "wire/codes.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <utlist.h>

/*  WISHING --a stream--> ASKING --the whole answer, or a failure--> freed          */
typedef struct request {
    tl_stream_owner owner; /* first */
    tl_peer_wish wish;
    tl_fragment_asker *asker;
    tl_fragment_call *call;
    tl_talk m;
    tl_slice body;
    tl_frames frames; /* frames.stream NULL: WISHING */
    tl_time deadline, end;
    struct request *prev, *next;
} request;

struct tl_fragment_asker {
    tl_exchanges exchanges;
    tl_env env;
    tl_peers *peers;
    request *requests;
};

static void free_request(request *r)
{
    tl_peers_unwish(r->asker->peers, &r->wish);
    tl_frames_clear(&r->frames, TL_CODE_CANCELLED);
    DL_DELETE(r->asker->requests, r);
    free(r);
}

static void fail(request *r, tl_err e, const char *why)
{
    tl_fragment_call *c = r->call;
    tl_env env = r->asker->env;
    free_request(r);
    c->impl = NULL;
    c->on_answer(c, e, NULL, tl_slice_of(NULL, 0), why);
    tl_env_wake(&env);
}

static tl_err error_of(tl_talk_code c)
{
    switch (c) {
    case TL_TALK_NOT_FOUND: return TL_ERR_NOT_FOUND;
    case TL_TALK_FORBIDDEN: return TL_ERR_FORBIDDEN;
    case TL_TALK_FULL: return TL_ERR_BUSY;
    case TL_TALK_INVALID: return TL_ERR_PROTO;
    case TL_TALK_UNAVAILABLE: return TL_ERR_AGAIN;
    }
    return TL_ERR_PROTO;
}

/* Does a message of this type answer the request? */
static bool answers(tl_talk_type asked, tl_talk_type answer)
{
    switch (asked) {
    case TL_TALK_PUT: return answer == TL_TALK_RECEIPT;
    case TL_TALK_GET: return answer == TL_TALK_CONTENT;
    case TL_TALK_PROVE: return answer == TL_TALK_PROOF;
    default: return answer == TL_TALK_DONE;
    }
}

static void on_answer(request *r)
{
    const tl_talk *answer = &r->frames.message;
    if (answer->type == TL_TALK_ERROR) {
        char why[TL_TALK_WORDS_MAX];
        memcpy(why, answer->u.error.message, sizeof why);
        fail(r, error_of(answer->u.error.code), why);
        return;
    }
    size_t n = answer->type == TL_TALK_CONTENT ? answer->u.content : 0;
    if (!answers(r->m.type, answer->type) || r->frames.content.len != n) {
        fail(r, TL_ERR_PROTO, "the node answered something else");
        return;
    }
    tl_fragment_call *c = r->call;
    tl_env env = r->asker->env;
    tl_talk m = *answer;
    tl_buf content = r->frames.content;
    r->frames.content = (tl_buf){0};
    free_request(r);
    c->impl = NULL;
    c->on_answer(c, TL_OK, &m, tl_buf_slice(&content), "");
    tl_buf_clear(&content);
    tl_env_wake(&env);
}

static void set_deadline(request *r)
{
    tl_fragment_asker *a = r->asker;
    r->deadline = tl_time_min(tl_env_now(&a->env) + TL_FRAGMENT_ASK_IDLE, r->end);
    tl_env_wake(&a->env);
}

/* --- the stream --- */

static void on_readable(tl_stream_owner *o)
{
    request *r = (request *)o;
    tl_err e;
    while ((e = tl_frames_read_on(&r->frames)) == TL_ERR_EXISTS)
        r->frames.body_max =
            r->frames.message.type == TL_TALK_CONTENT ? r->frames.message.u.content : 0;
    if (e == TL_ERR_AGAIN)
        set_deadline(r);
    else if (e)
        fail(r, e, e == TL_ERR_NOMEM ? "out of memory" : "the node spoke nonsense");
    else
        on_answer(r);
}

static void on_writable(tl_stream_owner *o)
{
    request *r = (request *)o;
    tl_err e = tl_frames_write_on(&r->frames);
    if (e)
        fail(r, e, "out of memory");
    else
        set_deadline(r);
}

static void on_reset(tl_stream_owner *o)
{
    fail((request *)o, TL_ERR_UNREACHABLE, "the node broke the request off");
}

static void on_closed(tl_stream_owner *o, const char *why)
{
    request *r = (request *)o;
    r->frames.stream = NULL;
    fail(r, TL_ERR_UNREACHABLE, why);
}

static request *of_wish(tl_peer_wish *w)
{
    return (request *)((char *)w - offsetof(request, wish));
}

static void on_stream(tl_peer_wish *w, tl_quic_stream *s)
{
    request *r = of_wish(w);
    r->owner = (tl_stream_owner){on_readable, on_writable, on_reset, on_closed};
    r->frames.stream = s;
    tl_quic_stream_set_user(s, &r->owner);
    tl_err e = tl_frames_say(&r->frames, &r->m, r->body);
    if (e)
        fail(r, e, "out of memory");
    else
        on_writable(&r->owner);
}

static void on_no_stream(tl_peer_wish *w, tl_err e, const char *why)
{
    request *r = of_wish(w);
    fail(r, e == TL_ERR_TIMEOUT || e == TL_ERR_NOMEM ? e : TL_ERR_UNREACHABLE, why);
}

/* --- tl_exchanges --- */

static tl_err ask(void *user, tl_fragment_call *c, const tl_node_id *peer, const tl_talk *m,
                  tl_slice body)
{
    tl_fragment_asker *a = user;
    request *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->asker = a;
    r->call = c;
    r->m = *m;
    r->body = body;
    r->wish = (tl_peer_wish){.peer = *peer, .on_stream = on_stream, .on_failed = on_no_stream};
    r->end = tl_env_now(&a->env) + TL_FRAGMENT_ASK_MAX;
    tl_err e = tl_peers_wish(a->peers, &r->wish);
    if (e) {
        free(r);
        return e == TL_ERR_BUSY ? TL_ERR_AGAIN : e;
    }
    c->impl = r;
    DL_APPEND(a->requests, r);
    set_deadline(r); /* a connection has its own, shorter one */
    return TL_OK;
}

static void cancel(void *user, tl_fragment_call *c)
{
    (void)user;
    if (c->impl)
        free_request(c->impl);
    c->impl = NULL;
}

tl_err tl_fragment_asker_new(const tl_env *env, tl_peers *peers, tl_fragment_asker **ret_asker)
{
    static const tl_exchanges_calls calls = {ask, cancel};
    tl_fragment_asker *a = calloc(1, sizeof *a);
    if (!a)
        return TL_ERR_NOMEM;
    *a = (tl_fragment_asker){.exchanges = {&calls, a}, .env = *env, .peers = peers};
    *ret_asker = a;
    return TL_OK;
}

void tl_fragment_asker_free(tl_fragment_asker *a)
{
    if (!a)
        return;
    assert(!a->requests);
    free(a);
}

tl_exchanges *tl_fragment_asker_exchanges(tl_fragment_asker *a)
{
    return &a->exchanges;
}

static request *next_overdue(const tl_fragment_asker *a, tl_time now)
{
    request *r;
    DL_FOREACH (a->requests, r)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (now >= r->deadline)
            return r;
    return NULL;
}

void tl_fragment_asker_on_timer(tl_fragment_asker *a)
{
    tl_time now = tl_env_now(&a->env);
    for (request *r; (r = next_overdue(a, now));)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        fail(r, TL_ERR_TIMEOUT, "the node did not answer in time");
}

tl_time tl_fragment_asker_expiry(const tl_fragment_asker *a)
{
    tl_time at = TL_NEVER;
    const request *r;
    DL_FOREACH (a->requests, r)
        at = tl_time_min(at, r->deadline);
    return at;
}
