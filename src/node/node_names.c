/* Who is meant by a name: the nodes that this one knows, for peer/naming, and the verbs of aliases. */
#include "node/names.h"

#include "base/alike.h"
#include "node/lan_state.h"
#include "node/verbs.h"
#include "store/aliases.h"
#include "store/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define DEPTH_MAX 8 /* of the reports */

/* --- nodes that are known --- */

typedef struct {
    const tl_node *node;
    tl_naming_known *list; /* NULL: out of memory */
    size_t n;
    size_t network; /* of the book: whose members are visited */
    bool familiar;  /* all that are added: they are members, or there are accounts with them */
} known_nodes;

/* One that a person or a question of this machine wanted, now or in an earlier run, or a member. */
static bool is_familiar(const tl_node *n, const tl_node_id *id)
{
    const tl_peer *p = tl_peer_table_find(&n->table, id);
    return (p && p->kept) || tl_access_is_member(&n->access, id);
}

static void add_node(known_nodes *k, const tl_node_id *id)
{
    if (!k->list)
        return;
    k->list[k->n++] = (tl_naming_known){.id = *id,
                                        .name = tl_node_called(k->node, id),
                                        .own = tl_node_id_eq(id, &k->node->identity.id),
                                        .familiar = k->familiar || is_familiar(k->node, id)};
}

/* In the table, and listed for a person. */
static bool is_in_table(const tl_node *n, const tl_node_id *id)
{
    const tl_peer *p = tl_peer_table_find(&n->table, id);
    return p && tl_node_is_about(n, p);
}

static bool is_named(const tl_node *n, const tl_node_id *id)
{
    return tl_naming_kept(&n->names->naming, id) != NULL;
}

static void add_member(void *user, const tl_cert *cert)
{
    known_nodes *k = user;
    const tl_networks *book = k->node->book;
    bool before = is_in_table(k->node, &cert->node) || is_named(k->node, &cert->node);
    for (size_t i = 0; !before && i < k->network; i++)
        before = tl_networks_cert_of(book, tl_networks_at(book, i), &cert->node) != NULL;
    if (!before)
        add_node(k, &cert->node);
}

/* Neighbours of which the local network told the ID, and of which nothing else is known. */
static void add_announced(known_nodes *k)
{
    const tl_node *n = k->node;
    size_t before = k->n, count = tl_node_lan_count(n);
    for (size_t i = 0; k->list && i < count; i++) {
        const tl_node_id *id = &tl_lan_at(n->lan->table, i)->id;
        size_t same = 0;
        while (same < before && !tl_node_id_eq(&k->list[same].id, id))
            same++;
        if (same < before)
            continue;
        add_node(k, id);
        if (!k->list[k->n - 1].familiar) {
            k->list[k->n - 1].name = "";
            k->list[k->n - 1].announced = true;
        }
    }
}

/* Each once; the caller frees `list`. */
static known_nodes all_known(const tl_node *n)
{
    known_nodes k = {.node = n};
    size_t most = HASH_COUNT(n->table.peers) + HASH_COUNT(n->names->naming.entries) + 1 +
                  tl_node_lan_count(n);
    for (size_t i = 0; i < tl_networks_count(n->book); i++)
        most += tl_networks_at(n->book, i)->n_members;
    if (!(k.list = calloc(most, sizeof *k.list)))
        return k;
    for (const tl_peer *p = n->table.peers; p; p = p->hh.next)
        if (tl_node_is_about(n, p))
            add_node(&k, &p->id);
    for (const tl_naming_entry *e = n->names->naming.entries; e; e = e->hh.next)
        if (!is_in_table(n, &e->id))
            add_node(&k, &e->id);
    for (; k.network < tl_networks_count(n->book); k.network++)
        tl_networks_each(n->book, tl_networks_at(n->book, k.network), add_member, &k);
    if (!is_in_table(n, &n->identity.id) && !is_named(n, &n->identity.id))
        add_node(&k, &n->identity.id);
    add_announced(&k);
    return k;
}

const char *tl_node_called(const tl_node *n, const tl_node_id *node)
{
    const tl_peer *p = tl_peer_table_find(&n->table, node);
    const tl_naming_entry *e = tl_naming_kept(&n->names->naming, node);
    if (tl_node_id_eq(node, &n->identity.id))
        return n->name;
    return p && *p->name ? p->name : e ? e->heard : "";
}

