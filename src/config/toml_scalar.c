/* toml_scalar.c - numbers, booleans, dates and times of toml.h. Floats and times are checked and
 * kept as they are written: no setting is one. */
#include "config/toml_state.h"

#include "base/log.h"

#include <strings.h>

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* A word: what may stand in a number, a date or true, and what people write in their place. */
static size_t word_size(tl_slice t, size_t at)
{
    size_t n = 0;
    while (at + n < t.n &&
           (t.p[at + n] >= 0x80 || (t.p[at + n] > ' ' && !strchr("#,[]{}=\"'\x7F", t.p[at + n]))))
        n++;
    return n;
}

/* --- dates and times (RFC 3339, as TOML narrows it) --- */

/* Reads exactly `n` digits, a number from `least` to `most`. */
static bool take_digits(tl_slice *s, size_t n, unsigned least, unsigned most, unsigned *ret)
{
    unsigned v = 0;
    if (s->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s->p[i]))
            return false;
        v = v * 10 + s->p[i] - '0';
    }
    *s = tl_slice_of(s->p + n, s->n - n);
    *ret = v;
    return v >= least && v <= most;
}

static bool take_byte(tl_slice *s, const char *one_of)
{
    if (!s->n || !s->p[0] || !strchr(one_of, s->p[0]))
        return false;
    *s = tl_slice_of(s->p + 1, s->n - 1);
    return true;
}

