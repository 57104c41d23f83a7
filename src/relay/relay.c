#include "relay/fed_state.h"
#include "relay/state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* How much a socket that has not registered may send in one message. It is more than a register
 * message may have, so that the sender of a longer one can be told `too_large`. */
#define GREETED_MESSAGE_MAX (4 * TL_SIGNAL_SMALL_MAX)
#define CLOSE_WITHIN        (2 * TL_SEC) /* to send our close frame and for the peer to end */
#define CUT_AGAIN           (10 * TL_MS)

tl_err tl_relay_new(const tl_relay_config *config, tl_rand *rand, tl_relay **ret_relay)
{
    tl_relay *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->config = *config;
    r->rand = rand;
    if (tl_tokens_new(&config->tokens, rand, 0, &r->tokens)) {
        free(r);
        return TL_ERR_NOMEM;
    }
    tl_relay_memory_init(r);
    tl_relay_tiers_init(r);
    *ret_relay = r;
    return TL_OK;
}

void tl_relay_free(tl_relay *r)
{
    if (!r)
        return;
    tl_relay_addresses_clear(&r->addresses);
    tl_fed_free(r);
    assert(!r->conns && !r->registry.table && !r->registry.index.table && !r->sessions.table &&
           !r->addresses.table && !r->memory);
    tl_relay_bursts_sent(r);
    tl_bursts_clear(&r->bursts);
    tl_tokens_free(r->tokens);
    tl_relay_pairs_clear(&r->pairs);
    tl_relay_outputs_clear(&r->outputs);
    tl_relay_spending_clear(&r->spending);
    tl_relay_timers_clear(&r->conn_timers);
    tl_relay_timers_clear(&r->session_timers);
    tl_buf_clear(&r->leaves);
    free(r);
}

void tl_relay_set_wall(tl_relay *r, tl_unix wall, tl_time now)
{
    r->wall_offset = (double)(wall - TL_UNIX_TO_SIGNAL_DATE) - (double)now / (double)TL_SEC;
}

double tl_relay_date(const tl_relay *r, tl_time at)
{
    return r->wall_offset + (double)at / (double)TL_SEC;
}

tl_unix tl_relay_unix(const tl_relay *r, tl_time at)
{
    return (tl_unix)tl_relay_date(r, at) + TL_UNIX_TO_SIGNAL_DATE;
}

const tl_relay_counters *tl_relay_counters_of(const tl_relay *r)
{
    return &r->counters;
}

/* As the picture above tl_relay_conn_state shows. */
static bool may_become(tl_relay_conn_state from, tl_relay_conn_state to)
{
    switch (to) {
    case TL_RELAY_CONN_ACCEPTED: return false; /* connections begin with it */
    case TL_RELAY_CONN_GREETED: return from == TL_RELAY_CONN_ACCEPTED;
    case TL_RELAY_CONN_MEMBER: return from == TL_RELAY_CONN_GREETED;
    case TL_RELAY_CONN_CLOSING:
        return from == TL_RELAY_CONN_GREETED || from == TL_RELAY_CONN_MEMBER;
    case TL_RELAY_CONN_CUT: break;
    }
    return true;
}

void tl_relay_set_state(const tl_relay *r, tl_relay_conn *c, tl_relay_conn_state state)
{
    assert(may_become(c->state, state));
    assert(state == TL_RELAY_CONN_CUT || (state == TL_RELAY_CONN_MEMBER) == (c->node != NULL));
    c->state = state;
    c->began = r->now;
}

/* --- a connection's end --- */

static void send_close_frame(tl_relay *r, tl_relay_conn *c, tl_slice payload)
{
    uint8_t header[TL_WS_HEADER_MAX];
    size_t n = tl_ws_header_write(header, TL_WS_CLOSE, true, payload.n, NULL);
    tl_relay_chunk *chunk = tl_relay_chunk_new(tl_slice_of(header, n), payload);
    if (chunk)
        tl_relay_push(r, TL_RELAY_CLOSE, c, tl_slice_of(chunk->bytes, chunk->n), chunk);
    else
        tl_relay_doom(r, c);
}

