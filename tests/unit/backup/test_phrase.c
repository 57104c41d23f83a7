/* Recovery words: those of the standard's vectors, and what is said of wrong ones. */
#include "backup/phrase.h"

#include "crypto/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* BIP 39 refers to https://github.com/trezor/python-mnemonic/blob/master/vectors.json: here are all of its
 * English vectors with 24 words. */
static const struct {
    const char *entropy, *words;
} vectors[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000",
     "abandon abandon abandon abandon abandon abandon abandon abandon "
     "abandon abandon abandon abandon abandon abandon abandon abandon "
     "abandon abandon abandon abandon abandon abandon abandon art"},
    {"7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
     "legal winner thank year wave sausage worth useful "
     "legal winner thank year wave sausage worth useful "
     "legal winner thank year wave sausage worth title"},
    {"8080808080808080808080808080808080808080808080808080808080808080",
     "letter advice cage absurd amount doctor acoustic avoid "
     "letter advice cage absurd amount doctor acoustic avoid "
     "letter advice cage absurd amount doctor acoustic bless"},
    {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "zoo zoo zoo zoo zoo zoo zoo zoo "
     "zoo zoo zoo zoo zoo zoo zoo zoo "
     "zoo zoo zoo zoo zoo zoo zoo vote"},
    {"00ac97c48106f0aeb8ba061e0250a559b3251dc35854e694780ba51d53a50120",
     "absent gorilla van acoustic humor firm title dolphin "
     "bulk barely citizen recall crane moment aspect appear "
     "track phrase actual enforce steel spoon afraid benefit"},
    {"3edc83b60740d77af3afa2fcb82c2f1bc541ee4e2518ddef4996d32453f54a3c",
     "disagree tomato unique attend aspect runway solid violin "
     "witness scrap armed daring favorite warm decade perfect "
     "target kid grant play early wide cigar night"},
    {"89bb4bc5555992cdaf3444c5e7ca5a6e9f27efab894f1990bae41be8b2a26ea4",
     "meadow surge vanish primary odor grocery rubber mass "
     "shine dinner notable tag venue water purchase clarify "
     "book magic ribbon daughter menu eye ritual orchard"},
    {"911fec0fbd88029f6fa99164896c18d898c9232af18bdcca3e42d53b86493104",
     "much youth advance kitchen lens exile salt cram "
     "goose enter alert raise milk muscle profit cousin "
     "system faint mouse price reveal cause series long"},
};
#define LONG_WORDS vectors[4].words

static tl_err parse(const char *text, uint8_t ret[TL_PHRASE_ENTROPY], tl_why *why)
{
    *why = (tl_why){""};
    return tl_phrase_parse(tl_slice_str(text), ret, why);
}

/* LONG_WORDS with the word at `place` (from 1) replaced, or left out where it is NULL. */
static const char *with(size_t place, const char *word)
{
    static char text[400];
    char words[400], *p = text, *at = words;
    snprintf(words, sizeof words, "%s", LONG_WORDS);
    for (size_t i = 1; i <= TL_PHRASE_WORDS; i++) {
        char *next = strsep(&at, " ");
        if (i != place || word)
            p += sprintf(p, "%s ", i == place ? word : next);
    }
    return text;
}

static void the_vectors_of_the_standard_hold_in_both_directions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t entropy[TL_PHRASE_ENTROPY], back[TL_PHRASE_ENTROPY];
        char text[TL_PHRASE_TEXT];
        tl_why why;
        assert_int_equal(
            tl_hex_parse(tl_slice_str(vectors[i].entropy), false, entropy, sizeof entropy), TL_OK);
        tl_phrase_write(entropy, text);
        assert_string_equal(text, vectors[i].words);
        assert_int_equal(parse(vectors[i].words, back, &why), TL_OK);
        assert_memory_equal(back, entropy, sizeof entropy);
    }
}

static void what_is_written_is_read_for_any_entropy(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(39);
    for (int i = 0; i < 2000; i++) {
        uint8_t entropy[TL_PHRASE_ENTROPY], back[TL_PHRASE_ENTROPY];
        char text[TL_PHRASE_TEXT];
        tl_why why;
        tl_rand_bytes(&rand, entropy, sizeof entropy);
        tl_phrase_write(entropy, text);
        assert_int_equal(parse(text, back, &why), TL_OK);
        assert_memory_equal(back, entropy, sizeof entropy);
    }
}

static void every_word_of_the_list_is_found_by_itself_and_by_its_first_four_letters(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TL_PHRASE_LIST; i++) {
        unsigned found = TL_PHRASE_LIST;
        const char *word = tl_phrase_words[i];
        size_t n = strlen(word);
        assert_true(n >= 3 && n <= TL_PHRASE_LETTERS);
        assert_int_equal(tl_phrase_find(tl_slice_str(word), &found), TL_OK);
        assert_int_equal(found, i);
        found = TL_PHRASE_LIST;
        assert_int_equal(
            tl_phrase_find(tl_slice_of(word, n < TL_PHRASE_ENOUGH ? n : TL_PHRASE_ENOUGH), &found),
            TL_OK);
        assert_int_equal(found, i);
    }
}

