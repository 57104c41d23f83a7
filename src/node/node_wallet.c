/* node_wallet.c - the verbs of the wallet: what the ledger says, and settlements. */
#include "base/json.h"
#include "base/log.h"
#include "node/accounts.h"
#include "node/names.h"
#include "node/state.h"
#include "node/verbs.h"
#include "store/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* --- reports --- */

typedef struct {
    tl_report report; /* first */
    tl_node *node;
    tl_call *call;
} wallet_call;

static const char *name_of(const tl_node *n, const char *hex)
{
    tl_node_id id;
    const char *name = tl_node_id_parse_form(tl_slice_str(hex), &id) ? "" : tl_node_called(n, &id);
    return *name ? name : NULL;
}

static const char *name_of_network(const tl_node *n, const char *hex)
{
    tl_node_id id;
    tl_membership *m = tl_hex_parse(tl_slice_str(hex), false, id.key, sizeof id.key)
                           ? NULL
                           : tl_networks_by_id(n->book, &id);
    return m ? m->name : NULL;
}

/* Adds what the store does not know. False: out of memory. */
static bool complete_wallet(const tl_node *n, json_t *wallet)
{
    size_t i;
    json_t *one;
    tl_node_id id;
    bool ok = true;
    json_array_foreach (json_object_get(wallet, "peers"), i, one) {
        const char *hex = tl_json_string(one, "node_id", "");
        const char *peer = name_of(n, hex);
        if (tl_node_id_parse(tl_slice_str(hex), &id))
            continue;
        ok = ok && !json_object_set_new(one, "name", peer ? json_string(peer) : json_null()) &&
             !json_object_set_new(one, "limit_micro",
                                  json_integer(tl_credit_limit_of(n->credit, &id)));
    }
    json_array_foreach (json_object_get(wallet, "ptns"), i, one) {
        const char *network = name_of_network(n, tl_json_string(one, "ptn_id", ""));
        ok = ok && !json_object_set_new(one, "name", network ? json_string(network) : json_null());
    }
    return ok;
}

static void reported(tl_report *r, tl_err e)
{
    wallet_call *w = (wallet_call *)r;
    json_t *result = r->result;
    bool ok = !e && result;
    if (ok && r->what == TL_REPORT_WALLET && !complete_wallet(w->node, result))
        ok = false;
    if (ok) {
        tl_call_ok(w->call, result);
    } else {
        json_decref(result);
        tl_call_fail(w->call, e == TL_ERR_NOMEM ? "E_INTERNAL" : "E_STORE",
                     "the ledger cannot be read: %s",
                     r->job.why.text[0] ? r->job.why.text : tl_err_name(e));
    }
    free(w);
}

static wallet_call *new_report(tl_node *n, tl_call *call, tl_report_what what)
{
    wallet_call *w = n->credit ? calloc(1, sizeof *w) : NULL;
    if (!n->credit)
        tl_call_fail(call, "E_UNAVAILABLE", "this node keeps no ledger");
    else if (!w)
        tl_call_fail(call, "E_INTERNAL", "the node is out of memory");
    else
        *w = (wallet_call){.node = n,
                           .call = call,
                           .report = {.what = what, .self = n->identity.id, .done = reported}};
    return w;
}

void tl_verb_wallet_show(tl_node *n, const json_t *args, tl_call *call)
{
    wallet_call *w = new_report(n, call, TL_REPORT_WALLET);
    (void)args;
    if (w)
        tl_report_submit(n->store, &w->report);
}

void tl_verb_wallet_audit(tl_node *n, const json_t *args, tl_call *call)
{
    wallet_call *w = new_report(n, call, TL_REPORT_AUDIT);
    (void)args;
    if (w)
        tl_report_submit(n->store, &w->report);
}

static bool find_network(tl_node *n, const char *text, tl_call *call, tl_node_id *ret)
{
    tl_membership *found[2];
    size_t count = tl_networks_find(n->book, tl_slice_str(text), found);
    if (count == 1) {
        *ret = found[0]->id;
        return true;
    }
    if (count)
        tl_call_fail(call, "E_AMBIGUOUS", "several networks of this node are called \"%s\"", text);
    else
        tl_node_fail_network(n, text, call);
    return false;
}

void tl_verb_wallet_history(tl_node *n, const json_t *args, tl_call *call)
{
    tl_node_id peer = {{0}}, network = {{0}};
    const char *net = tl_json_string(args, "net", "");
    const json_t *since = json_object_get(args, "since");
    bool has_peer = json_object_get(args, "peer") != NULL;
    if (since && (!json_is_integer(since) || json_integer_value(since) < 0)) {
        tl_call_fail(call, "E_INVALID", "`since` is not a time in whole Unix seconds");
        return;
    }
    if ((has_peer && !tl_node_other_arg(n, args, "peer", call, &peer)) ||
        (net[0] && !find_network(n, net, call, &network)))
        return;
    const json_t *limit = json_object_get(args, "limit"), *after = json_object_get(args, "after");
    const json_t *newest = json_object_get(args, "newest");
    if ((newest && !json_is_boolean(newest)) ||
        (limit && (!json_is_integer(limit) || json_integer_value(limit) < 1)) ||
        (after && json_integer_value(json_object_get(after, "id")) < 1)) {
        tl_call_fail(call, "E_INVALID",
                     "`limit` is a number from 1, `after` is `next` of an answer, `newest` is true "
                     "or false");
        return;
    }
    wallet_call *w = new_report(n, call, TL_REPORT_HISTORY);
    if (!w)
        return;
    w->report.newest = json_is_true(newest);
    w->report.limit = (size_t)json_integer_value(limit);
    w->report.after_at = json_integer_value(json_object_get(after, "at"));
    w->report.after_id = json_integer_value(json_object_get(after, "id"));
    w->report.since = json_integer_value(since);
    w->report.has_peer = has_peer;
    w->report.peer = peer;
    w->report.has_network = net[0] != 0;
    w->report.network = network;
    tl_report_submit(n->store, &w->report);
}

