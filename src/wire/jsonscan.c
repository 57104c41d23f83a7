#include "wire/jsonscan.h"

typedef const uint8_t *cursor;

static cursor skip_space(cursor p, cursor end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after "\u"; -1 if they are not there. */
static int32_t read_hex4(cursor p, cursor end)
{
    if (end - p < 4)
        return -1;
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* Reads the escape at p (a backslash) into *ret_char; returns its length, 0 if it is illegal. */
static size_t read_escape(cursor p, cursor end, uint32_t *ret_char)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (end - p < 2)
        return 0;
    if (p[1] != 'u') {
        const char *at = p[1] ? strchr(from, p[1]) : NULL;
        if (!at)
            return 0;
        *ret_char = (uint8_t)to[at - from];
        return 2;
    }
    int32_t high = read_hex4(p + 2, end);
    if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF))
        return 0;
    if (high < 0xD800 || high > 0xDBFF) {
        *ret_char = (uint32_t)high;
        return 6;
    }
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return 0;
    int32_t low = read_hex4(p + 8, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    *ret_char = 0x10000 + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return 12;
}

typedef int8_t block __attribute__((vector_size(16)));
typedef uint64_t lanes __attribute__((vector_size(16)));

/* All ones in the bytes that end a plain run. They are signed, so those from 0x80 up are below 0x20
 * too. */
static inline lanes special(cursor p)
{
    block b;
    memcpy(&b, p, sizeof b);
    return (lanes)((b < 0x20) | (b == '"') | (b == '\\'));
}

/* Which byte of a word in memory is the first that is not zero. */
static inline unsigned first_byte(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (unsigned)__builtin_ctzll(word) / 8;
#else
    return (unsigned)__builtin_clzll(word) / 8;
#endif
}

/* Passes over bytes that need no look: ASCII but controls, quote and backslash. 64 at a time, since
 * nearly all bytes at a relay are the base64 in one long string. */
static cursor skip_plain(cursor p, cursor end)
{
    while ((size_t)(end - p) >= 4 * sizeof(block)) {
        lanes any = special(p) | special(p + 16) | special(p + 32) | special(p + 48);
        if (any[0] | any[1])
            break;
        p += 4 * sizeof(block);
    }
    while ((size_t)(end - p) >= sizeof(block)) {
        lanes any = special(p);
        if (any[0])
            return p + first_byte(any[0]);
        if (any[1])
            return p + 8 + first_byte(any[1]);
        p += sizeof(block);
    }
    while (p < end && (int8_t)*p >= 0x20 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* p is at the opening quote; returns what follows the closing one, NULL if the string is illegal.
 * `halves`: one half of a surrogate pair alone is let pass. */
static cursor skip_string(cursor p, cursor end, bool halves)
{
    p++;
    for (;;) {
        p = skip_plain(p, end);
        if (p == end || *p < 0x20)
            return NULL;
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            uint32_t c;
            size_t n = read_escape(p, end, &c);
            if (!n && halves && end - p >= 6 && p[1] == 'u' && read_hex4(p + 2, end) >= 0)
                n = 6;
            if (!n)
                return NULL;
            p += n;
        } else {
            cursor run = p;
            while (p < end && *p >= 0x80)
                p++;
            if (!tl_utf8_is(tl_slice_of(run, (size_t)(p - run))))
                return NULL;
        }
    }
}

static cursor skip_digits(cursor p, cursor end)
{
    cursor start = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p > start ? p : NULL;
}

static cursor skip_number(cursor p, cursor end)
{
    if (*p == '-')
        p++;
    if (p < end && *p == '0')
        p++;
    else if (!(p = skip_digits(p, end)))
        return NULL;
    if (p < end && *p == '.' && !(p = skip_digits(p + 1, end)))
        return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = skip_digits(p, end);
    }
    return p;
}