static tl_err find(const tl_node *n, const char *text, tl_node_id *ret, tl_named_by *ret_by,
                   tl_why *why)
{
    known_nodes k = all_known(n);
    if (!k.list)
        return tl_why_set(why, TL_ERR_NOMEM, "the node is out of memory");
    tl_err e = tl_naming_find(&n->names->naming, k.list, k.n, text, ret, ret_by, why);
    free(k.list);
    return e;
}

static tl_err find_slice(const tl_node *n, tl_slice text, tl_node_id *ret, tl_named_by *ret_by,
                         tl_why *why)
{
    char word[TL_ALIKE_TEXT_MAX + 1];
    if (text.n >= sizeof word || memchr(text.p, 0, text.n))
        text.n = 0; /* names nobody */
    memcpy(word, text.p, text.n);
    word[text.n] = 0;
    return find(n, word, ret, ret_by, why);
}

tl_err tl_node_find_peer(const tl_node *n, tl_slice text, tl_node_id *ret, tl_why *why)
{
    tl_named_by by;
    return find_slice(n, text, ret, &by, why);
}

/* TL_ERR_FORBIDDEN: it is this node. */
static tl_err must_be_other(const tl_node *n, const tl_node_id *id, tl_named_by by, tl_why *why)
{
    if (!tl_node_id_eq(id, &n->identity.id))
        return TL_OK;
    return tl_why_set(why, TL_ERR_FORBIDDEN, "that is this node itself%s",
                      by == TL_NAMED_BY_NAME ? ": no other node that is known is called so" : "");
}

tl_err tl_node_find_other(const tl_node *n, tl_slice text, tl_node_id *ret, tl_why *why)
{
    tl_named_by by = TL_NAMED_BY_NAME;
    tl_node_id id;
    tl_err e = find_slice(n, text, &id, &by, why);
    if (!e)
        e = must_be_other(n, &id, by, why);
    if (!e)
        *ret = id;
    return e;
}

static void fail(tl_call *call, tl_err e, const tl_why *why)
{
    tl_call_fail(call,
                 e == TL_ERR_INVALID || e == TL_ERR_FORBIDDEN ? "E_INVALID"
                 : e == TL_ERR_EXISTS                         ? "E_AMBIGUOUS"
                 : e == TL_ERR_NOT_FOUND                      ? "E_NOT_FOUND"
                                                              : "E_INTERNAL",
                 "%s", why->text);
}

typedef tl_err (*finder)(const tl_node *n, tl_slice text, tl_node_id *ret, tl_why *why);

static bool find_arg(const tl_node *n, finder of, const char *text, tl_call *call, tl_node_id *ret)
{
    tl_why why = {""};
    tl_err e = of(n, tl_slice_str(text), ret, &why);
    if (e)
        fail(call, e, &why);
    return !e;
}

bool tl_node_peer_arg(const tl_node *n, const json_t *args, const char *key, tl_call *call,
                      tl_node_id *ret)
{
    return find_arg(n, tl_node_find_peer, tl_json_string(args, key, ""), call, ret);
}

bool tl_node_other_arg(const tl_node *n, const json_t *args, const char *key, tl_call *call,
                       tl_node_id *ret)
{
    return find_arg(n, tl_node_find_other, tl_json_string(args, key, ""), call, ret);
}

/* --- the verb peer.find --- */

static json_t *node_json(const tl_node *n, const tl_node_id *id)
{
    char hex[TL_NODE_ID_HEX + 1];
    const char *name = tl_node_called(n, id);
    tl_node_id_write(hex, id);
    return json_pack("{s:s, s:s, s:s?}", "node_id", hex, "name",
                     tl_utf8_is(tl_slice_str(name)) ? name : "", "alias",
                     tl_naming_alias(&n->names->naming, id));
}

static void found(const tl_node *n, tl_call *call, const tl_node_id *id, tl_named_by by)
{
    json_t *node = node_json(n, id);
    if (node && json_object_set_new(node, "by", json_string(tl_named_by_name(by)))) {
        json_decref(node);
        node = NULL;
    }
    tl_call_ok(call, node);
}

