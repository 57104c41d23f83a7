#include "people.h"

tl_identity people[PEOPLE];
bool members[PEOPLE];
size_t forgotten;
tl_node_id last_forgotten;
tl_reciprocity *table;

static int nth(const tl_node_id *id)
{
    int i = 0;
    while (i < PEOPLE && !tl_node_id_eq(&people[i].id, id))
        i++;
    return i;
}

/* Nodes that are not of the list stand for members of whom a test needs many: their last byte is odd. */
static bool is_member(void *user, const tl_node_id *id, tl_unix now)
{
    int i = nth(id);
    (void)user, (void)now;
    return i < PEOPLE ? members[i] : id->key[31] & 1;
}

static void on_forgotten(void *user, const tl_node_id *id)
{
    (void)user;
    forgotten++;
    last_forgotten = *id;
}

const tl_reciprocity_world world = {is_member, on_forgotten};

int begin(void **state)
{
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    for (size_t i = 0; i < PEOPLE; i++) {
        uint8_t seed[32];
        memset(seed, (int)i + 1, sizeof seed);
        assert_int_equal(tl_identity_from_seed(seed, &people[i]), TL_OK);
        members[i] = i == ANNA || i == BEN;
    }
    forgotten = 0;
    assert_int_equal(tl_reciprocity_new(&people[US].id, &world, NULL, &table), TL_OK);
    return 0;
}

int end(void **state)
{
    (void)state;
    tl_reciprocity_free(table);
    return 0;
}

bool is_at(int node, tl_unix now)
{
    tl_reciprocity_account a;
    bool is = tl_reciprocity_is(table, &people[node].id, now);
    tl_reciprocity_explain(table, &people[node].id, now, &a);
    assert_int_equal(a.is, is); /* one rule */
    assert_int_equal(a.worth >= 1, is);
    return is;
}

bool is(int node)
{
    return is_at(node, NOW);
}

tl_deeds praise(int by, int node, int64_t tokens)
{
    tl_deeds d = {.by = people[by].id,
                  .node = people[node].id,
                  .count = {0, tokens, 0},
                  .sequence = 5,
                  .issued_at = NOW,
                  .expires_at = NOW + TL_DEEDS_LIFE};
    if (by != node)
        assert_int_equal(tl_deeds_sign(&d, &people[by]), TL_OK);
    return d;
}

tl_deeds_verdict take(tl_deeds d)
{
    tl_deeds_verdict judged = tl_reciprocity_judge(table, &d, NOW);
    tl_deeds_verdict v = tl_reciprocity_take(table, &d, NOW);
    assert_true(v == judged || (v == TL_DEEDS_FORGED && judged == TL_DEEDS_TAKEN));
    return v;
}
