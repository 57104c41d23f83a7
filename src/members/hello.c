/* Certificates, lists, prices and group keys: shown, checked, handed on. */
#include "members/state.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* --- saying --- */

/* Only to a node that is of this network as far as anyone can tell before it shows a certificate. */
static bool may_name(const tl_members *m, const tl_neighbour *nb, const tl_membership *n)
{
    const tl_member_link *l = tl_link_find(nb, &n->id);
    if (n->left || !n->certificate || tl_ptn_is_revoked(n->ptn, &nb->id))
        return false;
    return (l && l->heard) || tl_members_holds(m, &nb->id, n) ||
           m->config.world->claims(m->config.user, &nb->id, n);
}

static json_t *entry_new(const tl_members *m, const tl_membership *n)
{
    int64_t price;
    char digest[33];
    tl_ptn_digest d = tl_ptn_revoked_digest(n->ptn);
    tl_hex_write(digest, d.bytes, sizeof d.bytes);
    tl_ptn_price_of(n->ptn, &price);
    char roll[33];
    d = tl_networks_members_digest(n);
    tl_hex_write(roll, d.bytes, sizeof d.bytes);
    bool admin = !tl_authority_may(m->config.book, n, tl_members_wall(m));
    return json_pack("{s:o, s:O, s:I, s:s, s:I, s:I, s:s*}", "ptnID", tl_node_id_json(&n->id),
                     "certificate", n->certificate, "sequence", (json_int_t)tl_ptn_sequence(n->ptn),
                     "revoked", digest, "priceVersion", (json_int_t)price, "keyVersion",
                     (json_int_t)tl_ptn_groupkey_version(n->ptn), "members", admin ? roll : NULL);
}

static void say(tl_members *m, tl_neighbour *nb, const tl_membership *only, tl_time not_since)
{
    json_t *all = json_array();
    tl_time now = tl_members_now(m);
    for (size_t i = 0; all && i < tl_networks_count(m->config.book); i++) {
        const tl_membership *n = tl_networks_at(m->config.book, i);
        if ((only && n != only) || !may_name(m, nb, n))
            continue;
        tl_member_link *l = tl_link_get(nb, &n->id);
        if (!l || (l->said_at && l->said_at > not_since))
            continue;
        if (!json_array_append_new(all, entry_new(m, n)))
            l->said_at = now ? now : 1;
    }
    if (json_array_size(all))
        tl_members_tell(m, &nb->id, "ptnHello", json_pack("{s:O}", "networks", all));
    json_decref(all);
}

void tl_hello_say(tl_members *m, tl_neighbour *nb)
{
    tl_time now = tl_members_now(m);
    say(m, nb, NULL, now > TL_MEMBERS_RESAY ? now - TL_MEMBERS_RESAY : 0);
}

void tl_hello_say_again(tl_members *m, const tl_membership *n)
{
    tl_neighbour *nb, *next;
    HASH_ITER (hh, m->neighbours, nb, next)
        say(m, nb, n, tl_members_now(m));
}

/* --- handing on --- */

static bool same(const tl_ptn_digest *a, const tl_ptn_digest *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static json_t *copy_of(const json_t *object)
{
    return json_deep_copy(object); /* a message may outlive the object */
}

/* One message a list, since each may be long. */
static bool send_lists(tl_members *m, tl_neighbour *nb, const tl_membership *n, tl_member_link *l)
{
    tl_ptn_digest ours = tl_ptn_revoked_digest(n->ptn);
    int64_t sequence = tl_ptn_sequence(n->ptn);
    char digest[33];
    bool lacks = !same(&l->their_revoked, &ours) || l->their_sequence < sequence;
    bool sent = l->sent_lists && same(&l->sent_revoked, &ours) && l->sent_sequence >= sequence;
    size_t count = tl_ptn_list_count(n->ptn);
    if (!lacks || sent || !count)
        return false;
    tl_hex_write(digest, ours.bytes, sizeof ours.bytes);
    for (size_t i = 0; i < count; i++)
        if (!tl_members_tell(m, &nb->id, "ptnList",
                             json_pack("{s:o, s:s, s:I}", "list",
                                       copy_of(tl_ptn_list_at(n->ptn, i)), "revoked", digest,
                                       "sequence", (json_int_t)sequence)))
            return false;
    l->sent_lists = true;
    l->sent_revoked = ours;
    l->sent_sequence = sequence;
    return true;
}

static bool hand_on(tl_members *m, tl_neighbour *nb, const tl_membership *n, tl_member_link *l)
{
    bool told = send_lists(m, nb, n, l);
    int64_t price, key = tl_ptn_groupkey_version(n->ptn);
    tl_ptn_price_of(n->ptn, &price);
    if (price > l->their_price && price > l->sent_price &&
        tl_members_tell(m, &nb->id, "ptnPrice",
                        json_pack("{s:o}", "price", copy_of(tl_ptn_price_object(n->ptn))))) {
        l->sent_price = price;
        told = true;
    }
    if (key > l->their_key && key > l->sent_key &&
        tl_members_tell(m, &nb->id, "ptnKey",
                        json_pack("{s:o}", "key", copy_of(tl_ptn_groupkey_object(n->ptn))))) {
        l->sent_key = key;
        told = true;
    }
    return told;
}

/* It, or the admin that signed for it, is revoked: it is to know that it is out. */
static bool is_out(const tl_members *m, const tl_membership *n, const tl_node_id *peer)
{
    const tl_cert *cert = tl_networks_cert_of(m->config.book, n, peer);
    return tl_ptn_is_revoked(n->ptn, peer) ||
           (cert && cert->delegated && tl_ptn_is_revoked(n->ptn, &cert->issuer));
}

size_t tl_hello_push(tl_members *m, const tl_membership *n)
{
    size_t told = 0;
    tl_neighbour *nb, *next;
    HASH_ITER (hh, m->neighbours, nb, next) {
        tl_member_link *l = tl_link_find(nb, &n->id);
        if (!l || !l->heard)
            continue;
        if (tl_members_holds(m, &nb->id, n))
            told += hand_on(m, nb, n, l);
        else if (is_out(m, n, &nb->id))
            told += send_lists(m, nb, n, l);
    }
    return told;
}

/* --- hearing --- */

static int64_t count_of(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) && json_integer_value(v) > 0 ? json_integer_value(v) : 0;
}