/* Among the nodes of `some` first, then among all. `other`: this node itself is refused. */
static void find_among(const tl_node *n, const known_nodes *some, const char *text, bool other,
                       tl_call *call)
{
    tl_node_id id = {0};
    tl_named_by by = TL_NAMED_BY_ID;
    tl_why why = {""};
    tl_err e = some->list && some->n
                   ? tl_naming_find(&n->names->naming, some->list, some->n, text, &id, &by, &why)
                   : TL_ERR_NOT_FOUND;
    if (e == TL_ERR_NOT_FOUND)
        e = find(n, text, &id, &by, &why);
    if (!e && other)
        e = must_be_other(n, &id, by, &why);
    if (e)
        fail(call, e, &why);
    else
        found(n, call, &id, by);
}

static void add_any_member(void *user, const tl_cert *cert)
{
    add_node(user, &cert->node);
}

static void find_member(tl_node *n, const json_t *args, const char *text, tl_call *call)
{
    tl_membership *m[2];
    const char *net = tl_json_string(args, "net", "");
    known_nodes k = {.node = n, .familiar = true};
    if (tl_networks_find(n->book, tl_slice_str(net), m) != 1) {
        tl_node_fail_network(n, net, call);
        return;
    }
    if ((k.list = calloc(m[0]->n_members + 1, sizeof *k.list))) {
        tl_networks_each(n->book, m[0], add_any_member, &k);
        add_node(&k, &n->identity.id);
    }
    find_among(n, &k, text, false, call);
    free(k.list);
}

typedef struct {
    tl_report report; /* first */
    tl_node *node;
    tl_call *call;
    bool other;
    char text[TL_ALIKE_TEXT_MAX + 1];
} ledger_search;

static void on_ledger(tl_report *r, tl_err e)
{
    ledger_search *s = (ledger_search *)r;
    json_t *peers = json_object_get(r->result, "peers"), *one;
    known_nodes k = {.node = s->node, .familiar = true};
    size_t i;
    if (!e)
        k.list = calloc(json_array_size(peers) + 1, sizeof *k.list);
    json_array_foreach (k.list ? peers : NULL, i, one) {
        tl_node_id id;
        if (!tl_node_id_parse_form(tl_slice_str(tl_json_string(one, "node_id", "")), &id))
            add_node(&k, &id);
    }
    find_among(s->node, &k, s->text, s->other, s->call);
    json_decref(r->result);
    free(k.list);
    free(s);
}

/* The nodes with which there are accounts come first. */
static void find_account(tl_node *n, const char *text, bool other, tl_call *call)
{
    ledger_search *s = n->credit ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        find_among(n, &(known_nodes){.node = n}, text, other, call);
        return;
    }
    s->node = n;
    s->call = call;
    s->other = other;
    snprintf(s->text, sizeof s->text, "%s", text);
    s->report.what = TL_REPORT_WALLET;
    s->report.self = n->identity.id;
    s->report.done = on_ledger;
    tl_report_submit(n->store, &s->report);
}

/* One that waits for a fresh list of who is there. */
typedef struct tl_find_call {
    tl_node_look look;
    tl_node *node;
    tl_call *call;
    json_t *args;
    struct tl_find_call *prev, *next;
} tl_find_call;

static void forget_search(tl_find_call *f)
{
    DL_DELETE(f->node->names->finding, f);
    json_decref(f->args);
    free(f);
}

static void on_drop(void *user)
{
    tl_find_call *f = user;
    tl_node_unlook(&f->look);
    tl_call_fail(f->call, "E_UNAVAILABLE", "nobody waits any more");
    forget_search(f);
}

void tl_node_free_names(tl_node *n)
{
    while (n->names && n->names->finding) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        tl_node_unlook(&n->names->finding->look);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        forget_search(n->names->finding);
    }
    if (n->names)
        tl_naming_clear(&n->names->naming);
    free(n->names);
    n->names = NULL;
}

static void on_looked(void *user)
{
    tl_find_call *f = user;
    const char *text = tl_json_string(f->args, "peer", "");
    bool other = tl_json_bool(f->args, "other", false);
    tl_call_on_drop(f->call, NULL, NULL);
    if (json_object_get(f->args, "net"))
        find_member(f->node, f->args, text, f->call);
    else if (tl_json_bool(f->args, "ledger", false))
        find_account(f->node, text, other, f->call);
    else
        find_among(f->node, &(known_nodes){.node = f->node}, text, other, f->call);
    forget_search(f);
}

