/* This node joins: an invite is stored, its maker is asked, and asked again, until it answers. */
#include "members/state.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void set_state(tl_joining *j, tl_joining_state state, tl_time at)
{
    assert(j->state != TL_JOINING_ADMITTED || state == TL_JOINING_DUE);
    assert(state != TL_JOINING_ASKED || j->state == TL_JOINING_CONNECTING ||
           j->state == TL_JOINING_DUE);
    assert(state != TL_JOINING_STORING);
    j->state = state;
    j->at = at;
    tl_members_rearm(j->members, at);
}

static void free_joining(tl_joining *j)
{
    tl_members *m = j->members;
    DL_DELETE(m->joins, j);
    m->n_joins--;
    free(j);
}

static void try_again(tl_joining *j, const char *why)
{
    snprintf(j->why, sizeof j->why, "%s", why);
    set_state(j, TL_JOINING_DUE, tl_members_now(j->members) + j->pause);
    j->pause = tl_time_min(2 * j->pause, TL_MEMBERS_RETRY_MAX);
}

/* The end of it. `r` NONE: joined. */
static void end(tl_joining *j, tl_refusal r, const char *words)
{
    tl_members *m = j->members;
    tl_membership *n = tl_networks_by_id(m->config.book, &j->invite.network);
    tl_members_op *ops = j->waiting, *op, *next;
    tl_node_id network = j->invite.network, inviter = j->invite.inviter;
    j->waiting = NULL;
    m->config.world->drop_join(m->config.user, &network);
    free_joining(j);
    DL_FOREACH_SAFE (ops, op, next) {
        DL_DELETE(ops, op);
        op->queued = false;
        op->network = network;
        op->node = inviter;
        if (!r && n)
            op->cert = n->cert;
        tl_op_end_with(op, r, words);
    }
    if (r)
        tl_log(TL_LOG_WARN, "join: %s", *words ? words : tl_refusal_words(r));
    if (r && n && !n->certificate && !n->left)
        tl_networks_remove(m->config.book, n);
}

static void ask(tl_joining *j)
{
    tl_members *m = j->members;
    json_t *join;
    if (tl_authority_write_join(m->config.identity, j->text, &join)) {
        try_again(j, "this node is out of memory");
        return;
    }
    if (tl_members_tell(m, &j->invite.inviter, "ptnJoin", join))
        set_state(j, TL_JOINING_ASKED, tl_members_now(m) + TL_MEMBERS_ANSWER_WITHIN);
    else
        try_again(j, "the connection to the inviter was lost");
}

static void connect(tl_joining *j)
{
    tl_members *m = j->members;
    if (tl_neighbour_find(m, &j->invite.inviter)) {
        ask(j);
        return;
    }
    set_state(j, TL_JOINING_CONNECTING, TL_NEVER);
    tl_members_connect(m, &j->invite.inviter);
}

static bool is_of(const tl_joining *j, const tl_node_id *peer)
{
    return tl_node_id_eq(&j->invite.inviter, peer);
}

void tl_joining_on_hello(tl_members *m, const tl_node_id *peer)
{
    tl_joining *j, *next;
    DL_FOREACH_SAFE (m->joins, j, next)
        if (is_of(j, peer) && (j->state == TL_JOINING_CONNECTING || j->state == TL_JOINING_DUE))
            ask(j);
}

void tl_joining_on_left(tl_members *m, const tl_node_id *peer, const char *why)
{
    tl_joining *j, *next;
    DL_FOREACH_SAFE (m->joins, j, next) {
        if (!is_of(j, peer) || (j->state != TL_JOINING_CONNECTING && j->state != TL_JOINING_ASKED))
            continue;
        char hex[TL_NODE_ID_HEX + 1], words[256];
        tl_node_id_write(hex, peer);
        snprintf(words, sizeof words, "the inviter %.8s could not be reached: %s", hex, why);
        try_again(j, words);
    }
}

/* The inviter may be there now. */
void tl_joining_on_present(tl_members *m)
{
    tl_joining *j, *next;
    DL_FOREACH_SAFE (m->joins, j, next)
        if (j->state == TL_JOINING_DUE && j->pause > TL_MEMBERS_RETRY_FIRST)
            set_state(j, TL_JOINING_DUE, tl_members_now(m));
}

