/* Who is meant by what a person typed, and who is not. */
#include "peer/naming.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SCENE_MAX 64

typedef struct {
    tl_naming naming;
    tl_naming_known known[SCENE_MAX];
    char hex[SCENE_MAX][TL_NODE_ID_HEX + 1];
    size_t n;
} scene;

static tl_node_id id_of(uint8_t seed)
{
    uint8_t bytes[32];
    tl_identity identity;
    memset(bytes, seed, sizeof bytes);
    assert_int_equal(tl_identity_from_seed(bytes, &identity), TL_OK);
    return identity.id;
}

static scene *begin(void)
{
    scene *s = test_calloc(1, sizeof *s);
    assert_int_equal(tl_crypto_init(), TL_OK);
    return s;
}

static void end(scene *s)
{
    tl_naming_clear(&s->naming);
    test_free(s);
}

/* The seed is the node's place in `known`, too. */
static void add(scene *s, const char *name)
{
    tl_naming_known *k = &s->known[s->n];
    *k = (tl_naming_known){.id = id_of((uint8_t)(s->n + 1)), .name = name};
    tl_node_id_write(s->hex[s->n++], &k->id);
}

static void give(scene *s, size_t node, const char *alias)
{
    tl_why why = {""};
    if (tl_naming_set(&s->naming, &s->known[node].id, alias, &why))
        fail_msg("%s: %s", alias, why.text);
}

/* `text` means that node. */
static void means(scene *s, const char *text, size_t node, tl_named_by by)
{
    tl_node_id id;
    tl_named_by was;
    tl_why why = {""};
    if (tl_naming_find(&s->naming, s->known, s->n, text, &id, &was, &why))
        fail_msg("%s: %s", text, why.text);
    assert_memory_equal(&id, &s->known[node].id, sizeof id);
    assert_int_equal(was, by);
}

static void refused(scene *s, const char *text, tl_err e, const char *words)
{
    tl_node_id id, before;
    tl_named_by by;
    tl_why why = {""};
    memset(&id, 7, sizeof id);
    before = id;
    tl_err got = tl_naming_find(&s->naming, s->known, s->n, text, &id, &by, &why);
    if (got != e || !strstr(why.text, words))
        fail_msg("%s: %s: %s", text, tl_err_name(got), why.text);
    assert_memory_equal(&id, &before, sizeof id);
    assert_true(tl_utf8_is(tl_slice_str(why.text)));
}

static void a_node_is_named_by_id_digits_alias_or_display_name(void **state)
{
    (void)state;
    char upper[TL_NODE_ID_HEX + 1];
    scene *s = begin();
    add(s, "Bob's Mac");
    add(s, "anna");
    give(s, 1, "mum");
    means(s, s->hex[0], 0, TL_NAMED_BY_ID);
    for (size_t i = 0; i <= TL_NODE_ID_HEX; i++)
        upper[i] = (char)(s->hex[0][i] >= 'a' ? s->hex[0][i] - 32 : s->hex[0][i]);
    means(s, upper, 0, TL_NAMED_BY_ID);
    upper[16] = 0;
    means(s, upper, 0, TL_NAMED_BY_DIGITS);
    means(s, "mum", 1, TL_NAMED_BY_ALIAS);
    means(s, "MUM", 1, TL_NAMED_BY_ALIAS);
    means(s, "anna", 1, TL_NAMED_BY_NAME);
    means(s, "bob's mac", 0, TL_NAMED_BY_NAME);
    refused(s, "bobs mac", TL_ERR_NOT_FOUND, "did you mean Bob's Mac?");
    refused(s, "xyz", TL_ERR_NOT_FOUND, "no known node is called \"xyz\"; another");
    refused(s, "", TL_ERR_INVALID, "");
    refused(s, "a\nb", TL_ERR_INVALID, "");
    tl_naming_unset(&s->naming, &s->known[1].id);
    refused(s, "mum", TL_ERR_NOT_FOUND, "");
    end(s);
}

