#include "keeper_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_time now_of(void *user)
{
    return ((node *)user)->now;
}
tl_unix wall_of(void *user)
{
    const node *n = user;
    return WALL + n->wall_ahead + (tl_unix)(n->now / TL_SEC);
}
static void wake(void *user)
{
    (void)user;
}

static void copy(void *user, const tl_recovery *keys)
{
    node *n = user;
    (void)keys;
    assert_false(n->copying || n->saving);
    n->copying = true;
    n->copies++;
}
static void save(void *user, const tl_recovery_row *row)
{
    node *n = user;
    assert_false(n->saving);
    n->saving = true;
    n->saved = *row;
    n->saves++;
}
static void look(void *user, const tl_node_id *recovery)
{
    node *n = user;
    (void)recovery;
    assert_false(n->looking);
    n->looking = true;
    n->looks++;
}
static void publish(void *user, const tl_dht_item *item)
{
    node *n = user;
    assert_int_equal(tl_dht_item_verify(item), TL_OK);
    n->item = *item;
    n->published++;
}
static void withdraw(void *user, const tl_node_id *recovery)
{
    (void)recovery;
    ((node *)user)->withdrawn++;
}
static void relays(void *user, tl_pointer *p)
{
    (void)user;
    p->relays_n = 1;
    snprintf(p->relays[0], sizeof p->relays[0], "ws://relay.example");
}

static const tl_keeper_world world = {copy, save, look, publish, withdraw, relays};
const uint8_t root[TL_RECOVERY_KEY] = {7};

node *node_new(uint64_t seed)
{
    node *n = calloc(1, sizeof *n);
    n->env = (tl_env){now_of, wall_of, wake, n};
    n->rand = tl_rand_seeded(seed);
    n->now = 1000 * TL_SEC;
    assert_int_equal(tl_keeper_new(&n->rand, &n->env, &world, n, &n->k), TL_OK);
    return n;
}

void node_free(node *n)
{
    tl_keeper_free(n->k);
    free(n);
}

void run_for(node *n, tl_time span)
{
    tl_time end = n->now + span;
    for (tl_time at; (at = tl_keeper_expiry(n->k)) <= end;) {
        n->now = tl_time_max(at, n->now);
        tl_keeper_on_timer(n->k);
        if (tl_keeper_expiry(n->k) <= n->now) /* it waits for an answer */
            break;
    }
    n->now = end;
}

void answer_save(node *n)
{
    assert_true(n->saving);
    n->saving = false;
    tl_keeper_on_saved(n->k, TL_OK);
}
void answer_look(node *n, const tl_dht_item *found)
{
    assert_true(n->looking);
    n->looking = false;
    tl_keeper_on_looked(n->k, found, 8);
}
void answer_copy(node *n)
{
    assert_true(n->copying);
    n->copying = false;
    tl_keeper_on_copy(n->k, TL_OK, wall_of(n));
}

void place(node *n, uint8_t seed)
{
    tl_backup_map map = {.size = 100, .k = 1, .n = 1, .holders_n = 1};
    tl_identity holder;
    uint8_t bytes[32] = {seed};
    assert_int_equal(tl_identity_from_seed(bytes, &holder), TL_OK);
    map.holder[0] = holder.id;
    map.blob.bytes[0] = seed;
    tl_keeper_on_map(n->k, &map);
}

void answer_all(node *n, const tl_dht_item *found)
{
    for (int i = 0; i < 10; i++) {
        if (n->saving)
            answer_save(n);
        if (n->looking)
            answer_look(n, found);
        if (n->copying)
            answer_copy(n);
    }
}

node *kept_node(uint64_t seed)
{
    node *n = node_new(seed);
    assert_int_equal(tl_keeper_create(n->k, root, 0, false), TL_OK);
    answer_all(n, NULL);
    place(n, 1);
    answer_all(n, NULL);
    assert_int_equal(n->published, 1);
    return n;
}
