#include "asker_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <utlist.h>

/* --- in place of peer/peers.c --- */

tl_err tl_peers_wish(tl_peers *p, tl_peer_wish *w)
{
    tl_err e = p->wish_err;
    p->wish_err = TL_OK;
    if (e)
        return e;
    w->contact = (struct tl_contact *)p; /* waiting */
    DL_APPEND(p->wishes, w);
    return TL_OK;
}

void tl_peers_unwish(tl_peers *p, tl_peer_wish *w)
{
    if (w->contact)
        DL_DELETE(p->wishes, w);
    w->contact = NULL;
}

tl_via tl_peers_via(const tl_peers *p, tl_quic_stream *s)
{
    (void)p, (void)s;
    return TL_VIA_RELAYED;
}

/* --- the scene --- */

void asker_scene_init(asker_scene *s)
{
    tl_asker_times times = {FIRST_BYTE, SILENCE};
    *s = (asker_scene){.env = {.now = 1000 * TL_SEC}};
    tl_env env = fake_env_of(&s->env);
    assert_int_equal(tl_asker_new(&env, &s->peers, &times, &s->asker), TL_OK);
}

void asker_scene_clear(asker_scene *s)
{
    tl_asker_free(s->asker);
    assert_null(s->peers.wishes);
}

void asker_scene_ask_with(asker_scene *s, listener *l, tl_slice body)
{
    tl_ask ask = {.id = "r1",
                  .model = "m",
                  .streaming = true,
                  .path = "/v1/chat/completions",
                  .content_type = "application/json",
                  .body = body,
                  .has_peer = true,
                  .peer = {{7}}};
    listener_quiet = true;
    assert_int_equal(tl_asker_ask(s->asker, &ask, "m", &listener_sink, l, &l->exchange), TL_OK);
    listener_quiet = false;
}

void asker_scene_ask(asker_scene *s, listener *l)
{
    asker_scene_ask_with(s, l, tl_slice_str(QUESTION));
}

static tl_peer_wish *take_wish(asker_scene *s)
{
    tl_peer_wish *w = s->peers.wishes;
    assert_non_null(w);
    assert_int_equal(w->peer.key[0], 7);
    assert_false(w->connection_only);
    DL_DELETE(s->peers.wishes, w);
    w->contact = NULL;
    return w;
}

void asker_scene_grant(asker_scene *s, tl_quic_stream *stream)
{
    tl_peer_wish *w = take_wish(s);
    w->on_stream(w, stream);
}

void asker_scene_refuse(asker_scene *s, const char *why)
{
    tl_peer_wish *w = take_wish(s);
    w->on_failed(w, TL_ERR_UNREACHABLE, why);
}

void asker_scene_pass(asker_scene *s, tl_time time)
{
    s->env.now += time;
    if (s->env.now >= tl_asker_expiry(s->asker))
        tl_asker_on_timer(s->asker);
}

tl_quic_stream *asker_scene_asked(asker_scene *s, listener *l)
{
    tl_quic_stream *stream = fake_stream_new();
    asker_scene_ask(s, l);
    asker_scene_grant(s, stream);
    return stream;
}

tl_quic_stream *asker_scene_answering(asker_scene *s, listener *l)
{
    tl_quic_stream *stream = asker_scene_asked(s, l);
    fake_lay_text(stream, TL_FRAME_MESSAGE, RESPONSE("r1"));
    fake_arrives(stream);
    assert_int_equal(l->calls[ON_HEAD], 1);
    return stream;
}