void tl_verb_peer_find(tl_node *n, const json_t *args, tl_call *call)
{
    const char *text = tl_json_string(args, "peer", "");
    tl_node_id id = {0};
    tl_named_by by = TL_NAMED_BY_ID;
    tl_why why;
    tl_err e = find(n, strlen(text) > TL_ALIKE_TEXT_MAX ? "" : text, &id, &by, &why);
    if (e == TL_ERR_INVALID) {
        fail(call, e, &why);
        return;
    }
    if (!e && (by == TL_NAMED_BY_ID || by == TL_NAMED_BY_ALIAS)) { /* whoever else is there */
        found(n, call, &id, by);
        return;
    }
    tl_find_call *f = calloc(1, sizeof *f);
    if (!f) {
        tl_call_fail(call, "E_INTERNAL", "the node is out of memory");
        return;
    }
    f->node = n;
    f->call = call;
    f->args = json_deep_copy(args);
    DL_APPEND(n->names->finding, f);
    tl_call_on_drop(call, on_drop, f);
    tl_node_look_start(n, &f->look, on_looked, f);
}

/* --- in reports --- */

static void add_aliases(const tl_node *n, json_t *value, unsigned depth)
{
    const char *key;
    json_t *part;
    size_t i;
    tl_node_id id;
    const char *hex = tl_json_string(value, "node_id", tl_json_string(value, "peer", NULL));
    if (depth > DEPTH_MAX)
        return;
    if (hex && !json_object_get(value, "alias") && !tl_node_id_parse_form(tl_slice_str(hex), &id)) {
        const char *alias = tl_naming_alias(&n->names->naming, &id);
        /* out of memory: it is left out */
        (void)json_object_set_new(value, "alias", alias ? json_string(alias) : json_null());
    }
    json_object_foreach (value, key, part)
        if (json_is_object(part) || json_is_array(part))
            add_aliases(n, part, depth + 1);
    json_array_foreach (value, i, part)
        add_aliases(n, part, depth + 1);
}

json_t *tl_node_add_aliases(const tl_node *n, json_t *value)
{
    if (value && n->names)
        add_aliases(n, value, 0);
    return value;
}

json_t *tl_node_add_aliases_inside(const tl_node *n, json_t *value)
{
    const char *key;
    json_t *part;
    json_object_foreach (n->names ? value : NULL, key, part)
        add_aliases(n, part, 0);
    return value;
}

/* --- the verb known --- */

#define KNOWN_MAX 500 /* more is no help to a person, and takes time */

/* `named`: its display name names this node and no other. NULL: out of memory. */
static json_t *known_json(const tl_node *n)
{
    known_nodes k = all_known(n);
    json_t *peers = json_array();
    bool *named = k.list ? calloc(k.n + 1, sizeof *named) : NULL;
    bool ok = named && !tl_naming_mark(&n->names->naming, k.list, k.n, named);
    for (size_t i = 0; ok && i < k.n && json_array_size(peers) < KNOWN_MAX; i++) {
        json_t *one = k.list[i].own ? NULL : node_json(n, &k.list[i].id);
        ok = k.list[i].own ||
             (one && !json_object_set_new(one, "named", json_boolean(named[i])) &&
              !json_object_set_new(one, "announced", json_boolean(k.list[i].announced)) &&
              !json_array_append(peers, one));
        json_decref(one);
    }
    free(named);
    free(k.list);
    if (!ok) {
        json_decref(peers);
        peers = NULL;
    }
    return peers;
}

void tl_verb_known(tl_node *n, const json_t *args, tl_call *call)
{
    (void)args;
    tl_call_ok(call, json_pack("{s:o, s:o, s:o}", "peers", known_json(n), "models",
                               tl_node_models(n), "ptns", tl_node_ptns_json(n)));
}

/* --- aliases --- */

static tl_err load(void *user, const tl_node_id *node, const char *alias)
{
    tl_node *n = user;
    tl_why why;
    tl_err e = tl_naming_set(&n->names->naming, node, alias, &why);
    return e == TL_ERR_NOMEM
               ? e
               : TL_OK; /* another is one that this version would not take: it is left out */
}

