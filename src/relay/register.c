#include "relay/admission.h"
#include "relay/fed_state.h"
#include "relay/state.h"

#define PROOF_COST (100 * TL_US) /* the time to check a signature */
/* A change is told to all other relays: each of them, and Redis, has so many bytes to carry in a microsecond.
 * Of a join, so many bytes are free: those of an honest office that comes back. */
#define BYTES_TOLD 10
#define BYTES_FREE (8u << 10)
/* A node with this many unread bytes (one page) gets no further answers to its questions. */
#define UNREAD_MAX TL_RELAY_PAGE_BYTES_MAX

void tl_relay_leave(tl_relay *r, tl_relay_conn *c)
{
    tl_relay_node *n = c->node;
    if (!n)
        return;
    tl_relay_end_sessions(r, n);
    tl_relay_drop_lines(r, c);
    tl_relay_left(r, n);
    tl_fed_left(r, n);
    c->node = NULL;
    c->recent = NULL;
    r->counters.nodes_registered--;
    tl_relay_registry_remove(&r->registry, n);
    tl_relay_account(r, c);
}

void tl_relay_replace(tl_relay *r, tl_relay_node *n)
{
    tl_relay_conn *old = n->conn;
    tl_relay_end_sessions(r, n);
    tl_relay_drop_lines(r, old);
    old->node = NULL;
    old->recent = NULL;
    tl_relay_account(r, old);
    r->counters.replaced++;
    tl_relay_send_error(r, old, TL_SIGNAL_REPLACED, "this node registered on another connection",
                        tl_slice_of(NULL, 0));
    tl_relay_close(r, old, TL_WS_SERVICE_RESTART, "replaced by a newer connection");
}

static void enter(tl_relay *r, tl_relay_conn *c, tl_relay_node *n, bool joined)
{
    bool came = joined || n->away;
    if (n->away)
        tl_fed_came(r, n);
    else if (!joined)
        tl_relay_replace(r, n);
    n->conn = c;
    n->knows_changed = false;
    c->node = n;
    tl_relay_set_state(r, c, TL_RELAY_CONN_MEMBER);
    c->reader.message_max = r->config.message_max;
    tl_relay_address_registered(c->address);
    tl_relay_not_new(r, c);
    c->counted_registered = true;
    tl_relay_tiers_enter(r, n);
    tl_relay_set_conn_timer(r, c);
    r->counters.nodes_registered += came;
    if (joined)
        tl_relay_joined(r, n);
}

void tl_relay_send_ack(tl_relay *r, tl_relay_conn *c)
{
    tl_buf json = {0};
    char observed[TL_ADDR_TEXT_MAX];
    tl_addr_write(observed, &c->remote);
    unsigned ttl = (unsigned)(r->config.ttl / TL_SEC);
    if (tl_signal_write_ack(&json, c->node->hex, tl_relay_date(r, r->now), ttl, r->config.udp,
                            observed, c->node->profile.models_kept))
        tl_relay_send_error(r, c, TL_SIGNAL_BUSY, "out of memory", tl_slice_of(NULL, 0));
    else
        tl_relay_send_text(r, c, tl_buf_slice(&json));
    tl_buf_clear(&json);
    tl_relay_tell_goodbye(r, c);
}

void tl_relay_count_refused(tl_relay *r, const tl_relay_conn *c, tl_relay_refusal reason)
{
    r->counters.registrations_refused[reason]++;
    r->refused = (tl_relay_refused){.remote = c->remote, .reason = reason};
}

bool tl_relay_last_refused(const tl_relay *r, tl_relay_refused *ret_refused)
{
    if (r->refused.remote.family == TL_ADDR_NONE)
        return false;
    *ret_refused = r->refused;
    return true;
}

static void have_no_memory(tl_relay *r, tl_relay_conn *c)
{
    tl_relay_count_refused(r, c, TL_RELAY_REFUSED_MEMORY);
    tl_relay_send_error(r, c, TL_SIGNAL_BUSY, "out of memory", TL_SLICE_LIT("register"));
}

static void refuse(tl_relay *r, tl_relay_conn *c, tl_signal_code code, const char *message)
{
    tl_relay_count_refused(
        r, c, code == TL_SIGNAL_UNAUTHORIZED ? TL_RELAY_REFUSED_PROOF : TL_RELAY_REFUSED_INVALID);
    tl_relay_send_error(r, c, code, message, TL_SLICE_LIT("register"));
    tl_relay_close(r, c, TL_WS_POLICY, message);
}

