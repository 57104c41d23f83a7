/* What the DHT knows, for people and scripts: the status, and what a node says of itself there. */
#include "node/dht_state.h"
#include "node/facts.h"
#include "node/names.h"
#include "node/node_net_report.h"
#include "node/reach.h"
#include "node/verbs.h"

#include <stdlib.h>
#include <utlist.h>

static json_t *id_json(const tl_dht_id *id)
{
    char hex[2 * TL_DHT_ID_SIZE + 1];
    tl_hex_write(hex, id->b, sizeof id->b);
    return json_string(hex);
}

/* --- status --- */

static json_t *published_json(const tl_node_dht *d)
{
    tl_dht_id target = tl_dht_record_target(&d->node->identity.id);
    tl_dht_kept kept;
    if (!d->publishes || !tl_dht_kept_of(d->core, &target, &kept) || !kept.seq)
        return json_null();
    tl_time ago = tl_loop_now(d->node->loop) - kept.stored;
    return json_pack("{s:I, s:o, s:i, s:o}", "seq", (json_int_t)kept.seq, "target",
                     id_json(&target), "holders", (int)kept.holders, "stored_secs_ago",
                     kept.stored ? json_integer((json_int_t)(ago / TL_SEC)) : json_null());
}

json_t *tl_node_dht_json(const tl_node *n)
{
    static const char *const states[] = {[TL_DHT_JOINING] = "joining", [TL_DHT_READY] = "ready"};
    tl_dht_report r;
    if (!n->dht)
        return json_pack("{s:s, s:n, s:i, s:b, s:i, s:b, s:n}", "state", "off", "id", "nodes", 0,
                         "read_only", 1, "stored", 0, "publishes", 0, "published");
    tl_dht_report_of(n->dht->core, &r);
    size_t interfaces;
    (void)tl_network_interfaces(n->network, &interfaces);
    return json_pack("{s:s, s:o, s:I, s:b, s:I, s:b, s:o}", "state",
                     interfaces ? states[r.state] : "offline", "id",
                     r.has_id4   ? id_json(&r.id4)
                     : r.has_id6 ? id_json(&r.id6)
                                 : json_null(),
                     "nodes", (json_int_t)r.nodes4 + (json_int_t)r.nodes6, "read_only", r.read_only,
                     "stored", (json_int_t)r.stored, "publishes", n->dht->publishes, "published",
                     published_json(n->dht));
}

void tl_node_dht_facts_of(const tl_node *n, tl_dht_counts *ret_facts)
{
    *ret_facts = (tl_dht_counts){.on = n->dht};
    if (!n->dht)
        return;
    ret_facts->counters = *tl_dht_counters_of(n->dht->core);
    tl_dht_report_of(n->dht->core, &ret_facts->report);
    ret_facts->publishes = n->dht->publishes;
    tl_dht_id target = tl_dht_record_target(&n->identity.id);
    tl_dht_kept kept;
    if (tl_dht_kept_of(n->dht->core, &target, &kept))
        ret_facts->holders = kept.holders;
}

/* --- the record of a node --- */

static json_t *introducers_json(const tl_dht_record *r)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n_introducers; i++) {
        char hex[TL_NODE_ID_HEX + 1];
        tl_hex_write(hex, r->introducers[i].id, sizeof r->introducers[i].id);
        json_t *one = json_pack("{s:s, s:o}", "node_id", hex, "address",
                                tl_net_addr_json(&r->introducers[i].addr));
        list = tl_json_append(list, one);
    }
    return list;
}

static json_t *record_json(const tl_dht_record *r)
{
    json_t *addresses = json_array(), *relays = json_array();
    for (size_t i = 0; addresses && i < r->n_addresses; i++)
        addresses = tl_json_append(addresses, tl_net_addr_json(&r->addresses[i]));
    for (size_t i = 0; relays && i < r->n_relays; i++)
        relays = tl_json_append(relays, json_string(r->relays[i]));
    return json_pack("{s:s, s:o, s:o, s:o}", "nat", tl_control_nat_name(r->nat), "addresses",
                     addresses, "introducers", introducers_json(r), "relays", relays);
}