static void an_id_that_nobody_has_is_refused_and_one_that_is_not_known_is_taken(void **state)
{
    (void)state;
    scene *s = begin();
    tl_node_id id, other = id_of(99);
    tl_named_by by;
    char hex[TL_NODE_ID_HEX + 2], zero[TL_NODE_ID_HEX + 1];
    add(s, "a");
    tl_node_id_write(hex, &other);
    assert_int_equal(tl_naming_find(&s->naming, s->known, 1, hex, &id, &by, NULL), TL_OK);
    assert_memory_equal(&id, &other, sizeof id);
    strcat(hex, "0");
    refused(s, hex, TL_ERR_INVALID, "64 hex digits, and this has 65");
    memset(zero, '0', sizeof zero - 1);
    zero[TL_NODE_ID_HEX] = 0;
    refused(s, zero, TL_ERR_INVALID, "a digit is mistyped");
    end(s);
}

static void two_nodes_of_one_name_are_told_and_an_alias_ends_it(void **state)
{
    (void)state;
    scene *s = begin();
    add(s, "bob");
    add(s, "bob");
    add(s, "anna");
    refused(s, "bob", TL_ERR_EXISTS, "2 nodes");
    refused(s, "bob", TL_ERR_EXISTS, "teale peers alias ID NAME");
    char part[40];
    snprintf(part, sizeof part, "%.16s (bob)", s->hex[1]);
    refused(s, "bob", TL_ERR_EXISTS, part);
    give(s, 0, "bob");
    means(s, "bob", 0, TL_NAMED_BY_ALIAS);
    end(s);
}

/* Of announced nodes there are as many as somebody likes to forge. */
static void
a_node_that_is_merely_announced_is_named_by_16_digits_and_takes_nothing_from_others(void **state)
{
    (void)state;
    scene *s = begin();
    char few[TL_NAMING_DIGITS_SAFE], safe[TL_NAMING_DIGITS_SAFE + 1];
    add(s, ""); /* announced */
    add(s, "");
    s->known[0].announced = true;
    s->known[1].familiar = true;
    snprintf(few, sizeof few, "%.15s", s->hex[0]);
    snprintf(safe, sizeof safe, "%.16s", s->hex[0]);
    refused(s, few, TL_ERR_NOT_FOUND, "Give at least 16 digits of it");
    means(s, safe, 0, TL_NAMED_BY_DIGITS);
    means(s, s->hex[0], 0, TL_NAMED_BY_ID);
    /* the digits of another node, which it shares, stay that one's */
    memcpy(&s->known[1].id, &s->known[0].id, 8);
    means(s, few, 1, TL_NAMED_BY_DIGITS);
    s->known[0].announced = false; /* a known one does take them */
    refused(s, few, TL_ERR_EXISTS, "Give more digits");
    end(s);
}

static void an_announced_id_takes_no_display_name_away(void **state)
{
    (void)state;
    scene *s = begin();
    bool named[2];
    add(s, "");
    add(s, "beefO"); /* looks like the digits beef0 */
    static const uint8_t beef0[] = {0xbe, 0xef, 0x00};
    memcpy(&s->known[0].id, beef0, sizeof beef0);
    refused(s, "beefO", TL_ERR_NOT_FOUND, "made to look like something else");
    s->known[0].announced = true;
    means(s, "beefO", 1, TL_NAMED_BY_NAME);
    assert_int_equal(tl_naming_mark(&s->naming, s->known, 2, named), TL_OK);
    assert_true(named[1] && !named[0]);
    end(s);
}

static void this_node_itself_is_meant_where_no_other_is(void **state)
{
    (void)state;
    scene *s = begin();
    add(s, "bob");
    s->known[0].own = true;
    means(s, "bob", 0, TL_NAMED_BY_NAME);
    add(s, "bob");
    means(s, "bob", 1, TL_NAMED_BY_NAME);
    end(s);
}

static void a_hostile_name_never_wins_over_an_alias(void **state)
{
    (void)state;
    static const char *const names[] = {"bob",
                                        "BOB",
                                        "b0b",
                                        "b\u043Eb",
                                        "bo\u0301b",
                                        "b\u200Bob",
                                        "\u202Ebob",
                                        "\uFF42\uFF4F\uFF42",
                                        "bob\u2060",
                                        "b\u00F3b",
                                        "\u0412\u041E\u0412"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        scene *s = begin();
        tl_node_id id;
        tl_named_by by;
        add(s, "Robert");
        add(s, names[i]); /* hostile */
        give(s, 0, "bob");
        means(s, "bob", 0, TL_NAMED_BY_ALIAS);
        /* also where its name is copied from a list: it names nobody, or the owner of the alias */
        if (!tl_naming_find(&s->naming, s->known, s->n, names[i], &id, &by, NULL))
            assert_memory_equal(&id, &s->known[0].id, sizeof id);
        end(s);
    }
}