/* --- answers --- */

static tl_joining *asked(const tl_members *m, const tl_node_id *peer, const json_t *payload)
{
    tl_joining *j;
    const char *which = tl_json_string(payload, "invite", "");
    DL_FOREACH (m->joins, j) {
        char digest[33];
        tl_join_digest(j->text, digest);
        if (j->state == TL_JOINING_ASKED && is_of(j, peer) && strcmp(digest, which) == 0)
            return j;
    }
    return NULL;
}

bool tl_joining_on_refused(tl_members *m, const tl_node_id *peer, const json_t *payload)
{
    tl_refusal r;
    if (!json_object_get(payload, "invite"))
        return false;
    tl_joining *j = asked(m, peer, payload);
    if (!j)
        return true;
    if (!tl_refusal_parse(tl_json_string(payload, "code", ""), &r))
        r = TL_REFUSAL_DENIED; /* a later version's */
    if (tl_refusal_is_passing(r))
        try_again(j, tl_refusal_words(r));
    else
        end(j, r, "");
    return true;
}

static void on_stored(tl_members_stored *s, tl_err e)
{
    tl_joining *j = (tl_joining *)s;
    tl_members *m = j->members;
    tl_membership *n = tl_networks_by_id(m->config.book, &j->invite.network);
    if (e || !n) {
        try_again(j, "the certificate could not be stored; see the log of this node");
        return;
    }
    tl_log(TL_LOG_INFO, "network %s: joined as %s", n->name, tl_role_name(n->cert.role));
    m->config.world->on_event(m->config.user, n, &m->config.identity->id, TL_MEMBERSHIP_JOINED);
    end(j, TL_REFUSAL_NONE, "");
    tl_tended *t = tl_tended_get(m, &n->id);
    if (t) {
        t->expired_told = false;
        t->look_at = 0;
        tl_members_rearm(m, tl_members_now(m));
    }
    tl_hello_say_again(m, n);
}

static void take_objects(tl_members *m, tl_membership *n, const json_t *payload)
{
    bool stale;
    tl_unix now = tl_members_wall(m);
    const json_t *list = json_object_get(payload, "revocations"),
                 *price = json_object_get(payload, "prices"),
                 *key = json_object_get(payload, "groupKey");
    /* what of it does not hold is not taken, and comes again at the next hello */
    if (list)
        (void)tl_ptn_take_revocations(n->ptn, list, now, &stale);
    if (price)
        (void)tl_ptn_take_price(n->ptn, price, now);
    if (key)
        (void)tl_ptn_take_groupkey(n->ptn, key, now);
    tl_networks_changed(m->config.book);
}

/* The network and the node are those that we know: nothing in the answer changes them. */
static tl_refusal judge(const tl_members *m, const tl_joining *j, const json_t *certificate)
{
    tl_cert cert;
    tl_ptn_verdict v = tl_cert_read(certificate, &cert);
    if (v == TL_PTN_NO_MEMORY)
        return TL_REFUSAL_INTERNAL;
    if (v || !tl_node_id_eq(&cert.network, &j->invite.network) ||
        !tl_node_id_eq(&cert.node, &m->config.identity->id))
        return TL_REFUSAL_INVITE_FOREIGN;
    return tl_cert_at(&cert, tl_members_wall(m)) ? TL_REFUSAL_DENIED : TL_REFUSAL_NONE;
}

void tl_joining_on_joined(tl_members *m, const tl_node_id *peer, const json_t *payload)
{
    const json_t *certificate = json_object_get(payload, "certificate");
    tl_joining *j = asked(m, peer, payload);
    if (!j)
        return;
    tl_membership *n = tl_networks_by_id(m->config.book, &j->invite.network);
    tl_refusal r = judge(m, j, certificate);
    if (!r) {
        assert(n); /* since the join began */
        take_objects(m, n, payload);
        if (tl_networks_set_certificate(m->config.book, n, certificate))
            r = TL_REFUSAL_INTERNAL;
    }
    if (r == TL_REFUSAL_INTERNAL) {
        try_again(j, tl_refusal_words(r));
        return;
    }
    if (r) {
        end(j, r,
            r == TL_REFUSAL_DENIED ? "the certificate that the inviter gave does not hold "
                                     "now: it has ended, or one of the two clocks is wrong"
                                   : "");
        return;
    }
    if (*j->wish && tl_networks_rename(m->config.book, n, j->wish))
        tl_log(TL_LOG_WARN, "network %s: it keeps its name", n->name);
    set_state(j, TL_JOINING_ADMITTED, TL_NEVER);
    tl_objects_changed(m, n, NULL);
    j->stored.on_stored = on_stored;
    m->config.world->save_network(m->config.user, n, &j->stored);
}