static void begin_closing(tl_relay *r, tl_relay_conn *c, tl_slice close_payload)
{
    if (!tl_relay_is_open(c))
        return;
    tl_relay_leave(r, c);
    tl_relay_set_state(r, c, TL_RELAY_CONN_CLOSING);
    send_close_frame(r, c, close_payload);
    tl_relay_set_conn_timer(r, c);
}

void tl_relay_close(tl_relay *r, tl_relay_conn *c, uint16_t code, const char *reason)
{
    uint8_t payload[TL_WS_CONTROL_MAX];
    size_t n = tl_ws_close_write(payload, code, reason);
    begin_closing(r, c, tl_slice_of(payload, n));
}

static void cut(tl_relay *r, tl_relay_conn *c)
{
    if (c->state == TL_RELAY_CONN_CUT)
        return;
    tl_relay_leave(r, c);
    c->doomed = false;
    c->written_off = true;
    tl_relay_account(r, c);
    tl_relay_push(r, TL_RELAY_CUT, c, tl_slice_of(NULL, 0), NULL);
    if (!c->doomed)
        tl_relay_set_state(r, c, TL_RELAY_CONN_CUT);
    /* if it is doomed, there was no memory even for that: try again soon */
    tl_relay_timer_set(&r->conn_timers, &c->timer, c->doomed ? r->now + CUT_AGAIN : TL_NEVER);
}

/* --- deadlines --- */

static tl_time deadline_of(const tl_relay *r, const tl_relay_conn *c)
{
    tl_time at = TL_NEVER;
    switch (c->state) {
    case TL_RELAY_CONN_ACCEPTED: at = c->began + r->config.upgrade_within; break;
    case TL_RELAY_CONN_GREETED: at = c->began + r->config.register_within; break;
    case TL_RELAY_CONN_MEMBER: at = c->heard + r->config.ttl; break;
    case TL_RELAY_CONN_CLOSING: at = c->began + CLOSE_WITHIN; break;
    case TL_RELAY_CONN_CUT: return TL_NEVER;
    }
    if (c->doomed)
        return c->timer.at < at ? c->timer.at : at;
    if (tl_relay_is_open(c))
        at = tl_time_min(at, c->rests_until);
    if (c->unfinished != TL_NEVER && tl_relay_is_open(c))
        at = tl_time_min(at, c->unfinished + r->config.message_within);
    if (c->queued)
        at = tl_time_min(at, tl_time_min(c->progress + r->config.stalled_max,
                                         c->window + r->config.slow_within));
    return at;
}

void tl_relay_set_conn_timer(tl_relay *r, tl_relay_conn *c)
{
    tl_relay_timer_set(&r->conn_timers, &c->timer, deadline_of(r, c));
}

/* False: the window is over, and too little of the queue was written in it. */
static bool reads_enough(tl_relay *r, tl_relay_conn *c)
{
    if (!c->queued || c->window + r->config.slow_within > r->now)
        return true;
    if (c->window_bytes < r->config.slow_bytes)
        return false;
    c->window = r->now;
    c->window_bytes = 0;
    return true;
}

static void on_conn_due(tl_relay *r, tl_relay_conn *c)
{
    bool slow = !reads_enough(r, c);
    if (deadline_of(r, c) > r->now) { /* a frame came since the timer was set */
        tl_relay_set_conn_timer(r, c);
    } else if (c->doomed) {
        cut(r, c);
    } else if (tl_relay_is_open(c) && c->rests_until <= r->now) {
        tl_relay_end_rest(r, c);
    } else if (c->queued && c->progress + r->config.stalled_max <= r->now) {
        r->counters.cut_stalled++;
        cut(r, c);
    } else if (slow) {
        r->counters.cut_slow++;
        cut(r, c);
    } else if (tl_relay_is_open(c) && c->unfinished != TL_NEVER &&
               c->unfinished + r->config.message_within <= r->now) {
        r->counters.cut_unfinished++;
        tl_relay_close(r, c, TL_WS_POLICY, "a message was not finished in time");
    } else if (c->state == TL_RELAY_CONN_GREETED) {
        r->counters.expired_register++;
        tl_relay_close(r, c, TL_WS_POLICY, "not registered in time");
    } else if (c->state == TL_RELAY_CONN_MEMBER) {
        r->counters.expired_ttl++;
        tl_relay_close(r, c, TL_WS_GOING_AWAY, "nothing was heard from this node for too long");
    } else {
        r->counters.expired_upgrade += c->state == TL_RELAY_CONN_ACCEPTED;
        cut(r, c);
    }
}