static void a_hostile_name_never_wins_over_an_id(void **state)
{
    (void)state;
    scene *s = begin();
    char digits[5], look[TL_NODE_ID_HEX + 8];
    add(s, "victim");
    snprintf(digits, sizeof digits, "%.4s", s->hex[0]);
    add(s, digits);    /* calls itself as the victim's ID begins */
    add(s, s->hex[0]); /* as the whole of it */
    s->known[0].familiar = true;
    means(s, digits, 0, TL_NAMED_BY_DIGITS);
    means(s, s->hex[0], 0, TL_NAMED_BY_ID);
    add(s, "deadbeef"); /* digits of nobody */
    refused(s, "deadbeef", TL_ERR_NOT_FOUND, "a display name of hex digits names nobody");
    /* looks like digits, and is none: with a Cyrillic letter, a zero that is an "o" */
    add(s, "3f9\u0430c2d1");
    refused(s, "3f9\u0430c2d1", TL_ERR_NOT_FOUND, "made to look like something else");
    add(s, "oo11oo11");
    refused(s, "oo11oo11", TL_ERR_NOT_FOUND, "made to look like something else");
    snprintf(look, sizeof look, "%.3s%s", s->hex[0], "\uFF11");
    add(s, look);
    refused(s, look, TL_ERR_NOT_FOUND, "");
    /* twins that differ from digits */
    add(s, "ella");
    means(s, "ella", s->n - 1, TL_NAMED_BY_NAME);
    add(s, "abe");
    means(s, "abe", s->n - 1, TL_NAMED_BY_NAME);
    end(s);
}

static void a_name_that_reads_as_the_digits_of_another_node_names_nobody(void **state)
{
    (void)state;
    static const char *const names[] = {"", "loab", "lOabI", "Loac", "olab", "loabf"};
    bool named[sizeof names / sizeof *names];
    scene *s = begin();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add(s, names[i]);
    memcpy(s->known[0].id.key, "\x10\xab\x1f", 3); /* only compared: it need not be a key */
    assert_int_equal(tl_naming_mark(&s->naming, s->known, s->n, named), TL_OK);
    for (size_t i = 1; i < s->n; i++) {
        bool may = i >= 3; /* the first two are 10ab and 10ab1 */
        assert_int_equal(named[i], may);
        if (may)
            means(s, names[i], i, TL_NAMED_BY_NAME);
        else
            refused(s, names[i], TL_ERR_NOT_FOUND, "made to look like something else");
    }
    s->known[0].id = s->known[1].id; /* its own digits are no disguise */
    memcpy(s->known[1].id.key, "\x10\xab\x1f", 3);
    s->known[2].name = "";
    means(s, "loab", 1, TL_NAMED_BY_NAME);
    end(s);
}

static void a_name_that_cannot_be_seen_whole_names_nobody(void **state)
{
    (void)state;
    scene *s = begin();
    add(s, "eve\u202E");
    add(s, "ev\u0435");
    add(s, "e\tve");
    refused(s, "eve\u202E", TL_ERR_INVALID, "");
    refused(s, "ev\u0435", TL_ERR_EXISTS, "nodes are called, or look, like");
    refused(s, "eve", TL_ERR_NOT_FOUND, "");
    end(s);
    s = begin();
    add(s, "ev\u0435");
    refused(s, "ev\u0435", TL_ERR_NOT_FOUND, "made to look like something else");
    add(s, "\u0418\u0432\u0430\u043D"); /* the twin: one alphabet */
    means(s, "\u0418\u0432\u0430\u043D", 1, TL_NAMED_BY_NAME);
    end(s);
}

static void digits_that_fit_two_nodes_ask_for_more(void **state)
{
    (void)state;
    scene *s = begin();
    add(s, "a");
    add(s, "b");
    s->known[1].id = s->known[0].id;
    s->known[1].id.key[31] ^= 1;
    char digits[5];
    snprintf(digits, sizeof digits, "%.4s", s->hex[0]);
    refused(s, digits, TL_ERR_EXISTS, "Give more digits");
    refused(s, "0123", TL_ERR_NOT_FOUND, "no known node has an ID that begins with 0123");
    end(s);
}

