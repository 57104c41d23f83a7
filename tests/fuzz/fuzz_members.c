/* Messages of private networks, from a member and from a stranger, to the admin, to a provider and to a
 * node that is in no network: the first byte chooses message and sender, the rest is the payload. Whatever they
 * say, nobody becomes a member by it, gets a role, is revoked, or counts as reciprocal by its own word. */
#include "members_scene.h"

#include "crypto/canonical.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { ADMIN, PROVIDER, CONSUMER, STRANGER, NODES };

static const char *const names[] = {
    "ptnHello", "ptnList",    "ptnPrice", "ptnKey",   "ptnJoin",        "ptnJoined", "ptnRefused",
    "ptnRenew", "ptnRenewed", "ptnLeave", "ptnOther", "ptnDeedsWanted", "ptnDeeds"};
#define NAMES (sizeof names / sizeof *names)

static void must(bool so)
{
    if (!so)
        abort();
}

static void begin_scene(void)
{
    must(!tl_crypto_init());
    scene_begin(NODES);
    found_lab();
    char *provider = invite_by(nodes[ADMIN], TL_ROLE_PROVIDER, 0);
    char *consumer = invite_by(nodes[ADMIN], TL_ROLE_CONSUMER, 0);
    must(join(nodes[PROVIDER], provider) == TL_REFUSAL_NONE);
    must(join(nodes[CONSUMER], consumer) == TL_REFUSAL_NONE);
    free(provider);
    free(consumer);
    for (int a = 0; a < NODES; a++)
        for (int b = 0; b < a; b++)
            connect_nodes(nodes[a], nodes[b]);
    settle();
    for (int a = 0; a < NODES; a++) { /* they wait for statements, and have one to make */
        tl_members_ask_deeds(nodes[a]->members, &nodes[CONSUMER]->identity.id);
        tl_members_ask_deeds(nodes[a]->members, &nodes[STRANGER]->identity.id);
        tl_reciprocity_add_served(nodes[a]->deeds, &nodes[ADMIN]->identity.id, 5000, wall());
    }
    settle();
    must(may_ask(nodes[PROVIDER], nodes[CONSUMER]));
}

/* What stands in place of the network's ID, so that the corpus need not know it. */
static void put_network(json_t *value)
{
    char hex[TL_NODE_ID_HEX + 1];
    const char *key;
    json_t *one;
    size_t i;
    tl_node_id_write(hex, &lab(nodes[ADMIN])->id);
    if (json_is_array(value))
        json_array_foreach (value, i, one)
            put_network(one);
    json_object_foreach (value, key, one) {
        if (strcmp(key, "ptnID") == 0 && json_is_string(one))
            json_string_set(one, hex);
        else
            put_network(one);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *payload;
    if (!n || tl_json_parse(tl_slice_of(data + 1, n - 1), 16, &payload, NULL))
        return 0;
    begin_scene();
    if (data[0] & 0x80)
        put_network(payload);
    node *from = nodes[data[0] & 0x40 ? STRANGER : CONSUMER];
    for (int to = 0; to < NODES; to++) {
        if (nodes[to] != from)
            tl_members_on_told(nodes[to]->members, &from->identity.id,
                               names[data[0] % 0x40 % NAMES], payload);
        settle();
    }
    json_decref(payload);
    must(tl_networks_count(nodes[STRANGER]->book) == 0);
    for (int a = 0; a < STRANGER; a++) {
        must(!may_ask(nodes[a], nodes[STRANGER]));
        must(!may_serve(nodes[a], nodes[STRANGER]));
        must(a == CONSUMER || !may_serve(nodes[a], nodes[CONSUMER]));
        must(!nodes[a]->revoked);
        must(!tl_reciprocity_is(nodes[a]->deeds, &nodes[CONSUMER]->identity.id, wall()));
    }
    must(may_ask(nodes[ADMIN], nodes[PROVIDER]));
    must(may_serve(nodes[PROVIDER], nodes[ADMIN]));
    scene_end();
    return 0;
}