static bool digest_of(const json_t *object, tl_ptn_digest *ret)
{
    const char *hex = tl_json_string(object, "revoked", "");
    return !tl_hex_parse(tl_slice_str(hex), false, ret->bytes, sizeof ret->bytes);
}

static void say_verdict(const tl_neighbour *nb, const tl_membership *n, const char *what,
                        tl_ptn_verdict v)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &nb->id);
    tl_log(TL_LOG_INFO, "network %s: %s that %.8s shows is not taken: %s", n->name, what, hex,
           tl_ptn_verdict_words(v));
}

/* The newest list is confirmed by an admin that has the same. */
static void confirm(tl_members *m, const tl_neighbour *nb, tl_membership *n,
                    const tl_member_link *l)
{
    tl_ptn_digest ours = tl_ptn_revoked_digest(n->ptn);
    if (tl_members_is_admin(m, &nb->id, n) && same(&ours, &l->their_revoked) &&
        l->their_sequence == tl_ptn_sequence(n->ptn))
        n->checked_at = tl_members_wall(m);
}

/* True: a certificate of the neighbour is known and rightly signed, though it may have ended. */
static bool take_certificate(tl_members *m, tl_neighbour *nb, tl_membership *n,
                             const json_t *certificate)
{
    bool checked;
    if (!tl_members_may_check(m, nb, 1))
        return false;
    tl_ptn_verdict v = tl_networks_take_certificate(m->config.book, &nb->id, certificate,
                                                    tl_members_wall(m), &checked);
    if (!checked) {
        tl_ratelimit_give_back(&nb->checks);
        tl_ratelimit_give_back(&m->checks);
    }
    switch (v) {
    case TL_PTN_OK:
        if (checked)
            m->config.world->save_member(m->config.user, &n->id, &nb->id, certificate,
                                         tl_members_wall(m), NULL);
        return true;
    case TL_PTN_OLD: tl_admit_replace(m, nb, n); return true;
    case TL_PTN_EXPIRED:
    case TL_PTN_EARLY:
    case TL_PTN_REVOKED: say_verdict(nb, n, "the certificate", v); return true;
    default:
        m->counters.malformed++;
        say_verdict(nb, n, "the certificate", v);
        return false;
    }
}

/* Two admins that know of other members tell each other. */
static void compare_rolls(tl_members *m, const tl_neighbour *nb, const tl_membership *n,
                          tl_member_link *l, const json_t *entry)
{
    tl_time now = tl_members_now(m);
    bool of_late = l->rolled_at && now - l->rolled_at < TL_MEMBERS_ROLL_AGAIN;
    tl_ptn_digest theirs, ours = tl_networks_members_digest(n);
    const char *hex = tl_json_string(entry, "members", "");
    if (!tl_hex_parse(tl_slice_str(hex), false, theirs.bytes, sizeof theirs.bytes) &&
        !same(&ours, &theirs) && !of_late && tl_members_is_admin(m, &nb->id, n) &&
        !tl_authority_may(m->config.book, n, tl_members_wall(m))) {
        l->rolled_at = now ? now : 1;
        tl_roll_send(m, nb, n);
    }
}