/* --- time --- */

static void on_due(tl_joining *j)
{
    tl_members *m = j->members;
    if (tl_members_wall(m) > j->invite.expires_at + TL_MEMBERS_JOIN_GRACE)
        end(j, TL_REFUSAL_INVITE_EXPIRED, "");
    else if (j->state == TL_JOINING_DUE)
        connect(j);
    else
        try_again(j, "the inviter does not answer");
}

tl_time tl_joining_on_timer(tl_members *m, tl_time now)
{
    tl_joining *j, *next;
    tl_time at = TL_NEVER;
    DL_FOREACH_SAFE (m->joins, j, next)
        if (j->at <= now)
            on_due(j);
    DL_FOREACH (m->joins, j)
        at = tl_time_min(at, j->at);
    return at;
}

/* --- beginning --- */

static tl_joining *find(const tl_members *m, const tl_node_id *network)
{
    tl_joining *j;
    DL_FOREACH (m->joins, j)
        if (tl_node_id_eq(&j->invite.network, network))
            return j;
    return NULL;
}

static void kept(tl_members_stored *s, tl_err e)
{
    tl_joining *j = (tl_joining *)s;
    if (e)
        end(j, tl_refusal_of_store(e), "");
    else {
        j->state = TL_JOINING_DUE;
        connect(j);
    }
}

/* It is in the book from now on, without a certificate. */
static tl_refusal enter(tl_members *m, const tl_invite *invite, const char *wish)
{
    tl_membership *n;
    char name[TL_PTN_NAME_MAX + 1];
    tl_network_name_make(*wish ? wish : invite->name, name);
    tl_err e = tl_networks_add(m->config.book, &invite->network, name, &n);
    if (!e && n->left)
        tl_networks_rejoin(m->config.book, n);
    return e == TL_ERR_BUSY ? TL_REFUSAL_BUSY : e ? TL_REFUSAL_INTERNAL : TL_REFUSAL_NONE;
}

static tl_joining *joining_new(tl_members *m, const tl_invite *invite, const char *text,
                               const char *name)
{
    tl_joining *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->members = m;
    j->state = TL_JOINING_STORING;
    j->invite = *invite;
    j->at = TL_NEVER;
    j->pause = TL_MEMBERS_RETRY_FIRST;
    snprintf(j->text, sizeof j->text, "%s", text);
    snprintf(j->wish, sizeof j->wish, "%s", name);
    DL_APPEND(m->joins, j);
    m->n_joins++;
    return j;
}

/* White space around the text is no part of it. */
static bool trim(const char *text, char ret[TL_INVITE_MAX + 1])
{
    const char *begin = text + strspn(text, " \t\r\n\v\f");
    size_t n = strlen(begin);
    while (n && strchr(" \t\r\n\v\f", begin[n - 1]))
        n--;
    if (n > TL_INVITE_MAX)
        return false;
    memcpy(ret, begin, n);
    ret[n] = 0;
    return true;
}

static tl_refusal read(const tl_members *m, const char *text, tl_invite *ret)
{
    const tl_identity *self = m->config.identity;
    tl_ptn_verdict v = tl_invite_read(tl_slice_str(text), ret);
    if (v)
        return v == TL_PTN_SIGNATURE   ? TL_REFUSAL_INVITE_ALTERED
               : v == TL_PTN_NO_MEMORY ? TL_REFUSAL_INTERNAL
                                       : TL_REFUSAL_INVITE_MALFORMED;
    const tl_membership *n = tl_networks_by_id(m->config.book, &ret->network);
    if (n && tl_ptn_is_revoked(n->ptn, &self->id))
        return TL_REFUSAL_REVOKED;
    if (ret->bound && !tl_node_id_eq(&ret->node, &self->id))
        return TL_REFUSAL_INVITE_OTHER_NODE;
    return TL_REFUSAL_NONE;
}

