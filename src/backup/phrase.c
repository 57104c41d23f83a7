#include "backup/phrase.h"

#include "base/suggest.h"

#include <sodium.h>
#include <stdio.h>

#define BITS      11
#define SHOWN_MAX 24 /* letters of a wrong word that are repeated */
#define GUESSES   3  /* that are told where the checksum is wrong */
#define SLIPS_MAX 9  /* the word, and those that differ from it in one letter: "wine" has eight */

/* --- numbers of 11 bits, and bytes --- */

static void to_numbers(const uint8_t entropy[TL_PHRASE_ENTROPY], uint16_t ret[TL_PHRASE_WORDS])
{
    uint8_t bytes[TL_PHRASE_ENTROPY + 1], hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, entropy, TL_PHRASE_ENTROPY);
    memcpy(bytes, entropy, TL_PHRASE_ENTROPY);
    bytes[TL_PHRASE_ENTROPY] = hash[0];
    uint32_t have = 0, bits = 0;
    for (size_t i = 0, n = 0; i < sizeof bytes; i++) {
        have = have << 8 | bytes[i];
        bits += 8;
        if (bits >= BITS) {
            bits -= BITS;
            ret[n++] = (uint16_t)(have >> bits & (TL_PHRASE_LIST - 1));
        }
    }
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(hash, sizeof hash);
    sodium_memzero(&have, sizeof have);
}

/* False: the checksum is wrong. */
static bool from_numbers(const uint16_t numbers[TL_PHRASE_WORDS], uint8_t ret[TL_PHRASE_ENTROPY])
{
    uint8_t bytes[TL_PHRASE_ENTROPY + 1], hash[crypto_hash_sha256_BYTES];
    uint32_t have = 0, bits = 0;
    for (size_t i = 0, n = 0; i < TL_PHRASE_WORDS; i++) {
        have = have << BITS | numbers[i];
        for (bits += BITS; bits >= 8; bits -= 8)
            bytes[n++] = (uint8_t)(have >> (bits - 8));
    }
    crypto_hash_sha256(hash, bytes, TL_PHRASE_ENTROPY);
    bool right = hash[0] == bytes[TL_PHRASE_ENTROPY];
    if (right)
        memcpy(ret, bytes, TL_PHRASE_ENTROPY);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(hash, sizeof hash);
    sodium_memzero(&have, sizeof have);
    return right;
}

void tl_phrase_write(const uint8_t entropy[TL_PHRASE_ENTROPY], char ret_text[TL_PHRASE_TEXT])
{
    uint16_t numbers[TL_PHRASE_WORDS] = {0};
    char *p = ret_text;
    to_numbers(entropy, numbers);
    for (size_t i = 0; i < TL_PHRASE_WORDS; i++)
        p += sprintf(p, "%s%s", i ? " " : "", tl_phrase_words[numbers[i]]);
    sodium_memzero(numbers, sizeof numbers);
}

/* --- one word --- */

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The order of `typed`, whatever its case, and the beginning of `word` of the same length. */
static int compare_start(tl_slice typed, const char *word)
{
    for (size_t i = 0; i < typed.n; i++) {
        int a = typed.p[i] | 0x20, b = (uint8_t)word[i];
        if (a != b)
            return a < b ? -1 : 1; /* also at the word's end */
    }
    return 0;
}