void tl_relay_on_timer(tl_relay *r, tl_time now)
{
    tl_relay_timer *t;
    r->now = now;
    tl_relay_move_sides(r);
    while ((t = tl_relay_timers_due(&r->session_timers, now)))
        tl_relay_on_session_timer(
            r, (tl_relay_session *)((char *)t - offsetof(tl_relay_session, timer)));
    while ((t = tl_relay_timers_due(&r->conn_timers, now))) {
        if (t == &r->tick)
            tl_relay_tell_presence(r);
        else if (r->fed && t == &r->fed->timer)
            tl_fed_on_timer(r);
        else
            on_conn_due(r, (tl_relay_conn *)((char *)t - offsetof(tl_relay_conn, timer)));
    }
}

tl_time tl_relay_expiry(const tl_relay *r)
{
    return tl_time_min(tl_tokens_expiry(r->tokens),
                       tl_time_min(tl_relay_timers_expiry(&r->conn_timers),
                                   tl_relay_timers_expiry(&r->session_timers)));
}

/* --- connections --- */

void tl_relay_not_new(tl_relay *r, tl_relay_conn *c)
{
    if (!c->is_new)
        return;
    c->is_new = false;
    r->new_count--;
    r->new_memory -= c->memory;
    DL_DELETE2(r->oldest_new, c, prev_new, next_new);
}

/* An honest node registers at once, so the oldest of too many is most likely none. */
static void begin_unregistered(tl_relay *r, tl_relay_conn *c)
{
    if (r->new_count >= r->config.unregistered_max && r->oldest_new) {
        r->counters.cut_unregistered++;
        tl_relay_doom(r, r->oldest_new);
    }
    c->is_new = true;
    r->new_count++;
    DL_APPEND2(r->oldest_new, c, prev_new, next_new);
}

static tl_err accept_conn(tl_relay *r, const tl_addr *remote, bool untold, const tl_addr *local,
                          bool tls, void *user, tl_time now, tl_relay_conn **ret_conn)
{
    tl_err e = TL_ERR_BUSY;
    r->now = now;
    tl_relay_conn *c = NULL;
    if (r->closing || r->counters.conns_open >= r->config.conns_max)
        goto out;
    e = tl_relay_timers_reserve(&r->conn_timers,
                                r->counters.conns_open + 3); /* two more for the ticks */
    if (e)
        goto out;
    e = TL_ERR_NOMEM;
    c = calloc(1, sizeof *c);
    if (!c)
        goto out;
    e = untold ? tl_relay_address_add_untold(&r->addresses, remote, now, &c->address)
               : tl_relay_address_add(&r->addresses, remote, &r->config, now, &c->address);
    if (e)
        goto out;
    c->number = ++r->last_number;
    c->user = user;
    c->remote = tl_addr_normal(*remote);
    c->local = *local;
    c->tls = tls;
    c->untold = untold;
    if (!untold)
        tl_relay_charge_begin(r, c);
    assert(c->state == TL_RELAY_CONN_ACCEPTED);
    c->began = c->heard = now;
    c->unfinished = TL_NEVER;
    c->control = tl_ratelimit_make(r->config.control_per_sec, r->config.control_burst, now);
    c->discover = tl_ratelimit_make(r->config.discover_per_sec, r->config.discover_burst, now);
    c->changes = tl_ratelimit_make(TL_FED_CHANGES_PER_SEC, TL_FED_CHANGES_BURST, now);
    c->worthless = tl_ratelimit_make(r->config.control_per_sec, r->config.control_burst, now);
    c->rests_until = TL_NEVER;
    tl_ws_reader_init(&c->reader, true, r->config.message_max);
    DL_APPEND(r->conns, c);
    begin_unregistered(r, c);
    r->counters.conns_open++;
    r->counters.conns_accepted++;
    tl_relay_set_conn_timer(r, c);
    tl_relay_account_begin(r, c);
    *ret_conn = c;
    return TL_OK;
out:
    r->counters.conns_refused++;
    free(c);
    return e;
}