static cursor skip_word(cursor p, cursor end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

static bool kind_of(uint8_t c, tl_json_kind *ret_kind)
{
    switch (c) {
    case '{': *ret_kind = TL_JSON_OBJECT; return true;
    case '[': *ret_kind = TL_JSON_ARRAY; return true;
    case '"': *ret_kind = TL_JSON_STRING; return true;
    case 't': *ret_kind = TL_JSON_TRUE; return true;
    case 'f': *ret_kind = TL_JSON_FALSE; return true;
    case 'n': *ret_kind = TL_JSON_NULL; return true;
    default: *ret_kind = TL_JSON_NUMBER; return c == '-' || (c >= '0' && c <= '9');
    }
}

static cursor skip_scalar(cursor p, cursor end, bool halves, tl_json_kind kind)
{
    switch (kind) {
    case TL_JSON_STRING: return skip_string(p, end, halves);
    case TL_JSON_TRUE: return skip_word(p, end, "true");
    case TL_JSON_FALSE: return skip_word(p, end, "false");
    case TL_JSON_NULL: return skip_word(p, end, "null");
    default: return skip_number(p, end);
    }
}

/* A key, its colon and the white space about it; p is at the key's first byte. */
static cursor skip_key(cursor p, cursor end, bool halves)
{
    if (p == end || *p != '"' || !(p = skip_string(p, end, halves)))
        return NULL;
    p = skip_space(p, end);
    return p < end && *p == ':' ? skip_space(p + 1, end) : NULL;
}

/* Which containers are open, one bit a level: 1 = object. */
typedef struct {
    unsigned depth, max;
    bool halves, too_deep;
    uint64_t bits[TL_JSONSCAN_DEPTH / 64];
} nest;

static bool is_in_object(const nest *s)
{
    unsigned i = s->depth - 1;
    return s->bits[i / 64] >> (i % 64) & 1;
}

/* p is at a bracket. Enters it; returns the first value's first byte, or what follows the closing
 * bracket (then *ret_closed) when it is empty. */
static cursor open_container(nest *s, cursor p, cursor end, bool *ret_closed)
{
    bool object = *p == '{';
    if (s->depth == s->max) {
        s->too_deep = true;
        return NULL;
    }
    p = skip_space(p + 1, end);
    *ret_closed = p < end && *p == (object ? '}' : ']');
    if (*ret_closed)
        return p + 1;
    uint64_t bit = UINT64_C(1) << (s->depth % 64);
    s->bits[s->depth / 64] = (s->bits[s->depth / 64] & ~bit) | (object ? bit : 0);
    s->depth++;
    return object ? skip_key(p, end, s->halves) : p;
}

/* Behind a value: leaves every container that ends here. Returns the next value's first byte, or
 * what follows the outermost bracket (then depth is 0). */
static cursor after_value(nest *s, cursor p, cursor end)
{
    while (s->depth) {
        bool object = is_in_object(s);
        p = skip_space(p, end);
        if (p == end)
            return NULL;
        if (*p == ',') {
            p = skip_space(p + 1, end);
            return object ? skip_key(p, end, s->halves) : p;
        }
        if (*p != (object ? '}' : ']'))
            return NULL;
        p++;
        s->depth--;
    }
    return p;
}

/* p is at a bracket; `levels` containers may be nested. Separate from skip_value, because its 512
 * bytes of stack cost more than most values do. */
static __attribute__((noinline)) cursor skip_container(cursor p, cursor end, bool halves,
                                                       unsigned levels, bool *ret_too_deep)
{
    nest s = {.max = levels, .halves = halves};
    do {
        tl_json_kind kind;
        bool closed = true;
        if (p == end || !kind_of(*p, &kind))
            return NULL;
        if (kind == TL_JSON_OBJECT || kind == TL_JSON_ARRAY)
            p = open_container(&s, p, end, &closed);
        else
            p = skip_scalar(p, end, halves, kind);
        if (p && closed)
            p = after_value(&s, p, end);
        if (!p) {
            *ret_too_deep = s.too_deep;
            return NULL;
        }
    } while (s.depth);
    return p;
}

static cursor skip_value(cursor p, cursor end, bool halves, unsigned levels, tl_json_kind *ret_kind,
                         bool *ret_too_deep)
{
    if (p == end || !kind_of(*p, ret_kind))
        return NULL;
    if (*ret_kind == TL_JSON_OBJECT || *ret_kind == TL_JSON_ARRAY)
        return skip_container(p, end, halves, levels, ret_too_deep);
    return skip_scalar(p, end, halves, *ret_kind);
}

static unsigned levels_of(unsigned max_depth)
{
    return max_depth == 0 || max_depth > TL_JSONSCAN_DEPTH ? TL_JSONSCAN_DEPTH : max_depth;
}

tl_err tl_jsonscan_begin(tl_jsonscan *s, tl_slice text, unsigned max_depth)
{
    if (text.n == 0)
        return TL_ERR_PROTO;
    cursor end = text.p + text.n, p = skip_space(text.p, end);
    if (p == end || *p != '{')
        return TL_ERR_PROTO;
    *s = (tl_jsonscan){.p = p + 1, .end = end, .max_depth = levels_of(max_depth), .first = true};
    return TL_OK;
}

tl_err tl_jsonscan_begin_body(tl_jsonscan *s, tl_slice text, unsigned max_depth)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    if (text.n >= sizeof mark && memcmp(text.p, mark, sizeof mark) == 0)
        text = tl_slice_of(text.p + sizeof mark, text.n - sizeof mark);
    tl_err e = tl_jsonscan_begin(s, text, max_depth);
    if (!e)
        s->halves = true;
    return e;
}

