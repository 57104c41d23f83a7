/* What time brings: renewals, new lists, connections to members. */
#include "members/state.h"

#include "base/log.h"

#include <stdlib.h>

#define TICK_SLOW   (15 * TL_SEC)
#define TICK_FAST   (1 * TL_SEC)
#define LOOK_AGAIN  (60 * TL_SEC)
/* A member that was connected within this time is not dialled again only to hear of lists. */
#define DIAL_AGAIN  (5 * TL_MIN)
/* Members that are not connected are asked to be, for one network, in one look. */
#define PRESENT_MAX 1024

/* --- our own certificate --- */

static void renewed(tl_members *m, tl_tended *t, const tl_membership *n, tl_refusal r,
                    const char *words)
{
    tl_members_op *op = t->renewing;
    t->renewing = NULL;
    t->renew_deadline = TL_NEVER;
    t->n_asked = 0;
    if (!r)
        t->renew_pause = 0;
    if (!op)
        return;
    if (!r && n)
        op->cert = n->cert;
    (void)m;
    tl_op_end_with(op, r, words);
}

static void own_stored(tl_members_stored *s, tl_err e);

/* The certificate of our own that is on its way to the store. */
typedef struct {
    tl_members_stored stored; /* first */
    tl_members *members;
    tl_node_id network;
    bool promoted;
} own_save;

tl_refusal tl_tend_take_own(tl_members *m, tl_membership *n, const json_t *certificate)
{
    tl_cert cert;
    const tl_node_id *self = &m->config.identity->id;
    tl_ptn_verdict v = tl_cert_read(certificate, &cert);
    if (v)
        return v == TL_PTN_NO_MEMORY ? TL_REFUSAL_INTERNAL : TL_REFUSAL_DENIED;
    if (!tl_node_id_eq(&cert.network, &n->id) || !tl_node_id_eq(&cert.node, self) ||
        tl_ptn_judge(n->ptn, &cert, self, tl_members_wall(m)))
        return TL_REFUSAL_DENIED;
    if (n->certificate && cert.issued_at < n->cert.issued_at)
        return TL_REFUSAL_DENIED; /* a role that was taken does not come back */
    if (n->certificate && json_equal(n->certificate, certificate))
        return TL_REFUSAL_EXISTS;
    /* only the authority makes admins, so only it unmakes them */
    if (cert.delegated && n->certificate && n->cert.role == TL_ROLE_ADMIN &&
        tl_membership_state_of(m->config.book, n, tl_members_wall(m)) == TL_MEMBERSHIP_VALID)
        return TL_REFUSAL_DENIED;
    own_save *w = calloc(1, sizeof *w);
    if (!w)
        return TL_REFUSAL_INTERNAL;
    *w = (own_save){.stored = {own_stored}, .members = m, .network = n->id};
    w->promoted = n->certificate && cert.role == TL_ROLE_ADMIN && n->cert.role != TL_ROLE_ADMIN;
    if (tl_networks_set_certificate(m->config.book, n, certificate)) {
        free(w);
        return TL_REFUSAL_INTERNAL;
    }
    m->n_admitting++;
    m->config.world->save_network(m->config.user, n, &w->stored);
    return TL_REFUSAL_NONE;
}

static void own_stored(tl_members_stored *s, tl_err e)
{
    own_save *w = (own_save *)s;
    tl_members *m = w->members;
    tl_membership *n = tl_networks_by_id(m->config.book, &w->network);
    tl_tended *t = tl_tended_get(m, &w->network);
    m->n_admitting--;
    if (n && !n->left && t) {
        renewed(m, t, n, tl_refusal_of_store(e), "");
        t->expired_told = false;
        t->renew_at = TL_NEVER;
        if (!e)
            m->config.world->on_event(m->config.user, n, &m->config.identity->id,
                                      w->promoted ? TL_MEMBERSHIP_PROMOTED : TL_MEMBERSHIP_RENEWED);
        tl_hello_say_again(m, n);
        tl_members_rearm(m, tl_members_now(m));
    }
    free(w);
}

void tl_tend_on_renewed(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    const json_t *certificate = json_object_get(payload, "certificate");
    tl_membership *n = tl_members_network_of(m, json_object_get(certificate, "payload"));
    if (!n || !n->certificate || !tl_members_may_check(m, nb, 2))
        return;
    tl_refusal r = tl_tend_take_own(m, n, certificate);
    if (r && r != TL_REFUSAL_EXISTS)
        tl_log(TL_LOG_INFO, "network %s: a certificate that was sent to this node does not hold",
               n->name);
}

static bool was_asked(const tl_tended *t, const tl_node_id *id)
{
    for (size_t i = 0; i < t->n_asked; i++)
        if (tl_node_id_eq(&t->asked[i], id))
            return true;
    return false;
}