static void on_entry(tl_members *m, tl_neighbour *nb, const json_t *entry)
{
    tl_membership *n = tl_members_network_of(m, entry);
    if (!n || !n->certificate)
        return; /* no word of ours tells whether we are in it */
    tl_ptn_digest theirs;
    if (!digest_of(entry, &theirs) ||
        !take_certificate(m, nb, n, json_object_get(entry, "certificate")))
        return;
    if (tl_networks_is_stranger(m->config.book, n, &nb->id, tl_members_wall(m)))
        return; /* an answer would tell it that we are a member */
    tl_member_link *l = tl_link_get(nb, &n->id);
    if (!l)
        return;
    if (tl_members_holds(m, &nb->id, n))
        tl_networks_set_met(m->config.book, n, &nb->id);
    l->heard = true;
    l->their_revoked = theirs;
    l->their_sequence = count_of(entry, "sequence");
    l->their_price = count_of(entry, "priceVersion");
    l->their_key = count_of(entry, "keyVersion");
    if (is_out(m, n, &nb->id))
        send_lists(m, nb, n, l);
    if (tl_ptn_is_revoked(n->ptn, &nb->id)) {
        tl_hello_end_revoked(m, n);
        return;
    }
    tl_time now = tl_members_now(m);
    say(m, nb, n, now > TL_MEMBERS_REPLY ? now - TL_MEMBERS_REPLY : 0);
    if (!tl_members_holds(m, &nb->id, n))
        return;
    hand_on(m, nb, n, l);
    confirm(m, nb, n, l);
    compare_rolls(m, nb, n, l, entry);
    tl_witness_on_member(m, nb);
    tl_members_rearm(m, now); /* it may be the admin that is waited for */
}

void tl_hello_on_hello(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    size_t i;
    json_t *entry;
    const json_t *all = json_object_get(payload, "networks");
    if (!json_is_array(all) || json_array_size(all) > TL_NETWORKS_MAX) {
        m->counters.malformed++;
        return;
    }
    json_array_foreach (all, i, entry)
        on_entry(m, nb, entry);
}

static bool is_member(const tl_members *m, const tl_neighbour *nb, const tl_membership *n)
{
    const tl_member_link *l = tl_link_find(nb, &n->id);
    return l && l->heard && tl_members_holds(m, &nb->id, n);
}

/* A member has told of a list that is refused here, because its issuer is revoked here: members disagree.
 * From a node that is no member it would say nothing: a revoked admin can always write another list. */
static void note_dispute(tl_membership *n)
{
    char node[TL_NODE_ID_HEX + 1], by[TL_NODE_ID_HEX + 1];
    bool was = tl_membership_is_disputed(n);
    n->heard_dispute |= tl_ptn_disputed(n->ptn, &n->dispute);
    if (was || !tl_membership_is_disputed(n))
        return;
    tl_node_id_write(node, &n->dispute.node);
    tl_node_id_write(by, &n->dispute.by);
    tl_log(
        TL_LOG_WARN,
        "network %s: members disagree on who is revoked: %.16s, which is revoked here, has revoked "
        "%.16s, which is not; where the CA key is, teale ptn revoke %s %.16s ends it",
        n->name, by, node, n->name, node);
}

/* Its signature makes a list true, whoever brings it: a node that was revoked is told by members
 * that do not show it their certificates any more. */
static tl_ptn_verdict take_list(tl_members *m, tl_neighbour *nb, tl_membership *n,
                                const json_t *list, bool *ret_stale)
{
    tl_ptn_verdict v = tl_ptn_take_revocations(n->ptn, list, tl_members_wall(m), ret_stale);
    if (v == TL_PTN_OK) {
        tl_networks_changed(m->config.book);
        tl_hello_end_revoked(m, n);
        tl_objects_changed(m, n, NULL);
    } else if (v == TL_PTN_OLD) {
        m->counters.old_lists++;
        if (count_of(list, "sequence") < tl_ptn_sequence(n->ptn))
            say_verdict(nb, n, "a list of revoked nodes", v);
    } else {
        m->counters.bad_lists++;
        say_verdict(nb, n, "a list of revoked nodes", v);
        if (v == TL_PTN_REVOKED && is_member(m, nb, n))
            note_dispute(n);
    }
    return v;
}

void tl_hello_on_list(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    bool stale;
    tl_ptn_digest theirs;
    const json_t *list = json_object_get(payload, "list");
    tl_membership *n = tl_members_network_of(m, list);
    if (!n || !digest_of(payload, &theirs) || !tl_members_may_check(m, nb, 2))
        return;
    tl_ptn_verdict v = take_list(m, nb, n, list, &stale);
    tl_member_link *l = tl_link_find(nb, &n->id);
    if ((v && v != TL_PTN_OLD) || !l || !is_member(m, nb, n))
        return;
    l->their_revoked = theirs;
    l->their_sequence = count_of(payload, "sequence");
    if (stale)
        send_lists(m, nb, n, l);
    confirm(m, nb, n, l);
}