static void a_list_as_a_person_writes_it_is_read(void **state)
{
    (void)state;
    uint8_t entropy[TL_PHRASE_ENTROPY], back[TL_PHRASE_ENTROPY];
    char text[800], words[400], *at = words, *p = text;
    tl_why why;
    assert_int_equal(parse(LONG_WORDS, entropy, &why), TL_OK);
    snprintf(words, sizeof words, "%s", LONG_WORDS);
    for (int i = 1; i <= TL_PHRASE_WORDS; i++) {
        char *word = strsep(&at, " ");
        word[0] = (char)(word[0] - 32);
        p += sprintf(p, i % 3 ? " %2d. %.8s,\r\n" : "%d) %.4s\n\n", i, word);
    }
    assert_int_equal(parse(text, back, &why), TL_OK);
    assert_memory_equal(back, entropy, sizeof entropy);
}

static void a_wrong_word_is_named_with_its_place_and_the_nearest(void **state)
{
    (void)state;
    uint8_t entropy[TL_PHRASE_ENTROPY] = {0};
    tl_why why;
    assert_int_equal(parse(with(2, "gorill"), entropy, &why), TL_OK);
    assert_int_equal(parse(with(2, "gprilla"), entropy, &why), TL_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "word 2, \"gprilla\""));
    assert_non_null(strstr(why.text, "is it \"gorilla\""));
    assert_int_equal(parse(with(24, "xyzzyxyzzy"), entropy, &why), TL_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "word 24"));
    assert_non_null(strstr(why.text, "look at the paper again"));
    /* what a terminal would obey is not repeated */
    assert_int_equal(parse(with(3, "v\x1b[2Jn"), entropy, &why), TL_ERR_NOT_FOUND);
    assert_null(strchr(why.text, '\x1b'));
}

static void too_few_and_too_many_are_told_as_such(void **state)
{
    (void)state;
    uint8_t entropy[TL_PHRASE_ENTROPY];
    char more[500];
    tl_why why;
    assert_int_equal(parse(with(9, NULL), entropy, &why), TL_ERR_SHORT);
    assert_non_null(strstr(why.text, "23 words"));
    assert_int_equal(parse("", entropy, &why), TL_ERR_SHORT);
    snprintf(more, sizeof more, "%s zoo", LONG_WORDS);
    assert_int_equal(parse(more, entropy, &why), TL_ERR_TOO_LARGE);
    assert_int_equal(tl_phrase_parse(tl_slice_of("abandon\0abandon", 15), entropy, &why),
                     TL_ERR_NOT_FOUND);
}

static void a_slip_that_the_checksum_finds_is_guessed(void **state)
{
    (void)state;
    uint8_t entropy[TL_PHRASE_ENTROPY];
    tl_why why;
    /* "wide" is word 22 of another vector */
    char text[400];
    snprintf(text, sizeof text, "%s", vectors[5].words);
    memcpy(strstr(text, "wide"), "wine", 4);
    assert_int_equal(parse(text, entropy, &why), TL_ERR_AUTH);
    assert_non_null(strstr(why.text, "word 22, \"wine\", is \"wide\""));

    snprintf(text, sizeof text, "%s", vectors[5].words);
    memcpy(strstr(text, "disagree tomato"), "tomato disagree", 15);
    assert_int_equal(parse(text, entropy, &why), TL_ERR_AUTH);
    assert_non_null(strstr(why.text, "word 1, \"tomato\", and the one after it, \"disagree\""));
}

static void of_all_last_words_that_are_wrong_only_those_with_the_same_checksum_pass(void **state)
{
    (void)state;
    uint8_t entropy[TL_PHRASE_ENTROPY];
    unsigned passed = 0;
    for (size_t i = 0; i < TL_PHRASE_LIST; i++) {
        const char *text = with(24, tl_phrase_words[i]);
        passed += tl_phrase_parse(tl_slice_str(text), entropy, NULL) == TL_OK;
    }
    assert_int_equal(passed, 8); /* 3 bits of the last word are entropy */
}

static void cut_off_anywhere_nothing_is_read_beyond_the_text(void **state)
{
    (void)state;
    uint8_t entropy[TL_PHRASE_ENTROPY];
    size_t n = strlen(LONG_WORDS);
    for (size_t i = 0; i < n - 3; i++) {
        char *cut = test_malloc(i ? i : 1);
        memcpy(cut, LONG_WORDS, i);
        assert_true(tl_phrase_parse(tl_slice_of(cut, i), entropy, NULL) != TL_OK);
        test_free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_standard_hold_in_both_directions),
        cmocka_unit_test(what_is_written_is_read_for_any_entropy),
        cmocka_unit_test(every_word_of_the_list_is_found_by_itself_and_by_its_first_four_letters),
        cmocka_unit_test(a_list_as_a_person_writes_it_is_read),
        cmocka_unit_test(a_wrong_word_is_named_with_its_place_and_the_nearest),
        cmocka_unit_test(too_few_and_too_many_are_told_as_such),
        cmocka_unit_test(a_slip_that_the_checksum_finds_is_guessed),
        cmocka_unit_test(of_all_last_words_that_are_wrong_only_those_with_the_same_checksum_pass),
        cmocka_unit_test(cut_off_anywhere_nothing_is_read_beyond_the_text),
    };
    return tl_crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