struct tl_dht_look {
    tl_node_dht *dht;
    tl_call *call;
    tl_node_id id;
    tl_dht_request request;
    struct tl_dht_look *prev, *next;
};

static void end(tl_dht_look *l)
{
    tl_call_on_drop(l->call, NULL, NULL);
    DL_DELETE(l->dht->looks, l);
    free(l);
}

static void answer(const tl_dht_look *l, const tl_dht_item *item, const tl_dht_result *result)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_dht_record record;
    tl_dht_id target = tl_dht_record_target(&l->id);
    tl_node_id_write(hex, &l->id);
    if (!item && !result->answered)
        tl_call_fail(l->call, "E_AWAY",
                     "no node of the DHT answered (%u were asked). See: teale status, and the "
                     "setting dht.bootstrap",
                     result->asked);
    else if (!item) /* one liar is enough for `refused`: it does not make this another error */
        tl_call_fail(
            l->call, "E_AWAY",
            "the DHT has no record of %.16s: %u nodes answered, %u of them with one that it "
            "did not sign. That node must be up, and publish: dht.publish there",
            hex, result->answered, result->refused);
    else if (tl_dht_record_parse(tl_dht_item_value(item), &record))
        tl_call_fail(l->call, "E_RECORD",
                     "the DHT has something signed by %.16s, but it is no record of a Teale node",
                     hex);
    else
        tl_call_ok(l->call,
                   json_pack("{s:s, s:o, s:I, s:o}", "node_id", hex, "target", id_json(&target),
                             "seq", (json_int_t)item->seq, "record", record_json(&record)));
}

static void on_done(void *user, tl_dht_request request, const tl_dht_item *item,
                    const tl_dht_result *result)
{
    tl_dht_look *l = user;
    (void)request;
    answer(l, item, result);
    end(l);
}

static void on_drop(void *user)
{
    tl_dht_look *l = user;
    tl_dht_cancel(l->dht->core, l->request);
    tl_call_fail(l->call, "E_UNAVAILABLE", "nobody waits any more");
    end(l);
}

void tl_dht_end_looks(tl_node_dht *d)
{
    while (d->looks) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        tl_call_fail(d->looks->call, "E_UNAVAILABLE", "this node has left the DHT");
        end(d->looks);
    }
}

void tl_node_do_dht_get(tl_node *n, const json_t *args, tl_call *call)
{
    tl_node_id id;
    if (!tl_node_peer_arg(n, args, "node_id", call, &id))
        return;
    if (!n->dht) {
        tl_call_fail(call, "E_SETTING", "%s",
                     !n->settings.wan_enabled || !n->settings.nat_direct
                         ? "this node has no UDP port, so it is not in the DHT: wan_enabled and "
                           "nat.direct must be true"
                     : !n->settings.dht_enabled
                         ? "dht.enabled is false: teale config set dht.enabled true"
                         : "this node has no UDP port, so it is not in the DHT. See: teale doctor");
        return;
    }
    tl_dht_look *l = calloc(1, sizeof *l);
    if (!l) {
        tl_call_fail(call, "E_INTERNAL", "the node is out of memory");
        return;
    }
    *l = (tl_dht_look){.dht = n->dht, .call = call, .id = id};
    tl_dht_ask ask = {.on_done = on_done, .user = l};
    tl_err e = tl_dht_get(n->dht->core, id.key, TL_DHT_RECORD_SALT, 0, &ask, tl_loop_now(n->loop),
                          &l->request);
    if (e) {
        free(l);
        tl_call_fail(call, e == TL_ERR_BUSY ? "E_BUSY" : "E_INTERNAL",
                     "the DHT cannot be asked: %s", tl_err_name(e));
        return;
    }
    DL_APPEND(n->dht->looks, l);
    tl_call_on_drop(call, on_drop, l);
    tl_node_wake(n);
}