/* An admin that is connected and was not asked in this attempt. */
static tl_neighbour *admin_to_ask(const tl_members *m, const tl_tended *t, const tl_membership *n)
{
    tl_neighbour *nb, *next;
    HASH_ITER (hh, m->neighbours, nb, next) {
        const tl_member_link *l = tl_link_find(nb, &n->id);
        if (l && l->heard && tl_members_is_admin(m, &nb->id, n) && !was_asked(t, &nb->id))
            return nb;
    }
    return NULL;
}

static void dial_admins(tl_members *m, const tl_membership *n)
{
    tl_node_id *ids = calloc(PRESENT_MAX, sizeof *ids);
    size_t count = ids ? m->config.world->present(m->config.user, n, ids, PRESENT_MAX) : 0;
    for (size_t i = 0, dialled = 0; i < count && dialled < 4; i++) {
        if (!tl_members_is_admin(m, &ids[i], n))
            continue;
        tl_members_connect(m, &ids[i]);
        dialled++;
    }
    free(ids);
}

void tl_tend_renew(tl_members *m, tl_tended *t, tl_membership *n)
{
    json_t *certificate;
    tl_unix now = tl_members_wall(m);
    if (t->n_asked == 0 &&
        !tl_authority_certify(m->config.book, n, m->config.identity, &m->config.identity->id,
                              n->cert.role, tl_authority_lifetime(&n->cert), now, &certificate)) {
        tl_refusal r = tl_tend_take_own(m, n, certificate);
        json_decref(certificate);
        if (r)
            renewed(m, t, n, r, "");
        return;
    }
    tl_neighbour *nb =
        t->n_asked < sizeof t->asked / sizeof *t->asked ? admin_to_ask(m, t, n) : NULL;
    if (nb && tl_members_tell(m, &nb->id, "ptnRenew",
                              json_pack("{s:o}", "ptnID", tl_node_id_json(&n->id))))
        t->asked[t->n_asked++] = nb->id;
    else if (!nb && t->n_asked == 0)
        dial_admins(m, n);
}

void tl_tend_on_refused(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    tl_refusal r;
    tl_membership *n = tl_members_network_of(m, payload);
    tl_tended *t = n ? tl_tended_get(m, &n->id) : NULL;
    if (!t || !was_asked(t, &nb->id) || !tl_refusal_parse(tl_json_string(payload, "code", ""), &r))
        return;
    if (admin_to_ask(m, t, n) && t->n_asked < sizeof t->asked / sizeof *t->asked)
        tl_tend_renew(m, t, n);
    else
        renewed(m, t, n, r, "");
}

/* A third of its lifetime is left. */
static tl_unix renewal_at(const tl_cert *cert)
{
    int64_t lifetime = tl_authority_lifetime(cert);
    return lifetime ? cert->expires_at - lifetime / 3 : TL_PTN_NO_END;
}

static void tend_own(tl_members *m, tl_tended *t, tl_membership *n, tl_time now)
{
    tl_unix wall = tl_members_wall(m);
    const tl_node_id *self = &m->config.identity->id;
    tl_membership_state s = tl_membership_state_of(m->config.book, n, wall);
    if (s == TL_MEMBERSHIP_EXPIRED && !t->expired_told) {
        t->expired_told = true;
        tl_log(TL_LOG_WARN,
               "network %s: the certificate of this node has expired; an admin renews it (teale "
               "ptn renew)",
               n->name);
        m->config.world->on_event(m->config.user, n, self, TL_MEMBERSHIP_HAS_EXPIRED);
    }
    if (t->renewing && now >= t->renew_deadline)
        renewed(m, t, n, TL_REFUSAL_AWAY, "no admin of the network is online; try again later");
    bool due = (s == TL_MEMBERSHIP_VALID && wall >= renewal_at(&n->cert)) || t->renewing;
    if (!due) {
        t->renew_at = TL_NEVER;
        t->renew_pause = 0;
        if (!t->renewing)
            t->n_asked = 0;
        return;
    }
    if (t->renew_at != TL_NEVER && now < t->renew_at)
        return;
    if (!t->renewing)
        t->n_asked = 0;
    t->renew_pause = t->renew_pause ? tl_time_min(2 * t->renew_pause, 5 * TL_MIN) : TL_SEC;
    t->renew_at = now + (t->renewing ? TL_SEC : t->renew_pause);
    tl_tend_renew(m, t, n);
}

/* --- lists --- */

/* An admin joins the lists of several admins into one, and signs a list anew once a day: so members
 * can tell that they have seen a new one. Not all admins at the same time. */