tl_err tl_relay_accept(tl_relay *r, const tl_addr *remote, const tl_addr *local, bool tls,
                       void *user, tl_time now, tl_relay_conn **ret_conn)
{
    return accept_conn(r, remote, false, local, tls, user, now, ret_conn);
}

tl_err tl_relay_accept_untold(tl_relay *r, const tl_addr *proxy, const tl_addr *local, bool tls,
                              void *user, tl_time now, tl_relay_conn **ret_conn)
{
    return accept_conn(r, proxy, true, local, tls, user, now, ret_conn);
}

void tl_relay_on_upgraded(tl_relay *r, tl_relay_conn *c, tl_time now)
{
    uint8_t nonce[TL_SIGNAL_NONCE_HEX / 2];
    tl_buf json = {0};
    r->now = now;
    if (c->state != TL_RELAY_CONN_ACCEPTED)
        return; /* the connection was cut in the meantime */
    assert(!c->untold);
    tl_rand_bytes(r->rand, nonce, sizeof nonce);
    tl_hex_write(c->nonce, nonce, sizeof nonce);
    tl_relay_set_state(r, c, TL_RELAY_CONN_GREETED);
    c->heard = now;
    if (r->config.message_max > GREETED_MESSAGE_MAX)
        c->reader.message_max = GREETED_MESSAGE_MAX;
    tl_signal_features features = {.relay_token = true, .goodbye = true};
    if (tl_signal_write_challenge(&json, c->nonce, features)) {
        r->counters.cut_memory++;
        tl_relay_doom(r, c);
    } else {
        tl_relay_send_text(r, c, tl_buf_slice(&json));
        tl_relay_set_conn_timer(r, c);
    }
    tl_buf_clear(&json);
}

void tl_relay_on_written(tl_relay *r, tl_relay_conn *c, size_t n, tl_time now)
{
    r->now = now;
    assert(n <= c->queued);
    if (n)
        c->queue_cost -= c->queue_cost * n / c->queued;
    c->queued -= n;
    c->window_bytes += n;
    r->counters.queue_bytes -= n;
    c->congested = tl_relay_waiting(c) > 0;
    tl_relay_refill(r, c);
    tl_relay_account(r, c);
    if (n)
        c->progress = now;
    if (c->queued && c->timer.at > deadline_of(r, c))
        tl_relay_set_conn_timer(r, c);
}

void tl_relay_on_held(tl_relay *r, tl_relay_conn *c, size_t n, tl_time now)
{
    r->now = now;
    if (c->held == n)
        return;
    c->held = n;
    tl_relay_account(r, c);
}

void tl_relay_on_gone(tl_relay *r, tl_relay_conn *c, tl_time now)
{
    r->now = now;
    tl_relay_set_state(r, c, TL_RELAY_CONN_CUT); /* from now on nothing is output for it */
    tl_relay_leave(r, c);
    tl_relay_outputs_forget(&r->outputs, c);
    tl_relay_timer_set(&r->conn_timers, &c->timer, TL_NEVER);
    tl_relay_account_end(r, c);
    tl_relay_not_new(r, c);
    tl_relay_address_drop(&r->addresses, c->address, c->counted_registered, now);
    tl_ws_reader_clear(&c->reader);
    DL_DELETE(r->conns, c);
    r->counters.conns_open--;
    r->counters.queue_bytes -= c->queued;
    free(c);
}

