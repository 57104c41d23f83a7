#include "cli/redact.h"

#include "base/addr.h"

#include <ctype.h>

#define HEX_MIN                                                                                    \
    32 /* digits: half a key; shorter runs are counters, sessions, first digits of IDs */
#define HEX_SHOW 8
#define KEY_MIN  20 /* characters of an API key with its "tl-" */

/* The characters of addresses, names and keys. */
static bool is_word(uint8_t c)
{
    return isalnum(c) || c == '.' || c == ':' || c == '-' || c == '_' || c == '%' || c == '+' ||
           c >= 0x80;
}

static size_t hex_run(tl_slice s)
{
    size_t n = 0;
    while (n < s.n && isxdigit(s.p[n]))
        n++;
    return n;
}

static tl_err append_address(tl_buf *out, const tl_addr *a)
{
    tl_err e = a->family == TL_ADDR_V4
                   ? tl_buf_printf(out, "%u.%u.x.x", a->bytes[0], a->bytes[1])
                   : tl_buf_printf(out, "%x:x", (unsigned)(a->bytes[0] << 8 | a->bytes[1]));
    return !e && a->port ? tl_buf_printf(out, ":%u", a->port) : e;
}

/* True: the word is an address, alone or with its port, and not this machine's own loopback. */
static bool is_address(tl_slice word, tl_addr *ret_addr)
{
    const uint8_t *zone = memchr(word.p, '%', word.n);
    if (zone)
        word.n = (size_t)(zone - word.p);
    if (tl_addr_parse_ip(word, ret_addr) && tl_addr_parse(word, ret_addr))
        return false;
    return !tl_addr_is_loopback(ret_addr);
}

/* Appends a word, and cuts long runs of hex digits in it. */
static tl_err append_word(tl_buf *out, tl_slice word)
{
    tl_err e = TL_OK;
    while (!e && word.n) {
        size_t run = hex_run(word), take = run ? run : 1;
        e = tl_buf_append(out, tl_slice_of(word.p, run >= HEX_MIN ? HEX_SHOW : take));
        if (!e && run >= HEX_MIN)
            e = tl_buf_append_str(out, "...");
        word = tl_slice_of(word.p + take, word.n - take);
    }
    return e;
}

static tl_err redact_word(tl_buf *out, tl_slice word)
{
    tl_addr a;
    if (word.n >= KEY_MIN && memcmp(word.p, "tl-", 3) == 0)
        return tl_buf_append_str(out, "tl-...");
    /* A full stop or colon at the end is not part of the address. */
    size_t n = word.n;
    while (n && (word.p[n - 1] == '.' || word.p[n - 1] == ':') && !(n > 1 && word.p[n - 2] == ':'))
        n--;
    tl_slice core = tl_slice_of(word.p, n), tail = tl_slice_of(word.p + n, word.n - n);
    tl_err e = is_address(core, &a) ? append_address(out, &a) : append_word(out, core);
    return e ? e : tl_buf_append(out, tail);
}

/* How many bytes "//user:password" has before its '@'; 0: there is no such text. */
static size_t userinfo(tl_slice s)
{
    if (s.n < 2 || s.p[0] != '/' || s.p[1] != '/')
        return 0;
    for (size_t n = 2; n < s.n && s.p[n] > ' ' && !strchr("/\"?#", s.p[n]); n++)
        if (s.p[n] == '@')
            return n;
    return 0;
}

tl_err tl_redact(tl_buf *out, tl_slice text)
{
    tl_err e = TL_OK;
    while (!e && text.n) {
        size_t n = 0, hidden = userinfo(text);
        while (n < text.n && is_word(text.p[n]))
            n++;
        if (n)
            e = redact_word(out, tl_slice_of(text.p, n));
        else if (hidden)
            e = tl_buf_append_str(out, "//(hidden)");
        else
            e = tl_buf_append(out, tl_slice_of(text.p, 1));
        n = n ? n : hidden ? hidden : 1;
        text = tl_slice_of(text.p + n, text.n - n);
    }
    return e;
}

static bool is_of_name(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '-' || c >= 0x80;
}

/* Does this text of the user's own stand at `at`? */
static bool stands_at(const tl_redact_own *own, tl_slice text, size_t at)
{
    size_t n = strlen(own->text);
    if (text.n - at < n || memcmp(text.p + at, own->text, n) != 0)
        return false;
    return own->anywhere || ((at == 0 || !is_of_name(text.p[at - 1])) &&
                             (at + n == text.n || !is_of_name(text.p[at + n])));
}

tl_err tl_redact_texts(tl_buf *out, tl_slice text, const tl_redact_own *own, size_t n)
{
    tl_err e = TL_OK;
    for (size_t at = 0; !e && at < text.n;) {
        size_t i = 0;
        while (i < n && !stands_at(&own[i], text, at))
            i++;
        if (i < n)
            e = tl_buf_append_str(out, own[i].instead);
        else
            e = tl_buf_append(out, tl_slice_of(text.p + at, 1));
        at += i < n ? strlen(own[i].text) : 1;
    }
    return e;
}
