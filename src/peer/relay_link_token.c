/* Sessions whose datagrams the relay carries as `token || datagram`; and a relay's goodbye. */
#include "peer/relay_link_state.h"
#include "wire/signalread.h"

void tl_relay_link_on_relay_offer(tl_relay_link *l, const tl_signal *m)
{
    tl_signal_relay_offer o;
    _Static_assert(sizeof o.token == TL_RELAY_TOKEN, "a token is a token");
    tl_link_session *s = NULL;
    if (l->state == TL_LINK_REGISTERED && l->events.on_offer && !tl_signal_read_relay_offer(m, &o))
        s = tl_link_sessions_by_id(&l->sessions, tl_slice_str(o.session));
    if (!s || !s->ready || s->has_token) {
        l->counters.ignored++;
        return;
    }
    s->has_token = true;
    memcpy(s->token, o.token, sizeof s->token);
    tl_relay_offer offer = {.session = s->id,
                            .token = s->token,
                            .udp = o.udp ? o.udp : "",
                            .expires_at = o.expires_at,
                            .limit = o.limit_bytes_per_second};
    l->events.on_offer(l->user, s->path, &offer);
}

void tl_relay_link_on_relay_warning(tl_relay_link *l, const tl_signal *m)
{
    tl_signal_relay_warning w;
    const tl_link_session *s = NULL;
    if (l->state == TL_LINK_REGISTERED && l->events.on_warning &&
        !tl_signal_read_relay_warning(m, &w))
        s = tl_link_sessions_by_id(&l->sessions, tl_slice_str(w.session));
    if (!s) {
        l->counters.ignored++;
        return;
    }
    l->events.on_warning(l->user, s->path, w.ends_at);
}

void tl_relay_link_on_binary(tl_relay_link *l, uint8_t *data, size_t n)
{
    l->counters.messages_in++;
    if (l->state != TL_LINK_REGISTERED || !l->events.on_payload) {
        l->counters.ignored++;
        return;
    }
    l->counters.datagrams_in++;
    l->counters.packets_in++;
    l->events.on_payload(l->user, data, n);
}

tl_err tl_relay_link_send_packet(tl_relay_link *l, tl_path_id path, tl_slice datagram)
{
    const tl_link_session *s = tl_link_sessions_by_path(&l->sessions, path);
    bool can = s && s->ready && s->has_token && l->state == TL_LINK_REGISTERED;
    tl_err e = can && l->wire.begin_binary ? TL_OK : TL_ERR_NOT_FOUND;
    uint8_t *room;
    if (!e)
        e = l->wire.begin_binary(l->wire_user, sizeof s->token + datagram.n, &room);
    if (e) {
        l->counters.datagrams_dropped++;
        return e;
    }
    memcpy(room, s->token, sizeof s->token);
    if (datagram.n)
        memcpy(room + sizeof s->token, datagram.p, datagram.n);
    l->wire.commit(l->wire_user);
    l->counters.messages_out++;
    l->counters.datagrams_out++;
    l->counters.packets_out++;
    return TL_OK;
}

bool tl_relay_link_has(const tl_relay_link *l, tl_path_id path)
{
    return tl_link_sessions_by_path(&l->sessions, path) != NULL;
}

size_t tl_relay_link_sessions(const tl_relay_link *l)
{
    return tl_link_sessions_count(&l->sessions);
}

void tl_relay_link_on_goodbye(tl_relay_link *l, const tl_signal *m)
{
    tl_signal_goodbye g;
    if (!l->events.on_goodbye || tl_signal_read_goodbye(m, &g))
        l->counters.ignored++;
    else
        l->events.on_goodbye(l->user, g.in_seconds);
}