tl_err tl_phrase_find(tl_slice word, unsigned *ret_number)
{
    size_t low = 0, high = TL_PHRASE_LIST;
    for (size_t i = 0; i < word.n; i++)
        if (!is_letter(word.p[i]))
            return TL_ERR_NOT_FOUND;
    if (!word.n || word.n > TL_PHRASE_LETTERS)
        return TL_ERR_NOT_FOUND;
    while (low < high) { /* the first word that does not come before it */
        size_t middle = (low + high) / 2;
        if (compare_start(word, tl_phrase_words[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == TL_PHRASE_LIST || compare_start(word, tl_phrase_words[low]) != 0 ||
        (tl_phrase_words[low][word.n] && word.n < TL_PHRASE_ENOUGH))
        return TL_ERR_NOT_FOUND;
    *ret_number = (unsigned)low;
    return TL_OK;
}

/* Up to `max` words within so many changes, the nearest first. */
static size_t find_near(tl_slice word, size_t within, size_t max, const char **ret_words)
{
    char typed[SHOWN_MAX + 1];
    size_t distances[SLIPS_MAX], n = 0;
    if (!word.n || word.n > SHOWN_MAX)
        return 0;
    memcpy(typed, word.p, word.n);
    typed[word.n] = 0;
    for (size_t i = 0; i < TL_PHRASE_LIST; i++) {
        tl_suggest s = tl_suggest_begin(typed);
        tl_suggest_offer(&s, tl_phrase_words[i]);
        size_t at = n;
        while (at && distances[at - 1] > s.distance)
            at--;
        if (!s.best || s.distance > within || at >= max)
            continue;
        n += n < max;
        for (size_t k = n - 1; k > at; k--) {
            distances[k] = distances[k - 1];
            ret_words[k] = ret_words[k - 1];
        }
        distances[at] = s.distance;
        ret_words[at] = s.best;
    }
    sodium_memzero(typed, sizeof typed);
    return n;
}

size_t tl_phrase_near(tl_slice word, const char *ret_words[TL_PHRASE_NEAR])
{
    return find_near(word, SHOWN_MAX, TL_PHRASE_NEAR, ret_words);
}

/* --- all of them --- */

static bool is_between(uint8_t c)
{
    return c && strchr(" \t\r\n\v\f,;.):-", c);
}

/* The next word of what a person wrote; false: there is none. */
static bool next_word(tl_slice *rest, tl_slice *ret_word)
{
    bool number;
    do {
        size_t n = 0;
        while (rest->n && is_between(rest->p[0]))
            *rest = tl_slice_of(rest->p + 1, rest->n - 1);
        number = true;
        for (; n < rest->n && !is_between(rest->p[n]); n++)
            number &= rest->p[n] >= '0' && rest->p[n] <= '9';
        *ret_word = tl_slice_of(rest->p, n);
        *rest = tl_slice_of(rest->p + n, rest->n - n);
    } while (number && ret_word->n);
    return ret_word->n > 0;
}

/* "one, two or three" */
static void list_words(char *ret, size_t size, const char *const *words, size_t n)
{
    size_t len = 0;
    ret[0] = 0;
    for (size_t i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(ret + len, size - len, "%s\"%s\"",
                                !i           ? ""
                                : i == n - 1 ? " or "
                                             : ", ",
                                words[i]);
}

static tl_err wrong_word(size_t place, tl_slice word, tl_why *why)
{
    const char *near[TL_PHRASE_NEAR];
    char words[TL_PHRASE_NEAR * (TL_PHRASE_LETTERS + 6) + 1], shown[SHOWN_MAX + 1];
    size_t n = tl_phrase_near(word, near);
    for (size_t i = 0; i <= SHOWN_MAX; i++)
        shown[i] = i >= word.n || i == SHOWN_MAX ? 0 : is_letter(word.p[i]) ? (char)word.p[i] : '?';
    list_words(words, sizeof words, near, n);
    return tl_why_set(why, TL_ERR_NOT_FOUND,
                      "word %zu, \"%s\", is none of the 2048 recovery words%s%s%s", place, shown,
                      n ? ": is it " : ": look at the paper again", words, n ? "?" : "");
}

typedef struct {
    char text[400];
    size_t n;
} guesses;

static void guess(guesses *g, const uint16_t numbers[TL_PHRASE_WORDS], const char *fmt,
                  size_t place, const char *a, const char *b)
{
    uint8_t entropy[TL_PHRASE_ENTROPY];
    bool right = from_numbers(numbers, entropy);
    size_t len = strlen(g->text);
    sodium_memzero(entropy, sizeof entropy);
    if (!right || g->n++ >= GUESSES)
        return;
    if (g->n > 1)
        len += (size_t)snprintf(g->text + len, sizeof g->text - len, "; or ");
    snprintf(g->text + len, sizeof g->text - len, fmt, place, a, b);
}

/* What one slip of the pen may have been. Of all exchanges one in 256 makes the checksum right: so only
 * words that differ in one letter, or in the order of two, are tried, and neighbours. */
static void find_slips(const uint16_t numbers[TL_PHRASE_WORDS], guesses *g)
{
    uint16_t tried[TL_PHRASE_WORDS];
    memcpy(tried, numbers, sizeof tried);
    for (size_t i = 0; i + 1 < TL_PHRASE_WORDS; i++) {
        tried[i] = numbers[i + 1];
        tried[i + 1] = numbers[i];
        if (tried[i] != numbers[i])
            guess(g, tried, "word %zu, \"%s\", and the one after it, \"%s\", change places", i + 1,
                  tl_phrase_words[numbers[i]], tl_phrase_words[numbers[i + 1]]);
        tried[i] = numbers[i];
        tried[i + 1] = numbers[i + 1];
    }
    for (size_t i = 0; i < TL_PHRASE_WORDS; i++) {
        const char *near[SLIPS_MAX];
        size_t n = find_near(tl_slice_str(tl_phrase_words[numbers[i]]), 1, SLIPS_MAX, near);
        for (size_t k = 0; k < n; k++) {
            unsigned number;
            if (tl_phrase_find(tl_slice_str(near[k]), &number) || number == numbers[i])
                continue;
            tried[i] = (uint16_t)number;
            guess(g, tried, "word %zu, \"%s\", is \"%s\"", i + 1, tl_phrase_words[numbers[i]],
                  near[k]);
        }
        tried[i] = numbers[i];
    }
    sodium_memzero(tried, sizeof tried);
}

static tl_err wrong_checksum(const uint16_t numbers[TL_PHRASE_WORDS], tl_why *why)
{
    guesses g = {.n = 0};
    if (why)
        find_slips(numbers, &g);
    tl_err e =
        tl_why_set(why, TL_ERR_AUTH,
                   "each is a recovery word, but together they are no phrase: one is another "
                   "one, or two have changed places%s%s%s",
                   g.n ? ". It would be right if " : ": compare them with the paper, one by one",
                   g.text, g.n > GUESSES ? "; or another" : "");
    sodium_memzero(&g, sizeof g);
    return e;
}

tl_err tl_phrase_parse(tl_slice text, uint8_t ret_entropy[TL_PHRASE_ENTROPY], tl_why *why)
{
    uint16_t numbers[TL_PHRASE_WORDS] = {0};
    size_t n = 0;
    tl_slice word;
    tl_err e = TL_OK;
    while (!e && next_word(&text, &word)) {
        unsigned number;
        if (n == TL_PHRASE_WORDS)
            e = tl_why_set(why, TL_ERR_TOO_LARGE, "there are more than %d words", TL_PHRASE_WORDS);
        else if (tl_phrase_find(word, &number))
            e = wrong_word(n + 1, word, why);
        else
            numbers[n++] = (uint16_t)number;
    }
    if (!e && n < TL_PHRASE_WORDS)
        e = tl_why_set(why, TL_ERR_SHORT, "there are %zu words, and %d are needed", n,
                       TL_PHRASE_WORDS);
    if (!e && !from_numbers(numbers, ret_entropy))
        e = wrong_checksum(numbers, why);
    sodium_memzero(numbers, sizeof numbers);
    return e;
}
