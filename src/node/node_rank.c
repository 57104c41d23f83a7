/* Who would be asked, at what price, and why: `teale why --model`, and the offers of `teale models`. */
#include "node/names.h"
#include "node/state.h"
#include "node/verbs.h"

#include "crypto/idjson.h"
#include "node/node_net_report.h"

#include <stdio.h>
#include <stdlib.h>

/* Models whose offers are listed; at a relay with more, one asks for one model. Each looks at every
 * node that is known. */
#define OFFERED_MAX 512

static json_t *maybe_json(tl_maybe m)
{
    return m.given ? json_integer(m.value) : json_null();
}

static json_t *offer_json(const tl_node *n, const tl_ranked *r)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_peer_facts path;
    const tl_rank_facts *f = &r->facts;
    tl_maybe slots_free = {f->slots != 0, f->slots_free}, queued = {f->slots != 0, f->queued};
    bool connected = tl_peers_facts(n->peers, r->peer, &path);
    const char *way = connected ? tl_via_name(path.via) : NULL;
    tl_node_id_write(hex, &r->peer->id);
    return json_pack("{s:s, s:s, s:o, s:o, s:s?, s:o, s:o}", "node_id", hex, "name", r->peer->name,
                     "ptn_id", r->has_network ? tl_node_id_json(&r->network) : json_null(),
                     "price_micro", maybe_json(f->price), "path",
                     r->peer->in_clear ? tl_via_name(TL_VIA_PLAINTEXT) : way, "slots_free",
                     maybe_json(slots_free), "queued", maybe_json(queued));
}

/* An offer is one that would be taken now, for this very name, if its price alone does not forbid it. */
static bool is_offer(const tl_ranked *r)
{
    return r->peer && (r->may || r->facts.may == TL_RANK_TOO_DEAR) &&
           r->facts.fit == TL_MODEL_SAME && (r->peer->listed || r->facts.connected);
}

/* False: out of memory. */
static bool list_offers(const tl_node *n, const char *model, json_t *offers, json_t *too_dear)
{
    tl_ask ask = {0};
    tl_ranked *list;
    size_t count;
    bool ok = true;
    snprintf(ask.model, sizeof ask.model, "%s", model);
    if (tl_router_rank(n->router, &ask, &list, &count))
        return false;
    for (size_t i = 0; ok && i < count; i++)
        if (is_offer(&list[i]))
            ok = !json_array_append_new(list[i].may ? offers : too_dear, offer_json(n, &list[i]));
    free(list);
    return ok;
}

bool tl_node_add_offers(const tl_node *n, json_t *models)
{
    size_t i;
    json_t *m;
    json_array_foreach (models, i, m) {
        json_t *offers = json_array(), *too_dear = json_array();
        if (json_object_set_new(m, "offers", offers) | json_object_set_new(m, "too_dear", too_dear))
            return false;
        if (i < OFFERED_MAX && !list_offers(n, tl_json_string(m, "id", ""), offers, too_dear))
            return false;
    }
    return true;
}

/* --- why.model --- */

static json_t *place_json(const tl_node *n, const tl_ranked *r, json_int_t place)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, r->peer ? &r->peer->id : &n->identity.id);
    return json_pack("{s:s, s:s, s:o, s:b, s:s, s:o}", "node_id", hex, "name",
                     r->peer ? r->peer->name : n->name, "rank",
                     r->may ? json_integer(place) : json_null(), "may", r->may, "reason", r->reason,
                     "price_micro", maybe_json(r->facts.price));
}

static json_t *ranking_json(const tl_node *n, const tl_ask *ask)
{
    tl_ranked *list;
    size_t count;
    if (tl_router_rank(n->router, ask, &list, &count))
        return NULL;
    json_t *ranking = json_array();
    for (size_t i = 0; ranking && i < count; i++)
        ranking = tl_json_append(ranking, place_json(n, &list[i], (json_int_t)i + 1));
    free(list);
    return json_pack("{s:s, s:o, s:o}", "model", ask->model, "ptn_id",
                     ask->scoped ? tl_node_id_json(&ask->network) : json_null(), "ranking",
                     ranking);
}

/* False: the call has failed. */
static bool find_network(tl_node *n, const char *net, tl_ask *ask, tl_call *call)
{
    tl_membership *found[2];
    char first[TL_NODE_ID_HEX + 1], second[TL_NODE_ID_HEX + 1];
    size_t count = tl_networks_find(n->book, tl_slice_str(net), found);
    if (count == 1) {
        ask->scoped = ask->has_network = true;
        ask->network = found[0]->id;
        return true;
    }
    if (!count) {
        tl_node_fail_network(n, net, call);
        return false;
    }
    tl_node_id_write(first, &found[0]->id);
    tl_node_id_write(second, &found[1]->id);
    tl_call_fail(call, "E_AMBIGUOUS", "\"%.64s\" may be network %s or %s", net, first, second);
    return false;
}

void tl_node_why_model(tl_node *n, const json_t *args, tl_call *call)
{
    tl_ask ask = {0};
    const char *model = tl_json_string(args, "model", ""), *net = tl_json_string(args, "net", "");
    if (!model[0] || strlen(model) >= sizeof ask.model) {
        tl_call_fail(call, "E_INVALID", "say which model: why --model MODEL");
        return;
    }
    memcpy(ask.model, model, strlen(model));
    char *at = strrchr(ask.model, '@'); /* MODEL@NETWORK, as in a question */
    tl_membership *found[2];
    if (!net[0] && at && at != ask.model &&
        (tl_networks_find(n->book, tl_slice_str(at + 1), found) ||
         tl_networks_once_called(n->book, tl_slice_str(at + 1)))) {
        net = model + (at + 1 - ask.model);
        *at = 0;
    }
    if (net[0] && !find_network(n, net, &ask, call))
        return;
    tl_call_ok(call, ranking_json(n, &ask));
}

void tl_node_do_prepare(tl_node *n, const json_t *args, tl_call *call)
{
    tl_ask ask = {0};
    const char *model = tl_json_string(args, "model", ""), *peer = tl_json_string(args, "peer", "");
    if (!*model || strlen(model) >= sizeof ask.model) {
        tl_call_fail(call, "E_INVALID", "a model must be named, in %zu bytes at most",
                     sizeof ask.model - 1);
        return;
    }
    snprintf(ask.model, sizeof ask.model, "%s", model);
    snprintf(ask.path, sizeof ask.path, "/v1/chat/completions");
    ask.has_peer = *peer;
    if (*peer && !tl_node_peer_arg(n, args, "peer", call, &ask.peer))
        return;
    tl_router_prepare(n->router, &ask);
    tl_call_ok(call, json_object());
}