void tl_relay_shutdown(tl_relay *r, tl_time now)
{
    r->now = now;
    r->closing = true;
    tl_fed_end(r);
    tl_relay_conn *c, *next;
    DL_FOREACH_SAFE (r->conns, c, next) {
        if (c->state == TL_RELAY_CONN_ACCEPTED)
            cut(r, c);
        else
            tl_relay_close(r, c, TL_WS_GOING_AWAY, "relay is shutting down");
    }
}

bool tl_relay_next_output(tl_relay *r, tl_relay_output *ret_output)
{
    return tl_relay_outputs_pop(&r->outputs, ret_output);
}

/* --- messages --- */

static tl_signal_code code_of(const tl_signal *s, tl_err e)
{
    switch (e) {
    case TL_ERR_PROTO: return TL_SIGNAL_INVALID_JSON;
    case TL_ERR_TOO_LARGE: return TL_SIGNAL_TOO_LARGE;
    case TL_ERR_INVALID:
        /* there was a payload, but it was not a registration */
        return s->type == TL_SIGNAL_REGISTER && s->payload.n ? TL_SIGNAL_INVALID_REGISTER
                                                             : TL_SIGNAL_INVALID_MESSAGE;
    default: return TL_SIGNAL_BUSY;
    }
}

static const char *words_for(tl_signal_code code)
{
    switch (code) {
    case TL_SIGNAL_INVALID_JSON: return "not strict JSON, or nested too deep";
    case TL_SIGNAL_TOO_LARGE: return "larger than this type of message may be";
    case TL_SIGNAL_INVALID_REGISTER: return "not a registration";
    case TL_SIGNAL_BUSY: return "out of memory";
    default: return "not a message of this protocol";
    }
}

static void on_bad_text(tl_relay *r, tl_relay_conn *c, const tl_signal *s, tl_err e)
{
    tl_signal_code code = code_of(s, e);
    tl_relay_send_error(r, c, code, words_for(code), s->type_name);
    if (code == TL_SIGNAL_INVALID_REGISTER) {
        tl_relay_count_refused(r, c, TL_RELAY_REFUSED_INVALID);
        tl_relay_close(r, c, TL_WS_POLICY, "invalid registration");
    }
}

static void on_text(tl_relay *r, tl_relay_conn *c, const tl_ws_event *ev)
{
    tl_signal s;
    tl_slice text = tl_slice_of(ev->payload, ev->n);
    r->counters.messages_in++;
    tl_signal_peek(text, TL_SIGNAL_AT_RELAY, &s);
    bool is_data = s.type == TL_SIGNAL_RELAY_DATA && c->node;
    if (!is_data && !tl_relay_is_within_rate(r, c, &s, text))
        return;
    tl_err e = tl_signal_scan(text, TL_SIGNAL_AT_RELAY, &s);
    if (e) {
        if (!is_data || tl_relay_is_within_rate(r, c, &s, text))
            on_bad_text(r, c, &s, e);
        return;
    }
    if (s.type == TL_SIGNAL_REGISTER)
        tl_relay_on_register(r, c, &s);
    else if (!c->node)
        tl_relay_send_error(r, c, TL_SIGNAL_NOT_REGISTERED, "register first", s.type_name);
    else if (s.type == TL_SIGNAL_DISCOVER)
        tl_relay_on_discover(r, c, &s);
    else if (tl_signal_is_routed(s.type))
        tl_relay_route(r, c->node, &s, ev->payload, ev->n, ev->in_place);
    else
        tl_relay_send_error(r, c, TL_SIGNAL_UNSUPPORTED_MESSAGE, "this relay has no such message",
                            s.type_name);
    tl_signal_clear(&s);
}

/* Of several pings only the newest needs an answer (RFC 6455 5.5.3). */
static void answer_ping(tl_relay *r, tl_relay_conn *c, const tl_ws_event *ping)
{
    if (!ping->payload)
        return;
    uint8_t *start = ping->payload - tl_ws_header_size(ping->n, false);
    tl_ws_header_write(start, TL_WS_PONG, true, ping->n, NULL);
    tl_relay_emit(r, c, tl_slice_of(start, (size_t)(ping->payload - start) + ping->n), NULL);
}

