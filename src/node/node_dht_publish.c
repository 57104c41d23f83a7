/* What this node says of itself in the DHT. */
#include "node/dht_state.h"
#include "node/reach.h"

#include "base/log.h"

bool tl_dht_may_publish(const tl_node *n)
{
    const char *publish = n->settings.dht_publish;
    if (tl_node_is_aside(n))
        return false;
    return strcmp(publish, "auto") != 0 ? !strcmp(publish, "on") : tl_node_wants_no_relay(n);
}

tl_control_nat tl_dht_own_nat(const tl_node *n)
{
    const char *name = tl_nat_tesseras_type(tl_network_facts(n->network));
    tl_control_nat nat = TL_CONTROL_NAT_PUBLIC;
    while (nat < TL_CONTROL_NAT_UNKNOWN && strcmp(name, tl_control_nat_name(nat)) != 0)
        nat++;
    return nat;
}

/* Do strangers get through to the address at which servers see the IPv4 socket? */
static bool is_open(const tl_nat_facts *f)
{
    return f->mapping == TL_MAPPING_NONE || f->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT;
}

/* An address of the DHT's own network: of the internet, or of this machine where all of the DHT is. */
static bool is_public(const tl_node *n, const tl_addr *a)
{
    return a->family != TL_ADDR_NONE && a->port &&
           (tl_addr_kind_of(a) == TL_ADDR_GLOBAL ||
            (tl_addr_is_loopback(a) && tl_node_dht_on_loopback(n)));
}

static size_t add(const tl_node *n, const tl_addr *a, tl_addr *list, size_t count)
{
    if (!is_public(n, a) || count == TL_DHT_RECORD_ADDRESSES_MAX)
        return count;
    for (size_t i = 0; i < count; i++)
        if (tl_addr_eq(&list[i], a))
            return count;
    list[count] = *a;
    list[count].scope = 0;
    return count + 1;
}

size_t tl_dht_own_addresses(const tl_node *n, tl_addr ret[TL_DHT_RECORD_ADDRESSES_MAX])
{
    const tl_nat_facts *f = tl_network_facts(n->network);
    tl_addr mapped = tl_network_mapped(n->network);
    size_t count = add(n, &mapped, ret, 0);
    if (is_open(f))
        count = add(n, &f->public4, ret, count);
    return add(n, &f->public6, ret,
               count); /* no NAT; where a firewall is, an introducer opens it */
}

bool tl_node_dht_publishes(const tl_node *n)
{
    return n->dht && n->dht->publishes;
}

static void add_introducers(const tl_node *n, tl_dht_record *r)
{
    tl_introducer_facts by[TL_INTRODUCERS_MAX];
    const tl_introducers *all = tl_peers_introducers(n->peers);
    size_t count = all ? tl_introducers_attached(all, by) : 0;
    for (size_t i = 0; i < count && r->n_introducers < TL_DHT_RECORD_INTRODUCERS_MAX; i++) {
        tl_dht_record_introducer *one = &r->introducers[r->n_introducers++];
        memcpy(one->id, by[i].name.id.key, sizeof one->id);
        one->addr = by[i].name.addr;
    }
}

static void add_relays(const tl_node *n, tl_dht_record *r)
{
    const tl_string_list *urls = &n->settings.wan_relay_url;
    for (size_t i = 0; i < urls->n && r->n_relays < TL_DHT_RECORD_RELAYS_MAX; i++)
        memcpy(r->relays[r->n_relays++], urls->item[i], sizeof r->relays[0]);
}

void tl_dht_follow(tl_node_dht *d)
{
    tl_node *n = d->node;
    tl_dht_record r = {.nat = tl_dht_own_nat(n)};
    uint8_t value[TL_DHT_RECORD_MAX];
    bool may = tl_dht_may_publish(n);
    if (!may && d->publishes)
        tl_dht_unpublish(d->core, &n->identity.id, TL_DHT_RECORD_SALT);
    d->publishes = may;
    if (tl_peers_introducers(n->peers))
        tl_introducers_set_published(tl_peers_introducers(n->peers), may);
    /* A record that changes a second later would be published twice. */
    bool early = !tl_network_facts(n->network)->at && tl_loop_now(n->loop) < d->settles_at;
    d->look_at = may && early ? d->settles_at : TL_NEVER;
    if (!may || early)
        return;
    r.n_addresses = tl_dht_own_addresses(n, r.addresses);
    add_introducers(n, &r);
    add_relays(n, &r);
    size_t len = tl_dht_record_write(&r, value);
    tl_err e = tl_dht_publish(d->core, &n->identity, TL_DHT_RECORD_SALT, tl_slice_of(value, len),
                              d->seq, tl_loop_now(n->loop));
    if (e)
        tl_log(TL_LOG_ERROR, "DHT: what this node says of itself cannot be published: %s",
               tl_err_name(e));
}