static unsigned days_of(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(tl_slice *s)
{
    unsigned year, month, day;
    return take_digits(s, 4, 0, 9999, &year) && take_byte(s, "-") &&
           take_digits(s, 2, 1, 12, &month) && take_byte(s, "-") &&
           take_digits(s, 2, 1, days_of(year, month), &day);
}

static bool take_clock(tl_slice *s)
{
    unsigned v;
    if (!take_digits(s, 2, 0, 23, &v) || !take_byte(s, ":") || !take_digits(s, 2, 0, 59, &v) ||
        !take_byte(s, ":") || !take_digits(s, 2, 0, 60, &v)) /* 60: a leap second */
        return false;
    if (!take_byte(s, "."))
        return true;
    size_t n = 0;
    while (n < s->n && is_digit(s->p[n]))
        n++;
    *s = tl_slice_of(s->p + n, s->n - n);
    return n > 0;
}

static bool take_offset(tl_slice *s)
{
    unsigned v;
    return take_byte(s, "Zz") || (take_byte(s, "+-") && take_digits(s, 2, 0, 23, &v) &&
                                  take_byte(s, ":") && take_digits(s, 2, 0, 59, &v));
}

/* False: the word is no date and no time. */
static bool parse_time(tl_slice s, tl_toml_type *ret_type)
{
    tl_slice clock = s;
    if (take_clock(&clock) && !clock.n) {
        *ret_type = TL_TOML_TIME_LOCAL;
        return true;
    }
    if (!take_date(&s))
        return false;
    *ret_type = TL_TOML_DATE_LOCAL;
    if (!s.n)
        return true;
    if (!take_byte(&s, "Tt ") || !take_clock(&s))
        return false;
    *ret_type = s.n ? TL_TOML_DATETIME : TL_TOML_DATETIME_LOCAL;
    return !s.n || (take_offset(&s) && !s.n);
}

/* Does it begin as a date or a time does? Then it is to be one. */
static bool looks_like_time(tl_slice s)
{
    size_t n = 0;
    while (n < s.n && is_digit(s.p[n]))
        n++;
    return n && n < s.n && (s.p[n] == '-' || s.p[n] == ':');
}

/* --- numbers --- */

static bool is_digit_of(uint8_t c, unsigned base)
{
    if (base <= 10)
        return c >= '0' && c < '0' + (int)base;
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Takes digits with a single `_` between two of them, and appends the digits to `out` (of a size
 * that holds the whole word). False: there is no digit, or a `_` is misplaced. */
static bool take_run(tl_slice *s, unsigned base, char *out, size_t *n)
{
    size_t i = 0;
    bool after_digit = false;
    for (; i < s->n && (s->p[i] == '_' || is_digit_of(s->p[i], base)); i++) {
        if (s->p[i] == '_' && !after_digit)
            return false;
        after_digit = s->p[i] != '_';
        if (after_digit)
            out[(*n)++] = (char)s->p[i];
    }
    *s = tl_slice_of(s->p + i, s->n - i);
    return after_digit;
}

static bool to_integer(const char *digits, size_t n, unsigned base, bool minus, int64_t *ret)
{
    const uint64_t most = minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned d = is_digit((uint8_t)digits[i]) ? (unsigned)(digits[i] - '0')
                                                  : (unsigned)((digits[i] | 0x20) - 'a' + 10);
        if (v > (most - d) / base)
            return false;
        v = v * base + d;
    }
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

typedef enum { NO_NUMBER, TOO_BIG, AN_INTEGER, A_FLOAT } number;

/* `text` holds the word without its `_` afterwards, for a float. */
static number parse_number(tl_slice s, char *text, size_t *ret_n, int64_t *ret_integer)
{
    size_t n = 0;
    bool sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
    if (sign) {
        text[n++] = (char)s.p[0];
        s = tl_slice_of(s.p + 1, s.n - 1);
    }
    bool minus = sign && text[0] == '-';
    if (tl_slice_eq(s, TL_SLICE_LIT("inf")) || tl_slice_eq(s, TL_SLICE_LIT("nan"))) {
        memcpy(text + n, s.p, 3);
        *ret_n = n + 3;
        return A_FLOAT;
    }
    if (!sign && s.n > 2 && s.p[0] == '0' && strchr("xob", s.p[1]) && s.p[1]) {
        unsigned base = s.p[1] == 'x' ? 16 : s.p[1] == 'o' ? 8 : 2;
        s = tl_slice_of(s.p + 2, s.n - 2);
        if (!take_run(&s, base, text, &n) || s.n)
            return NO_NUMBER;
        return to_integer(text, n, base, false, ret_integer) ? AN_INTEGER : TOO_BIG;
    }
    size_t first = n;
    if (!take_run(&s, 10, text, &n) || (text[first] == '0' && n > first + 1))
        return NO_NUMBER;
    if (!s.n)
        return to_integer(text + first, n - first, 10, minus, ret_integer) ? AN_INTEGER : TOO_BIG;
    if (take_byte(&s, ".")) {
        text[n++] = '.';
        if (!take_run(&s, 10, text, &n))
            return NO_NUMBER;
    }
    if (take_byte(&s, "eE")) {
        text[n++] = 'e';
        if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
            text[n++] = (char)s.p[0];
            s = tl_slice_of(s.p + 1, s.n - 1);
        }
        if (!take_run(&s, 10, text, &n))
            return NO_NUMBER;
    }
    *ret_n = n;
    return s.n ? NO_NUMBER : A_FLOAT;
}

/* --- a word --- */

static bool is_one_of(tl_slice word, const char *const *words)
{
    for (; *words; words++)
        if (word.n == strlen(*words) && !strncasecmp((const char *)word.p, *words, word.n))
            return true;
    return false;
}

/* Says what a word that is no value was meant to be. */
static tl_err refuse(tl_toml_reader *r, size_t at, tl_slice word)
{
    static const char *const booleans[] = {"true", "false", "yes", "no", "on", "off", NULL};
    tl_safe safe = tl_log_safe(tl_slice_of(word.p, word.n < 64 ? word.n : 64));
    if (!word.n)
        return tl_toml_fail(r, at, TL_ERR_PROTO, "the value is missing");
    if (is_one_of(word, booleans))
        return tl_toml_fail(r, at, TL_ERR_PROTO,
                            "%s is no value: write true or false, in small letters", safe.text);
    if (looks_like_time(word))
        return tl_toml_fail(r, at, TL_ERR_PROTO, "%s is no date or time; text goes in quotes",
                            safe.text);
    if (is_digit(word.p[0]) || strchr("+-.", word.p[0]))
        return tl_toml_fail(r, at, TL_ERR_PROTO, "%s is not a number; text goes in quotes",
                            safe.text);
    return tl_toml_fail(r, at, TL_ERR_PROTO, "text goes in quotes: \"%s\"", safe.text);
}

/* The word at r->at; a date, a blank and a time are one. */
static tl_slice whole_word(const tl_toml_reader *r)
{
    tl_slice word = tl_slice_of(r->text.p + r->at, word_size(r->text, r->at)), date = word;
    size_t end = r->at + word.n;
    if (take_date(&date) && !date.n && end + 1 < r->text.n && r->text.p[end] == ' ' &&
        is_digit(r->text.p[end + 1]))
        word.n += 1 + word_size(r->text, end + 1);
    return word;
}

tl_err tl_toml_scalar(tl_toml_reader *r, tl_toml *node)
{
    size_t at = r->at, n = 0;
    tl_slice word = whole_word(r);
    r->at += word.n;
    bool yes = tl_slice_eq(word, TL_SLICE_LIT("true"));
    if (yes || tl_slice_eq(word, TL_SLICE_LIT("false"))) {
        node->type = TL_TOML_BOOL;
        node->integer = yes;
        return TL_OK;
    }
    if (looks_like_time(word)) {
        if (!parse_time(word, &node->type))
            return refuse(r, at, word);
        return tl_toml_copy(r, word, &node->text);
    }
    uint8_t *text;
    r->scratch.len = 0;
    if (tl_buf_reserve(&r->scratch, word.n + 1, &text))
        return tl_why_set(r->why, TL_ERR_NOMEM, "%s: out of memory", r->name);
    switch (parse_number(word, (char *)text, &n, &node->integer)) {
    case NO_NUMBER: return refuse(r, at, word);
    case TOO_BIG: return tl_toml_fail(r, at, TL_ERR_PROTO, "the number is beyond 64 bits");
    case AN_INTEGER: node->type = TL_TOML_INTEGER; return TL_OK;
    case A_FLOAT: node->type = TL_TOML_FLOAT; break;
    }
    return tl_toml_copy(r, tl_slice_of(text, n), &node->text);
}