static void on_peer_close(tl_relay *r, tl_relay_conn *c, uint16_t code)
{
    uint8_t payload[TL_WS_CONTROL_MAX];
    size_t n = code == TL_WS_NO_STATUS ? 0 : tl_ws_close_write(payload, code, "");
    begin_closing(r, c, tl_slice_of(payload, n));
}

static void on_event(tl_relay *r, tl_relay_conn *c, const tl_ws_event *ev)
{
    switch (ev->kind) {
    case TL_WS_EVENT_MORE: break;
    case TL_WS_EVENT_PART:
    case TL_WS_EVENT_PONG:
    case TL_WS_EVENT_PING: tl_relay_charge_frame(r, c); break;
    case TL_WS_EVENT_CLOSE: on_peer_close(r, c, ev->close_code); break;
    case TL_WS_EVENT_FAIL:
        r->counters.closed_protocol++;
        tl_relay_close(r, c, ev->close_code, "");
        break;
    case TL_WS_EVENT_MESSAGE:
        if (ev->opcode == TL_WS_TEXT)
            on_text(r, c, ev);
        else if (c->node && c->node->features.relay_token)
            tl_relay_on_binary(r, c, ev->payload, ev->n, ev->in_place);
        else if (tl_relay_is_within_rate(r, c, &(tl_signal){.type = TL_SIGNAL_UNKNOWN},
                                         tl_slice_of(NULL, 0)))
            tl_relay_send_error(r, c, TL_SIGNAL_UNSUPPORTED_MESSAGE,
                                "binary messages are for nodes that registered with relay-token",
                                tl_slice_of(NULL, 0));
        break;
    }
}

/* `under_way`: the beginning of a message has come, but not its end. */
static void watch_unfinished(tl_relay *r, tl_relay_conn *c, bool under_way)
{
    if (!under_way) {
        c->unfinished = TL_NEVER;
    } else if (c->unfinished == TL_NEVER) {
        c->unfinished = r->now;
        if (c->timer.at > deadline_of(r, c))
            tl_relay_set_conn_timer(r, c);
    }
}

void tl_relay_on_bytes(tl_relay *r, tl_relay_conn *c, uint8_t *bytes, size_t n, tl_time now,
                       size_t *ret_used, size_t *ret_need)
{
    size_t used = 0, need = 2;
    tl_ws_event ping = {0}; /* the newest that is not answered */
    r->now = now;
    while (tl_relay_is_open(c) && used < n) {
        tl_ws_event ev;
        tl_time when = tl_relay_wait_for_limit(r, c, bytes + used, n - used);
        if (when > now) {
            r->counters.waits++;
            tl_relay_rest(r, c, when);
            break;
        }
        tl_ws_reader_next(&c->reader, bytes + used, n - used, &ev);
        need = ev.need;
        if (ev.kind == TL_WS_EVENT_MORE)
            break;
        c->heard = now;
        r->counters.frames_in++;
        if (ev.kind == TL_WS_EVENT_PING) {
            ping = ev;
        } else if (ev.kind == TL_WS_EVENT_CLOSE || ev.kind == TL_WS_EVENT_FAIL) {
            answer_ping(r, c, &ping);
            ping.payload = NULL;
        }
        on_event(r, c, &ev);
        used += ev.used;
        if (!c->reader.opcode)
            c->unfinished = TL_NEVER;
    }
    answer_ping(r, c, &ping);
    tl_ws_reader_done(&c->reader);
    tl_relay_rest_if_indebted(r, c);
    watch_unfinished(r, c, c->rests_until == TL_NEVER && (used < n || c->reader.opcode));
    tl_relay_account(r, c);
    *ret_used = tl_relay_is_open(c) ? used : n;
    *ret_need = need > 2 ? need : 2;
}