tl_err tl_node_open_names(tl_node *n, tl_why *why)
{
    if (!(n->names = calloc(1, sizeof *n->names)))
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    return n->store ? tl_store_each_alias(n->store, load, n, why) : TL_OK;
}

void tl_verb_alias_list(tl_node *n, const json_t *args, tl_call *call)
{
    json_t *all = json_array();
    (void)args;
    for (const tl_naming_entry *e = n->names->naming.entries; all && e; e = e->hh.next)
        if (*e->alias)
            all = tl_json_append(all, node_json(n, &e->id));
    tl_call_ok(call, all ? json_pack("{s:o}", "aliases", all) : NULL);
}

/* A change that the store is to keep. What it was before comes back where the store refuses. */
typedef struct {
    tl_node *node;
    tl_call *call;
    tl_node_id id;
    char before[TL_ALIAS_MAX + 1]; /* "": none */
} alias_change;

static void stored(void *user, tl_err e, const char *why)
{
    alias_change *c = user;
    tl_node *n = c->node;
    if (!e) {
        tl_node_keeping_stale(n);
        if (n->lan && n->stage == TL_NODE_RUNNING)
            tl_node_lan_known_changed(n);
        tl_call_ok(c->call, node_json(n, &c->id));
    } else {
        tl_naming_unset(&n->names->naming, &c->id);
        if (*c->before)
            (void)!tl_naming_set(&n->names->naming, &c->id, c->before,
                                 NULL); /* another may have taken it */
        tl_call_fail(c->call, "E_STORE", "the alias could not be stored: %s",
                     *why ? why : tl_err_name(e));
    }
    free(c);
}

/* NULL: the call has failed. */
static alias_change *begin_change(tl_node *n, const json_t *args, tl_call *call)
{
    tl_node_id id;
    alias_change *c = NULL;
    if (!n->store)
        tl_call_fail(
            call, "E_UNAVAILABLE",
            "this node runs without a database, so it keeps no alias; start it with a home "
            "directory that can be written");
    else if (tl_node_peer_arg(n, args, "peer", call, &id) && !(c = calloc(1, sizeof *c)))
        tl_call_fail(call, "E_INTERNAL", "the node is out of memory");
    if (!c)
        return NULL;
    const char *before = tl_naming_alias(&n->names->naming, &id);
    *c = (alias_change){.node = n, .call = call, .id = id};
    snprintf(c->before, sizeof c->before, "%s", before ? before : "");
    return c;
}

static void keep(alias_change *c)
{
    const char *alias = tl_naming_alias(&c->node->names->naming, &c->id);
    if (tl_store_put_alias(c->node->store, &c->id, alias, stored, c))
        stored(c, TL_ERR_NOMEM, "");
}

void tl_verb_alias_set(tl_node *n, const json_t *args, tl_call *call)
{
    tl_why why = {""};
    alias_change *c = begin_change(n, args, call);
    if (!c)
        return;
    tl_err e =
        tl_node_id_eq(&c->id, &n->identity.id)
            ? tl_why_set(&why, TL_ERR_INVALID,
                         "that is this node itself: its name is the setting display_name")
            : tl_naming_set(&n->names->naming, &c->id, tl_json_string(args, "alias", ""), &why);
    if (!e) {
        keep(c);
        return;
    }
    tl_call_fail(call,
                 e == TL_ERR_INVALID  ? "E_INVALID"
                 : e == TL_ERR_EXISTS ? "E_EXISTS"
                 : e == TL_ERR_BUSY   ? "E_TOO_MUCH"
                                      : "E_INTERNAL",
                 "%s", e == TL_ERR_NOMEM ? "the node is out of memory" : why.text);
    free(c);
}

void tl_verb_alias_remove(tl_node *n, const json_t *args, tl_call *call)
{
    alias_change *c = begin_change(n, args, call);
    if (c && !*c->before) {
        tl_call_fail(call, "E_NOT_FOUND", "the node has no alias");
        free(c);
    } else if (c) {
        tl_naming_unset(&n->names->naming, &c->id);
        keep(c);
    }
}