/* A settlement that a person asked for. A connection is made meanwhile, so that the peer can sign. */
typedef struct tl_settle_call {
    tl_peer_wish wish; /* first */
    tl_node *node;
    tl_call *call;
    tl_node_id peer;
    int64_t amount;
    struct tl_settle_call *prev, *next;
} tl_settle_call;

static void forget_settle(tl_settle_call *s)
{
    tl_peers_unwish(s->node->peers, &s->wish);
    DL_DELETE(s->node->settling, s);
    free(s);
}

void tl_node_stop_credit(tl_node *n)
{
    while (n->settling)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        forget_settle(n->settling);
}

/* Its hello is what counts, and a peer that is away is told by the settlement's own deadline. */
static void on_connected(tl_peer_wish *w, tl_quic_stream *s)
{
    (void)w;
    (void)s;
}

static void on_not_connected(tl_peer_wish *w, tl_err e, const char *why)
{
    const tl_settle_call *s = (tl_settle_call *)w;
    (void)e;
    tl_log(TL_LOG_DEBUG, "credit: no connection for a settlement: %s", why);
    tl_credit_settle_away(s->node->credit, &s->peer);
}

/* More than is owed, by this node's books or by the peer's. `balance`: by this node's; above 0 the peer owes. */
static void fail_too_much(const tl_settle_call *s, const char *hex, int64_t balance)
{
    int64_t owed = balance < 0 ? -balance : balance;
    char who[64];
    if (!owed) {
        tl_call_fail(s->call, "E_TOO_MUCH", "nothing is owed between this node and %.8s", hex);
        return;
    }
    if (balance > 0)
        snprintf(who, sizeof who, "%.8s owes this node %lld", hex, (long long)owed);
    else
        snprintf(who, sizeof who, "this node owes %.8s %lld", hex, (long long)owed);
    if (s->amount > owed)
        tl_call_fail(s->call, "E_TOO_MUCH", "%lld micro-credits are more than is owed: %s",
                     (long long)s->amount, who);
    else
        tl_call_fail(s->call, "E_TOO_MUCH",
                     "%.8s refused it: by its books less than %lld micro-credits is owed, by this "
                     "node's %s. A receipt may be on its way: try again",
                     hex, (long long)s->amount, who);
}

static void settled(void *user, tl_settle_result r, int64_t balance)
{
    tl_settle_call *s = user;
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &s->peer);
    switch (r) {
    case TL_SETTLE_SETTLED:
    case TL_SETTLE_PROPOSED:
        tl_call_ok(s->call, json_pack("{s:s, s:I, s:s, s:I}", "peer", hex, "amount_micro",
                                      (json_int_t)s->amount, "state",
                                      r == TL_SETTLE_SETTLED ? "settled" : "proposed",
                                      "balance_micro", (json_int_t)balance));
        break;
    case TL_SETTLE_EARLIER:
        tl_call_fail(s->call, "E_SETTLED",
                     "%.8s had signed the settlement that was tried before: it is settled now, and "
                     "this one is not. The balance is %lld micro-credits: settle what is left",
                     hex, (long long)balance);
        break;
    case TL_SETTLE_TOO_MUCH: fail_too_much(s, hex, balance); break;
    case TL_SETTLE_AWAY:
        tl_call_fail(s->call, "E_AWAY",
                     "%.8s is not connected, or did not sign: the balance is as it was. Try again "
                     "when it is online",
                     hex);
        break;
    case TL_SETTLE_BUSY:
        tl_call_fail(s->call, "E_BUSY", "too many settlements are under way: try again");
        break;
    case TL_SETTLE_STORE:
        tl_call_fail(s->call, "E_STORE", "the ledger could not be written: teale doctor says why");
        break;
    }
    forget_settle(s);
}

void tl_verb_wallet_settle(tl_node *n, const json_t *args, tl_call *call)
{
    tl_node_id peer;
    const json_t *amount = json_object_get(args, "amount_micro");
    if (!json_is_integer(amount) || json_integer_value(amount) < 1 ||
        json_integer_value(amount) > TL_MONEY_MAX) {
        tl_call_fail(call, "E_INVALID",
                     "AMOUNT is a whole number of micro-credits from 1 to 2^53 - 1");
        return;
    }
    if (!tl_node_other_arg(n, args, "peer", call, &peer))
        return;
    tl_settle_call *s = n->credit ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        tl_call_fail(call, n->credit ? "E_INTERNAL" : "E_UNAVAILABLE",
                     n->credit ? "the node is out of memory" : "this node keeps no ledger");
        return;
    }
    *s = (tl_settle_call){
        .node = n, .call = call, .peer = peer, .amount = json_integer_value(amount)};
    s->wish = (tl_peer_wish){.peer = peer,
                             .connection_only = true,
                             .on_stream = on_connected,
                             .on_failed = on_not_connected};
    DL_APPEND(n->settling, s);
    tl_ledger_sums sums = tl_credit_sums_of(n->credit, &peer);
    tl_ledger_role role;
    if (!tl_ledger_may_settle(&sums, s->amount, &role))
        (void)!tl_peers_wish(n->peers, &s->wish); /* else the settlement's own time runs out */
    tl_credit_settle(n->credit, &peer, s->amount, settled, s);
}