void tl_relay_on_register(tl_relay *r, tl_relay_conn *c, const tl_signal *s)
{
    tl_signal_register registration;
    tl_node_id id;
    tl_relay_node *n;
    bool joined;
    if (tl_signal_read_register(s, &registration)) {
        refuse(r, c, TL_SIGNAL_INVALID_REGISTER,
               "a field is missing, of a wrong type or out of range");
        return;
    }
    if (c->node && strcmp(registration.node_id, c->node->hex) != 0) {
        tl_relay_count_refused(r, c, TL_RELAY_REFUSED_IDENTITY);
        tl_relay_send_error(r, c, TL_SIGNAL_FORBIDDEN, "this connection belongs to another node",
                            TL_SLICE_LIT("register"));
        return;
    }
    tl_relay_address_worked(c->address, PROOF_COST, r->now);
    tl_err e = tl_relay_admit(&r->config, &c->local, c->tls, c->nonce, &registration, &id);
    if (e == TL_ERR_NOMEM) {
        have_no_memory(r, c);
        return;
    }
    if (e) {
        refuse(r, c, e == TL_ERR_PROTO ? TL_SIGNAL_INVALID_REGISTER : TL_SIGNAL_UNAUTHORIZED,
               e == TL_ERR_PROTO ? "nodeID is not a key" : "no proof of this key for this relay");
        return;
    }
    if (tl_relay_registry_put(&r->registry, &id, &registration, &n, &joined)) {
        have_no_memory(r, c);
        return;
    }
    r->counters.registrations++;
    r->counters.lists_cut += n->profile.models_kept >= 0;
    bool is_new = n != c->node;
    if (is_new)
        enter(r, c, n, joined);
    size_t told = tl_relay_node_memory(n), free_of_charge = is_new ? BYTES_FREE : 0;
    if (r->fed && told > free_of_charge)
        tl_relay_address_worked(c->address, (told - free_of_charge) / BYTES_TOLD * TL_US, r->now);
    tl_relay_account(r, c);
    if (!tl_fed_registered(r, n, is_new))
        tl_relay_send_ack(r, c);
}

static double last_seen(const void *user, const tl_relay_node *n)
{
    return tl_relay_date(user, n->conn ? n->conn->heard : n->away->peer->heard);
}

void tl_relay_on_discover(tl_relay *r, tl_relay_conn *c, const tl_signal *s)
{
    tl_signal_discover d;
    tl_buf json = {0};
    tl_slice about = TL_SLICE_LIT("discover");
    if (tl_signal_read_discover(s, &d)) {
        tl_relay_send_error(r, c, TL_SIGNAL_INVALID_MESSAGE,
                            "a field is missing, of a wrong type or out of range", about);
        return;
    }
    if (strcmp(d.requesting_node_id, c->node->hex) != 0) {
        tl_relay_send_error(r, c, TL_SIGNAL_FORBIDDEN, "requestingNodeID names another node",
                            about);
        return;
    }
    if (!tl_ratelimit_take(&c->discover, 1, r->now)) {
        tl_relay_send_error(r, c, TL_SIGNAL_RATE_LIMITED, "too many discovers", about);
        return;
    }
    if (c->queued >= UNREAD_MAX) {
        tl_relay_send_error(r, c, TL_SIGNAL_BUSY, "earlier answers are not read yet", about);
        return;
    }
    c->node->knows_changed = false;
    tl_relay_query query = {.filter = &d,
                            .bytes_max = r->config.message_max < TL_RELAY_PAGE_BYTES_MAX
                                             ? r->config.message_max
                                             : TL_RELAY_PAGE_BYTES_MAX,
                            .last_seen = last_seen,
                            .user = r};
    tl_err e = tl_relay_registry_list(&r->registry, c->node, &query, &json);
    tl_relay_address_worked(c->address, (query.passed / 32 + json.len / 350) * TL_US, r->now);
    if (e == TL_ERR_INVALID)
        tl_relay_send_error(r, c, TL_SIGNAL_INVALID_MESSAGE, "no such cursor", about);
    else if (e)
        tl_relay_send_error(r, c, TL_SIGNAL_BUSY, "out of memory", about);
    else
        tl_relay_send_text(r, c, tl_buf_slice(&json));
    tl_buf_clear(&json);
}