/* Copies so many of the ID's digits. */
static const char *digits_of(const scene *s, size_t node, int n)
{
    static char digits[TL_NODE_ID_HEX + 1];
    snprintf(digits, sizeof digits, "%.*s", n, s->hex[node]);
    return digits;
}

static void few_digits_name_no_stranger_whose_id_may_be_made_to_begin_so(void **state)
{
    (void)state;
    scene *s = begin();
    add(s, "eve");
    for (int n = TL_NAMING_DIGITS_MIN; n < TL_NAMING_DIGITS_SAFE; n++)
        refused(s, digits_of(s, 0, n), TL_ERR_NOT_FOUND, "(eve) is a stranger");
    refused(s, digits_of(s, 0, 8), TL_ERR_NOT_FOUND, "Give at least 16 digits of it");
    for (int n = TL_NAMING_DIGITS_SAFE; n < TL_NODE_ID_HEX; n++)
        means(s, digits_of(s, 0, n), 0, TL_NAMED_BY_DIGITS);
    s->known[0].familiar = true;
    means(s, digits_of(s, 0, 4), 0, TL_NAMED_BY_DIGITS);
    s->known[0].familiar = false;
    give(s, 0, "gpu");
    means(s, digits_of(s, 0, 4), 0, TL_NAMED_BY_DIGITS);
    tl_naming_unset(&s->naming, &s->known[0].id);
    s->known[0].own = true;
    means(s, digits_of(s, 0, 4), 0, TL_NAMED_BY_DIGITS);
    end(s);
}

static void a_ground_id_takes_few_digits_away_and_gets_nothing(void **state)
{
    (void)state;
    scene *s = begin();
    char both[64];
    add(s, "friend");
    add(s, "eve");
    s->known[0].familiar = true;
    memcpy(s->known[1].id.key, s->known[0].id.key, 4);
    tl_node_id_write(s->hex[1], &s->known[1].id);
    refused(s, digits_of(s, 1, 8), TL_ERR_EXISTS, "Give more digits");
    snprintf(both, sizeof both, "%.16s (friend), %.16s (eve)", s->hex[0], s->hex[1]);
    refused(s, digits_of(s, 1, 8), TL_ERR_EXISTS, both);
    means(s, digits_of(s, 0, 16), 0, TL_NAMED_BY_DIGITS);
    end(s);
}

static void many_of_one_name_are_counted_and_few_are_shown(void **state)
{
    (void)state;
    scene *s = begin();
    for (size_t i = 0; i < 40; i++)
        add(s, "a name of thirty bytes, or so: \u00E9\u00E9\u00E9\u00E9");
    refused(s, s->known[0].name, TL_ERR_EXISTS, "more than 16 nodes");
    end(s);
}

static void an_alias_has_a_form(void **state)
{
    (void)state;
    static const char *const good[] = {
        "bob",    "abe",     "b",      "gpu-1",    "Zo\u00EB", "\u0418\u0432\u0430\u043D",
        "\u5BB6", "a.b_c+d", "cafe1x", "deadbeefs"};
    static const char *const bad[] = {"",    "a b",     "-x",   "cafe",     "DEADBEEF", "a/b",
                                      "a@b", "$(x)",    "a\nb", "b\u043Eb", "a\u00A0b", "b\u200Bb",
                                      "a:b", "x\u202E", "'",    "a,b",      "\xff"};
    tl_why why;
    char longest[TL_ALIAS_MAX + 2];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!tl_alias_is(good[i], &why))
            fail_msg("%s: %s", good[i], why.text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tl_alias_is(bad[i], NULL))
            fail_msg("%s", bad[i]);
    memset(longest, 'x', sizeof longest - 1);
    longest[TL_ALIAS_MAX + 1] = 0;
    assert_false(tl_alias_is(longest, &why));
    longest[TL_ALIAS_MAX] = 0;
    assert_true(tl_alias_is(longest, &why));
}

static void two_aliases_never_look_alike(void **state)
{
    (void)state;
    scene *s = begin();
    tl_why why = {""};
    add(s, "");
    add(s, "");
    give(s, 0, "bill");
    assert_int_equal(tl_naming_set(&s->naming, &s->known[1].id, "bi11", &why), TL_ERR_EXISTS);
    assert_non_null(strstr(why.text, "bill already, which looks so"));
    assert_int_equal(tl_naming_set(&s->naming, &s->known[1].id, "BILL", &why), TL_ERR_EXISTS);
    assert_null(tl_naming_alias(&s->naming, &s->known[1].id));
    give(s, 0, "BILL"); /* its own */
    assert_string_equal(tl_naming_alias(&s->naming, &s->known[0].id), "BILL");
    tl_naming_unset(&s->naming, &s->known[0].id);
    give(s, 1, "bi11");
    end(s);
}