tl_err tl_jsonscan_key(tl_jsonscan *s, tl_slice *ret_key, bool *ret_done)
{
    cursor p = skip_space(s->p, s->end);
    if (p < s->end && *p == '}') {
        p = s->entered ? p + 1 : skip_space(p + 1, s->end);
        if (!s->entered && p != s->end)
            return TL_ERR_PROTO;
        s->p = p;
        *ret_done = true;
        return TL_OK;
    }
    if (!s->first) {
        if (p == s->end || *p != ',')
            return TL_ERR_PROTO;
        p = skip_space(p + 1, s->end);
    }
    if (p == s->end || *p != '"')
        return TL_ERR_PROTO;
    cursor key = p + 1;
    if (!(p = skip_string(p, s->end, s->halves)))
        return TL_ERR_PROTO;
    *ret_key = tl_slice_of(key, (size_t)(p - 1 - key));
    p = skip_space(p, s->end);
    if (p == s->end || *p != ':')
        return TL_ERR_PROTO;
    s->p = skip_space(p + 1, s->end);
    s->first = false;
    *ret_done = false;
    return TL_OK;
}

tl_err tl_jsonscan_value(tl_jsonscan *s, tl_slice *ret_value, tl_json_kind *ret_kind)
{
    tl_json_kind kind;
    cursor p = skip_value(s->p, s->end, s->halves, s->max_depth - 1, &kind, &s->too_deep);
    if (!p)
        return TL_ERR_PROTO;
    *ret_value = tl_slice_of(s->p, (size_t)(p - s->p));
    *ret_kind = kind;
    s->p = p;
    return TL_OK;
}

tl_err tl_jsonscan_peek(const tl_jsonscan *s, tl_json_kind *ret_kind)
{
    return s->p < s->end && kind_of(*s->p, ret_kind) ? TL_OK : TL_ERR_PROTO;
}

tl_err tl_jsonscan_enter(tl_jsonscan *s, tl_jsonscan *ret_inner)
{
    if (s->p == s->end || *s->p != '{' || s->max_depth < 2)
        return TL_ERR_PROTO;
    *ret_inner = (tl_jsonscan){.p = s->p + 1,
                               .end = s->end,
                               .max_depth = s->max_depth - 1,
                               .halves = s->halves,
                               .first = true,
                               .entered = true};
    return TL_OK;
}

void tl_jsonscan_leave(tl_jsonscan *s, const tl_jsonscan *inner)
{
    s->p = inner->p;
}

tl_err tl_jsonscan_next(tl_jsonscan *s, tl_json_member *ret_member, bool *ret_done)
{
    tl_jsonscan at = *s;
    tl_json_member m;
    bool done;
    tl_err e = tl_jsonscan_key(&at, &m.key, &done);
    if (!e && !done)
        e = tl_jsonscan_value(&at, &m.value, &m.kind);
    if (e) {
        s->too_deep = at.too_deep;
        return e;
    }
    if (!done)
        *ret_member = m;
    *ret_done = done;
    *s = at;
    return TL_OK;
}

tl_err tl_jsonscan_check(tl_slice text, unsigned max_depth, tl_json_kind *ret_kind)
{
    tl_json_kind kind;
    bool too_deep;
    if (text.n == 0)
        return TL_ERR_PROTO;
    cursor end = text.p + text.n;
    cursor p =
        skip_value(skip_space(text.p, end), end, false, levels_of(max_depth), &kind, &too_deep);
    if (!p || skip_space(p, end) != end)
        return TL_ERR_PROTO;
    *ret_kind = kind;
    return TL_OK;
}

/* Returns the length; `c` is a scalar value. */
static size_t utf8_write(uint8_t ret[4], uint32_t c)
{
    if (c < 0x80) {
        ret[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        ret[i] = (uint8_t)(0x80 | (c & 0x3F));
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    ret[0] = (uint8_t)(lead[n] | c);
    return n;
}

tl_err tl_jsonscan_string(tl_slice raw, char *ret_text, size_t cap, size_t *ret_n)
{
    if (raw.n >= 2 && raw.p[0] == '"' && raw.p[raw.n - 1] == '"')
        raw = tl_slice_of(raw.p + 1, raw.n - 2);
    if (!tl_utf8_is(raw))
        return TL_ERR_PROTO;
    cursor end = raw.p + raw.n;
    size_t n = 0;
    for (cursor p = raw.p; p < end;) {
        uint8_t bytes[4] = {*p};
        size_t k = 1, used = 1;
        if (*p == '\\') {
            uint32_t c;
            used = read_escape(p, end, &c);
            if (!used || c == 0)
                return TL_ERR_PROTO;
            k = utf8_write(bytes, c);
        } else if (*p < 0x20 || *p == '"') {
            return TL_ERR_PROTO;
        }
        if (cap == 0 || n + k > cap - 1)
            return TL_ERR_TOO_LARGE;
        memcpy(ret_text + n, bytes, k);
        n += k;
        p += used;
    }
    if (cap == 0)
        return TL_ERR_TOO_LARGE;
    ret_text[n] = 0;
    *ret_n = n;
    return TL_OK;
}