static void tend_list(tl_members *m, tl_tended *t, tl_membership *n, tl_time now)
{
    tl_unix wall = tl_members_wall(m);
    tl_unix since = tl_ptn_listed_at(n->ptn);
    bool has = since > 0;
    bool due = tl_ptn_list_count(n->ptn) > 1 || (has && wall - since > TL_MEMBERS_LIST_LIFE);
    json_t *list;
    if (!due || tl_authority_may(m->config.book, n, wall)) {
        t->refresh_at = TL_NEVER;
        return;
    }
    if (t->refresh_at == TL_NEVER)
        t->refresh_at = now + tl_rand_below(m->config.rand, 3 * TL_SEC);
    if (now < t->refresh_at)
        return;
    t->refresh_at = TL_NEVER;
    if (tl_authority_revoke(m->config.book, n, m->config.identity, NULL, wall, &list))
        return;
    bool stale;
    if (!tl_ptn_take_revocations(n->ptn, list, wall, &stale)) {
        tl_networks_changed(m->config.book);
        tl_objects_changed(m, n, NULL);
    }
    json_decref(list);
}

/* --- connections --- */

static size_t connected(const tl_members *m, const tl_membership *n)
{
    size_t count = 0;
    tl_neighbour *nb, *next;
    HASH_ITER (hh, m->neighbours, nb, next) {
        const tl_member_link *l = tl_link_find(nb, &n->id);
        count += l && l->heard;
    }
    return count;
}

static bool dialled_of_late(const tl_members *m, const tl_node_id *id, tl_time within)
{
    tl_dialled *d;
    HASH_FIND(hh, m->dialled, id, sizeof *id, d);
    return d && (d->pending || tl_members_now(m) - d->at < within);
}

/* To tell all who are present of our list, as many at once as the spreading allows; else to a few,
 * in turn. Returns true when none is left. */
static bool dial_members(tl_members *m, tl_tended *t, const tl_membership *n, size_t most,
                         tl_time within)
{
    tl_node_id *ids = calloc(PRESENT_MAX, sizeof *ids);
    size_t count = ids ? m->config.world->present(m->config.user, n, ids, PRESENT_MAX) : 0;
    size_t i = 0;
    for (; i < count && most && m->n_dialling < TL_MEMBERS_SPREADING; i++) {
        const tl_node_id *id = &ids[(t->turn + i) % count];
        if (tl_neighbour_find(m, id) || dialled_of_late(m, id, within) ||
            (!t->spread && tl_ptn_is_revoked(n->ptn, id)))
            continue;
        tl_members_connect(m, id);
        most--;
    }
    t->turn += i;
    free(ids);
    return i == count;
}

static void tend_connections(tl_members *m, tl_tended *t, const tl_membership *n, tl_time now)
{
    if (t->spread) {
        tl_time within = tl_time_min(now - t->spread_since, DIAL_AGAIN);
        t->spread = !dial_members(m, t, n, TL_MEMBERS_SPREADING, within) || m->n_dialling;
    }
    if (now < t->look_at)
        return;
    size_t have = connected(m, n);
    dial_members(m, t, n, have < TL_MEMBERS_WARM ? TL_MEMBERS_WARM - have : 1, DIAL_AGAIN);
    t->look_at = now + LOOK_AGAIN;
}

/* --- the tick --- */

static bool is_quick(const tl_members *m, const tl_tended *t, const tl_membership *n)
{
    int64_t lifetime = n->certificate ? tl_authority_lifetime(&n->cert) : 0;
    (void)m;
    return t->spread || t->renewing || t->renew_at != TL_NEVER || t->refresh_at != TL_NEVER ||
           (lifetime && lifetime < 3600);
}

tl_time tl_tend_on_timer(tl_members *m, tl_time now)
{
    tl_time at = TL_NEVER;
    tl_neighbour *nb, *next;
    for (size_t i = 0; i < tl_networks_count(m->config.book); i++) {
        tl_membership *n = tl_networks_at(m->config.book, i);
        tl_tended *t = n->left || !n->certificate ? NULL : tl_tended_get(m, &n->id);
        if (!t)
            continue;
        if (now >= t->save_again)
            tl_objects_save_again(m, t);
        tl_hello_end_revoked(m, n);
        tend_own(m, t, n, now);
        if (!tl_networks_are_we(m->config.book, &n->id, tl_members_wall(m))) {
            tend_list(m, t, n, now);
            tend_connections(m, t, n, now);
        }
        at = tl_time_min(at, now + (is_quick(m, t, n) ? TICK_FAST : TICK_SLOW));
    }
    HASH_ITER (hh, m->neighbours, nb, next)
        tl_hello_say(m, nb);
    return at;
}