static void on_object(tl_members *m, tl_neighbour *nb, const json_t *object,
                      tl_ptn_verdict (*take)(tl_ptn *n, const json_t *object, tl_unix now),
                      const char *what)
{
    tl_membership *n = tl_members_network_of(m, object);
    if (!n || !is_member(m, nb, n) || !tl_members_may_check(m, nb, 2))
        return;
    tl_ptn_verdict v = take(n->ptn, object, tl_members_wall(m));
    if (v == TL_PTN_OK) {
        tl_networks_changed(m->config.book);
        tl_objects_changed(m, n, NULL);
    } else if (v != TL_PTN_OLD) {
        m->counters.bad_lists++;
        say_verdict(nb, n, what, v);
    }
}

void tl_hello_on_price(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    on_object(m, nb, json_object_get(payload, "price"), tl_ptn_take_price, "a price");
}

void tl_hello_on_key(tl_members *m, tl_neighbour *nb, const json_t *payload)
{
    on_object(m, nb, json_object_get(payload, "key"), tl_ptn_take_groupkey, "a group key");
}

/* --- what follows --- */

void tl_hello_end_revoked(tl_members *m, tl_membership *n)
{
    const tl_members_world *w = m->config.world;
    tl_neighbour *nb, *next;
    tl_tended *t = tl_tended_get(m, &n->id);
    HASH_ITER (hh, m->neighbours, nb, next) {
        tl_member_link *l = tl_link_find(nb, &n->id);
        if (!l || l->ended || !tl_ptn_is_revoked(n->ptn, &nb->id))
            continue;
        l->ended = true;
        w->on_revoked(m->config.user, n, &nb->id);
        w->on_event(m->config.user, n, &nb->id, TL_MEMBERSHIP_WAS_REVOKED);
    }
    const tl_node_id *self = &m->config.identity->id;
    if (t && !t->revoked_told && tl_ptn_is_revoked(n->ptn, self)) {
        t->revoked_told = true;
        tl_log(TL_LOG_WARN, "network %s: this node was revoked", n->name);
        w->on_revoked(m->config.user, n, self);
        w->on_event(m->config.user, n, self, TL_MEMBERSHIP_WAS_REVOKED);
    }
}

/* --- the store --- */

static void objects_stored(tl_members_stored *s, tl_err e);

static void save_objects(tl_members *m, tl_tended *t)
{
    const tl_membership *n = tl_networks_by_id(m->config.book, &t->network);
    t->changed = false;
    t->save_again = TL_NEVER;
    if (!n)
        return;
    t->saving = true;
    t->stored.on_stored = objects_stored;
    t->now = t->next_ops;
    t->next_ops = NULL;
    m->config.world->save_objects(m->config.user, n, &t->stored);
}

static void objects_stored(tl_members_stored *s, tl_err e)
{
    tl_tended *t = (tl_tended *)s;
    tl_members *m = t->members;
    const tl_membership *n = tl_networks_by_id(m->config.book, &t->network);
    tl_members_op *ops = t->now, *op, *next;
    t->now = NULL;
    t->saving = false;
    if (e) {
        tl_log(TL_LOG_ERROR,
               "network %s: what an admin signed could not be stored%s%s; tried again",
               n ? n->name : "(left)", e == TL_ERR_IO ? "" : ": ", /* the store tells why */
               e == TL_ERR_IO ? "" : tl_err_name(e));
        t->save_again = tl_members_now(m) + 5 * TL_SEC;
        tl_members_rearm(m, t->save_again);
    }
    size_t told = !e && n ? tl_hello_push(m, n) : 0;
    DL_FOREACH_SAFE (ops, op, next) {
        DL_DELETE(ops, op);
        op->told = told;
        tl_op_end(op, tl_refusal_of_store(e));
    }
    if (t->changed && !t->saving)
        save_objects(m, t);
}

void tl_objects_changed(tl_members *m, tl_membership *n, tl_members_op *op)
{
    tl_tended *t = tl_tended_get(m, &n->id);
    if (!t) {
        if (op)
            tl_op_end(op, TL_REFUSAL_INTERNAL);
        return;
    }
    t->changed = true;
    if (op)
        DL_APPEND(t->next_ops, op);
    if (!t->saving)
        save_objects(m, t);
    if (tl_ptn_list_count(n->ptn) > 1)
        tl_members_rearm(m, tl_members_now(m) + TL_SEC); /* an admin joins the lists */
}

void tl_objects_save_again(tl_members *m, tl_tended *t)
{
    if (!t->saving)
        save_objects(m, t);
}