/* An invite that has ended is refused at once, unless it made us a member: then the certificate is
 * asked for again. */
static bool has_ended(const tl_members *m, const tl_invite *invite)
{
    const tl_membership *n = tl_networks_by_id(m->config.book, &invite->network);
    return tl_members_wall(m) > invite->expires_at && !(n && n->certificate);
}

void tl_members_join(tl_members *m, tl_members_op *op, const char *invite, const char *name)
{
    char text[TL_INVITE_MAX + 1];
    tl_invite read_invite;
    tl_op_begin(m, op, 0, NULL);
    tl_refusal r = trim(invite, text) ? read(m, text, &read_invite) : TL_REFUSAL_INVITE_MALFORMED;
    if (!r && has_ended(m, &read_invite))
        r = TL_REFUSAL_INVITE_EXPIRED;
    if (r) {
        tl_op_end(op, r);
        return;
    }
    if (*name && !tl_network_name_is(name)) {
        tl_op_end_with(op, TL_REFUSAL_INVALID, TL_NETWORK_NAME_WORDS);
        return;
    }
    if (tl_node_id_eq(&read_invite.inviter, &m->config.identity->id)) {
        tl_op_end_with(op, TL_REFUSAL_INVALID, "this node made the invite: it is for another one");
        return;
    }
    tl_joining *j = find(m, &read_invite.network);
    if (j && strcmp(j->text, text) != 0) { /* the newer invite counts */
        if (j->state == TL_JOINING_STORING || j->state == TL_JOINING_ADMITTED) {
            tl_op_end_with(op, TL_REFUSAL_BUSY, "this node is just joining that network");
            return;
        }
        end(j, TL_REFUSAL_EXISTS, "another invite to the same network took its place");
        j = NULL;
    }
    bool begins = !j;
    if (begins)
        r = m->n_joins < TL_MEMBERS_JOINS_MAX ? enter(m, &read_invite, name) : TL_REFUSAL_BUSY;
    if (r) {
        tl_op_end_with(op, r,
                       r == TL_REFUSAL_BUSY ? "this node is in too many networks; leave one" : "");
        return;
    }
    if (begins && !(j = joining_new(m, &read_invite, text, name))) {
        tl_op_end(op, TL_REFUSAL_INTERNAL);
        return;
    }
    op->network = read_invite.network;
    op->node = read_invite.inviter;
    op->queued = true;
    DL_APPEND(j->waiting, op);
    if (begins) {
        j->stored.on_stored = kept;
        m->config.world->save_join(m->config.user, &j->invite.network, j->text, j->wish,
                                   tl_members_wall(m), &j->stored);
    } else if (j->state == TL_JOINING_DUE) {
        connect(j);
    }
}

bool tl_joining_cancel(tl_members *m, const tl_node_id *network)
{
    tl_joining *j = find(m, network);
    if (!j)
        return true;
    if (j->state == TL_JOINING_STORING || j->state == TL_JOINING_ADMITTED)
        return false;
    end(j, TL_REFUSAL_NOT_FOUND, "the network was left before it was joined");
    return true;
}

void tl_members_unwait(tl_members *m, tl_members_op *op)
{
    tl_joining *j = op->queued ? find(m, &op->network) : NULL;
    if (j)
        DL_DELETE(j->waiting, op);
    op->queued = false;
}

tl_err tl_members_load_join(tl_members *m, const char *invite, const char *name)
{
    tl_invite read_invite;
    if (m->n_joins >= TL_MEMBERS_JOINS_MAX || read(m, invite, &read_invite) ||
        find(m, &read_invite.network) || enter(m, &read_invite, name))
        return TL_ERR_INVALID;
    tl_joining *j = joining_new(m, &read_invite, invite, name);
    if (!j)
        return TL_ERR_NOMEM;
    set_state(j, TL_JOINING_DUE, tl_members_now(m));
    return TL_OK;
}

const char *tl_members_waiting(const tl_members *m, const tl_node_id *network)
{
    const tl_joining *j = find(m, network);
    return j ? j->why : NULL;
}

void tl_joining_free_all(tl_members *m)
{
    while (m->joins)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        free_joining(m->joins);
}