static void aliases_and_names_that_were_heard_are_bounded(void **state)
{
    (void)state;
    scene *s = begin();
    tl_why why = {""};
    char alias[16];
    tl_node_id id = {{0}};
    for (uint32_t i = 0; i < TL_ALIASES_MAX; i++) {
        memcpy(id.key, &i, sizeof i);
        snprintf(alias, sizeof alias, "x%c%c%c", 'a' + (char)(i % 8), 'a' + (char)(i / 8 % 8),
                 '2' + (char)(i / 64 % 8));
        snprintf(alias + 4, sizeof alias - 4, "%c", 'p' + (char)(i / 512));
        assert_int_equal(tl_naming_set(&s->naming, &id, alias, &why), TL_OK);
    }
    id.key[31] = 1;
    assert_int_equal(tl_naming_set(&s->naming, &id, "another", &why), TL_ERR_BUSY);
    id.key[31] = 0;
    give(s, 0, "other") /* in place of its own */;
    for (uint32_t i = 0; i < TL_NAMING_HEARD_MAX + 100; i++) {
        memcpy(id.key, &i, sizeof i);
        tl_naming_hear(&s->naming, &id, "name");
    }
    assert_int_equal(s->naming.heard, TL_NAMING_HEARD_MAX);
    assert_true(HASH_COUNT(s->naming.entries) <= TL_NAMING_HEARD_MAX + TL_ALIASES_MAX);
    end(s);
}

static void the_names_that_may_be_offered_are_those_that_are_found(void **state)
{
    (void)state;
    static const char *const names[] = {"anna", "bob",  "b0b",  "cafe", "\u202Ex", "ella",    "mum",
                                        "",     "dora", "DORA", "self", "b\u043E", "zo\u00EB"};
    scene *s = begin();
    bool named[SCENE_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add(s, names[i]);
    s->known[10].own = true;
    give(s, 0, "mum"); /* node 6 calls itself so */
    assert_int_equal(tl_naming_mark(&s->naming, s->known, s->n, named), TL_OK);
    for (size_t i = 0; i < s->n; i++) {
        tl_node_id id;
        tl_named_by by;
        bool found = !s->known[i].own &&
                     !tl_naming_find(&s->naming, s->known, s->n, names[i], &id, &by, NULL) &&
                     !memcmp(&id, &s->known[i].id, sizeof id);
        if (named[i] != found)
            fail_msg("%s: %d, %d", names[i], named[i], found);
    }
    assert_true(named[0] && named[5] && named[12]);
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_named_by_id_digits_alias_or_display_name),
        cmocka_unit_test(an_id_that_nobody_has_is_refused_and_one_that_is_not_known_is_taken),
        cmocka_unit_test(two_nodes_of_one_name_are_told_and_an_alias_ends_it),
        cmocka_unit_test(
            a_node_that_is_merely_announced_is_named_by_16_digits_and_takes_nothing_from_others),
        cmocka_unit_test(an_announced_id_takes_no_display_name_away),
        cmocka_unit_test(this_node_itself_is_meant_where_no_other_is),
        cmocka_unit_test(a_hostile_name_never_wins_over_an_alias),
        cmocka_unit_test(a_hostile_name_never_wins_over_an_id),
        cmocka_unit_test(a_name_that_cannot_be_seen_whole_names_nobody),
        cmocka_unit_test(a_name_that_reads_as_the_digits_of_another_node_names_nobody),
        cmocka_unit_test(digits_that_fit_two_nodes_ask_for_more),
        cmocka_unit_test(few_digits_name_no_stranger_whose_id_may_be_made_to_begin_so),
        cmocka_unit_test(a_ground_id_takes_few_digits_away_and_gets_nothing),
        cmocka_unit_test(many_of_one_name_are_counted_and_few_are_shown),
        cmocka_unit_test(an_alias_has_a_form),
        cmocka_unit_test(two_aliases_never_look_alike),
        cmocka_unit_test(aliases_and_names_that_were_heard_are_bounded),
        cmocka_unit_test(the_names_that_may_be_offered_are_those_that_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
