#include "ask/warmth.h"

#include "wire/jsonscan.h"

#include <stdlib.h>

static void forget(tl_warmth *w, tl_warm *x)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    HASH_DELETE(hh, w->conversations, x);
    free(x);
}

void tl_warmth_clear(tl_warmth *w)
{
    tl_warm *x, *next;
    HASH_ITER (hh, w->conversations, x, next)
        forget(w, x);
}

/* The hash of the messages so far and one more. The first one's `before` is the model's. */
static uint64_t chained(uint64_t before, tl_slice message)
{
    uint64_t both[2] = {before, tl_table_hash64(message.p, message.n)};
    uint64_t hash = tl_table_hash64(both, sizeof both);
    return hash ? hash : 1;
}

/* The next element of an array that was checked already; `rest` begins behind its '[' or a comma. */
static bool next_element(tl_slice *rest, tl_slice *ret_element)
{
    unsigned depth = 0;
    bool string = false;
    for (size_t i = 0; i < rest->n; i++) {
        uint8_t c = rest->p[i];
        if (string) {
            i += c == '\\';
            string = c != '"';
        } else if (c == '"') {
            string = true;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (depth && (c == ']' || c == '}')) {
            depth--;
        } else if (!depth && (c == ',' || c == ']')) {
            *ret_element = tl_slice_of(rest->p, i);
            *rest = c == ',' ? tl_slice_of(rest->p + i + 1, rest->n - i - 1) : tl_slice_of(NULL, 0);
            return true;
        }
    }
    return false;
}

/* The array between its brackets, with the closing one. */
static bool messages_of(tl_slice body, tl_slice *ret_array)
{
    tl_jsonscan s;
    tl_json_member m;
    bool done = false;
    tl_err e = tl_jsonscan_begin_body(&s, body, 0);
    while (!e && !(e = tl_jsonscan_next(&s, &m, &done)) && !done)
        if (m.kind == TL_JSON_ARRAY && tl_slice_eq(m.key, TL_SLICE_LIT("messages"))) {
            *ret_array = tl_slice_of(m.value.p + 1, m.value.n - 1);
            return true;
        }
    return false;
}

static const tl_warm *find(const tl_warmth *w, uint64_t hash, tl_time now)
{
    const tl_warm *x;
    HASH_FIND(hh, w->conversations, &hash, sizeof hash, x);
    return x && now - x->at < TL_WARMTH_LASTS ? x : NULL;
}

tl_talk tl_warmth_read(const tl_warmth *w, const char *model, tl_slice body, tl_time now,
                       tl_warm_place *ret_place)
{
    tl_slice rest, message;
    tl_talk talk = {0};
    *ret_place = (tl_warm_place){0};
    if (body.n > TL_WARMTH_BODY_MAX || !messages_of(body, &rest))
        return talk;
    uint64_t hash = tl_table_hash64(model, strlen(model));
    for (size_t n = 0; n < TL_WARMTH_MESSAGES && next_element(&rest, &message); n++) {
        if (!message.n) /* "[]" */
            break;
        talk.hash = hash = chained(hash, message);
        talk.bytes += message.n;
        const tl_warm *x = find(w, hash, now);
        if (x)
            *ret_place = (tl_warm_place){true, x->node, talk.bytes};
    }
    return talk;
}

void tl_warmth_note(tl_warmth *w, const tl_talk *talk, const tl_node_id *node, tl_time now)
{
    tl_warm *x;
    if (!talk->hash)
        return;
    HASH_FIND(hh, w->conversations, &talk->hash, sizeof talk->hash, x);
    if (x) {
        HASH_DELETE(hh, w->conversations, x);
    } else {
        if (HASH_COUNT(w->conversations) >= TL_WARMTH_MAX)
            forget(w, w->conversations);
        if (!(x = calloc(1, sizeof *x)))
            return;
    }
    x->hash = talk->hash;
    x->node = *node;
    x->at = now;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    if (!TL_TABLE_ADD(hh, w->conversations, hash, sizeof x->hash, x))
        free(x);
}
