#include "ask/warmth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW (1000 * TL_SEC)

static const tl_node_id a = {.key = {1}}, b = {.key = {2}};

static tl_talk read_at(const tl_warmth *w, const char *model, const char *body, tl_time now,
                       tl_warm_place *ret_place)
{
    return tl_warmth_read(w, model, tl_slice_str(body), now, ret_place);
}

static void note(tl_warmth *w, const char *model, const char *body, const tl_node_id *node)
{
    tl_warm_place place;
    tl_talk talk = read_at(w, model, body, NOW, &place);
    assert_int_not_equal(talk.hash, 0);
    tl_warmth_note(w, &talk, node, NOW);
}

#define U1 "{\"role\":\"user\",\"content\":\"one, [two\\\" {\"}"
#define A1 "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"],[\"}]}"
#define U2 "{\"role\":\"user\",\"content\":\"and?\"}"

static void the_next_question_of_a_conversation_is_known_by_its_beginning(void **state)
{
    (void)state;
    tl_warmth w = {0};
    tl_warm_place place;
    note(&w, "m", "{\"model\":\"m\",\"messages\":[" U1 "],\"stream\":true}", &a);
    (void)read_at(&w, "m",
                  "{\"temperature\":1,\"messages\":[" U1 "," A1 "," U2 "],\"model\":\"m\"}", NOW,
                  &place);
    assert_true(place.known);
    assert_memory_equal(&place.node, &a, sizeof a);
    assert_int_equal(place.bytes, sizeof U1 - 1);
    (void)read_at(&w, "m", "{\"messages\":[" U1 "]}", NOW, &place); /* the same once more */
    assert_true(place.known);
    tl_warmth_clear(&w);
}

static void another_model_another_beginning_or_a_shorter_one_is_another_conversation(void **state)
{
    (void)state;
    static const struct {
        const char *model, *body;
        bool known;
    } rows[] = {
        {"m", "{\"messages\":[" U1 "," A1 "," U2 "]}", true},
        {"n", "{\"messages\":[" U1 "," A1 "," U2 "]}", false},
        {"m", "{\"messages\":[" U2 "," A1 "," U1 "]}", false},
        {"m", "{\"messages\":[" U1 "]}", false}, /* of two that were read */
        {"m", "{\"messages\":[]}", false},
        {"m", "{\"messages\":7}", false},
        {"m", "{\"prompt\":[" U1 "]}", false},
        {"m", "no JSON", false},
        {"m", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_warmth w = {0};
        tl_warm_place place;
        note(&w, "m", "{\"messages\":[" U1 "," A1 "]}", &a);
        (void)read_at(&w, rows[i].model, rows[i].body, NOW, &place);
        assert_int_equal(place.known, rows[i].known);
        tl_warmth_clear(&w);
    }
}

static void the_node_that_has_read_the_most_counts_and_of_equals_the_last(void **state)
{
    (void)state;
    tl_warmth w = {0};
    tl_warm_place place;
    note(&w, "m", "{\"messages\":[" U1 "]}", &a);
    note(&w, "m", "{\"messages\":[" U1 "," A1 "," U2 "]}", &b);
    (void)read_at(&w, "m", "{\"messages\":[" U1 "," A1 "," U2 "," A1 "," U1 "]}", NOW, &place);
    assert_memory_equal(&place.node, &b, sizeof b);
    assert_int_equal(place.bytes, sizeof U1 + sizeof A1 + sizeof U2 - 3);
    note(&w, "m", "{\"messages\":[" U1 "," A1 "," U2 "]}", &a);
    (void)read_at(&w, "m", "{\"messages\":[" U1 "," A1 "," U2 "," A1 "," U1 "]}", NOW, &place);
    assert_memory_equal(&place.node, &a, sizeof a);
    tl_warmth_clear(&w);
}

static void a_conversation_is_cold_after_a_time(void **state)
{
    (void)state;
    tl_warmth w = {0};
    tl_warm_place place;
    note(&w, "m", "{\"messages\":[" U1 "]}", &a);
    (void)read_at(&w, "m", "{\"messages\":[" U1 "," A1 "]}", NOW + TL_WARMTH_LASTS - 1, &place);
    assert_true(place.known);
    (void)read_at(&w, "m", "{\"messages\":[" U1 "," A1 "]}", NOW + TL_WARMTH_LASTS, &place);
    assert_false(place.known);
    tl_warmth_clear(&w);
}

static void a_body_of_pictures_is_not_read(void **state)
{
    (void)state;
    tl_warmth w = {0};
    tl_warm_place place;
    for (int over = 0; over < 2; over++) {
        static const char head[] = "{\"messages\":[\"", tail[] = "\"]}";
        size_t n = TL_WARMTH_BODY_MAX + (size_t)over;
        char *body = malloc(n);
        assert_non_null(body);
        memset(body, 'x', n);
        memcpy(body, head, sizeof head - 1);
        memcpy(body + n - (sizeof tail - 1), tail, sizeof tail - 1);
        tl_talk talk = tl_warmth_read(&w, "m", tl_slice_of(body, n), NOW, &place);
        assert_int_equal(talk.hash != 0, !over);
        free(body);
    }
}

static void of_too_many_conversations_the_oldest_is_forgotten(void **state)
{
    (void)state;
    tl_warmth w = {0};
    tl_warm_place place;
    char body[64];
    for (unsigned i = 0; i <= TL_WARMTH_MAX; i++) {
        snprintf(body, sizeof body, "{\"messages\":[%u]}", i);
        note(&w, "m", body, &a);
    }
    assert_int_equal(HASH_COUNT(w.conversations), TL_WARMTH_MAX);
    (void)read_at(&w, "m", "{\"messages\":[0,\"\"]}", NOW, &place);
    assert_false(place.known);
    (void)read_at(&w, "m", "{\"messages\":[1,\"\"]}", NOW, &place);
    assert_true(place.known);
    tl_warmth_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_question_of_a_conversation_is_known_by_its_beginning),
        cmocka_unit_test(another_model_another_beginning_or_a_shorter_one_is_another_conversation),
        cmocka_unit_test(the_node_that_has_read_the_most_counts_and_of_equals_the_last),
        cmocka_unit_test(a_conversation_is_cold_after_a_time),
        cmocka_unit_test(a_body_of_pictures_is_not_read),
        cmocka_unit_test(of_too_many_conversations_the_oldest_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
