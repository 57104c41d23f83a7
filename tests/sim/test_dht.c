/* Thousands of nodes of the DHT. */
#include "dht_world.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define ITEMS_MAX 256

typedef struct {
    dht_world *w;
    struct {
        tl_identity identity;
        size_t node; /* that publishes it */
        char value[32];
    } items[ITEMS_MAX];
    size_t n_items;
    /* of the lookups */
    uint64_t asked, right, wrong, nothing, done, hops, queries, answered;
    tl_time took[65536];
} scene;

typedef struct {
    scene *s;
    size_t item, node;
    tl_time began, first;
    bool is_right;
} question;

static void publish(scene *s, size_t node)
{
    size_t i = s->n_items++;
    uint8_t seed[32];
    tl_rand_bytes(dht_world_rand(s->w), seed, sizeof seed);
    sim_expect(tl_identity_from_seed(seed, &s->items[i].identity) == TL_OK);
    s->items[i].node = node;
    int n = snprintf(s->items[i].value, sizeof s->items[i].value, "7:item%03zu", i);
    sim_expect(tl_dht_publish(dht_world_dht(s->w, node), &s->items[i].identity,
                              TL_SLICE_LIT("teale"), tl_slice_of(s->items[i].value, (size_t)n), 0,
                              dht_world_now(s->w)) == TL_OK);
    dht_world_touch(s->w, node);
}

static void on_item(void *user, tl_dht_request request, const tl_dht_item *item)
{
    question *q = user;
    (void)request;
    const char *value = q->s->items[q->item].value;
    q->is_right = tl_slice_eq(tl_dht_item_value(item), tl_slice_str(value));
    if (q->first == 0)
        q->first = dht_world_now(q->s->w) - q->began;
}

static void on_done(void *user, tl_dht_request request, const tl_dht_item *item,
                    const tl_dht_result *result)
{
    question *q = user;
    scene *s = q->s;
    (void)request;
    s->done++;
    s->right += q->is_right && item;
    s->nothing += !item;
    s->wrong += item && !q->is_right;
    s->hops += result->hops;
    s->queries += result->asked;
    s->answered += result->answered;
    if (item && s->right <= sizeof s->took / sizeof *s->took)
        s->took[s->right - 1] = q->first;
    free(q);
}

static void ask(scene *s, size_t node)
{
    question *q = calloc(1, sizeof *q);
    q->s = s;
    q->node = node;
    q->item = (size_t)tl_rand_below(dht_world_rand(s->w), s->n_items);
    q->began = dht_world_now(s->w);
    tl_dht_ask to = {on_item, on_done, q};
    tl_dht_request request;
    if (tl_dht_get(dht_world_dht(s->w, node), s->items[q->item].identity.id.key,
                   TL_SLICE_LIT("teale"), 0, &to, q->began, &request)) {
        free(q);
        return;
    }
    s->asked++;
    dht_world_touch(s->w, node);
}

static void fifty_nodes_find_what_one_of_them_published(uint64_t seed)
{
    static scene s;
    s = (scene){0};
    dht_world_config config = {.most = 100, .delay_min = 20 * TL_MS, .delay_max = 20 * TL_MS};
    s.w = dht_world_new(seed, &config);
    for (unsigned i = 0; i < 50; i++) {
        dht_world_add(s.w, DHT_HONEST, 2);
        dht_world_run_for(s.w, 100 * TL_MS);
    }
    dht_world_run_for(s.w, 60 * TL_SEC);
    for (unsigned i = 0; i < 10; i++)
        publish(&s, dht_world_any(s.w, DHT_HONEST));
    dht_world_run_for(s.w, 10 * TL_SEC);
    for (unsigned i = 0; i < 100; i++)
        ask(&s, dht_world_any(s.w, DHT_HONEST));
    dht_world_run_for(s.w, 20 * TL_SEC);
    sim_expect(s.right == 100);
    dht_world_free(s.w);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    sim_each_seed("fifty nodes find what one of them published", 1, 1,
                  fifty_nodes_find_what_one_of_them_published);
    return sim_result();
}
