/* Messages of the old protocol, and what is made of them: the first byte says which reader gets the
 * rest. */
#include "legacy/answer.h"
#include "legacy/feed.h"
#include "legacy/message.h"
#include "legacy/question.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* What we accept we can say again, and understand. */
static void message(tl_slice text, tl_legacy_answer *answer)
{
    tl_legacy_message m, back;
    tl_buf out = {0};
    if (tl_legacy_parse(text, &m))
        return;
    if (m.type == TL_LEGACY_CHUNK) {
        must(!tl_legacy_write_chunk(&out, m.id, m.body));
        must(!tl_legacy_parse(tl_buf_slice(&out), &back) && back.type == m.type &&
             json_equal(back.body, m.body));
        tl_legacy_message_clear(&back);
        tl_err e = tl_legacy_answer_add(answer, m.body);
        must(!e || e == TL_ERR_TOO_LARGE);
    } else if (m.type == TL_LEGACY_ERROR) {
        must(!tl_legacy_write_error(&out, m.id, m.code, m.words));
        must(!tl_legacy_parse(tl_buf_slice(&out), &back) && back.type == m.type);
    }
    tl_legacy_message_clear(&m);
    tl_buf_clear(&out);
}

static void messages(tl_slice in)
{
    tl_legacy_answer answer = {0};
    tl_buf out = {0};
    json_t *whole = NULL;
    while (in.n) {
        const uint8_t *end = memchr(in.p, '\n', in.n);
        size_t line = end ? (size_t)(end - in.p) : in.n;
        message(tl_slice_of(in.p, line), &answer);
        in = tl_slice_of(in.p + line + (end != NULL), in.n - line - (end != NULL));
    }
    must(!tl_legacy_answer_write(&answer, 1, 2, 3, &out));
    must(!tl_json_parse(tl_buf_slice(&out), 64, &whole, NULL));
    json_decref(whole);
    tl_legacy_answer_clear(&answer);
    tl_buf_clear(&out);
}

static void question(tl_slice in)
{
    tl_buf out = {0}, again = {0};
    if (!tl_legacy_question_write(&out, in)) {
        must(!tl_legacy_question_write(&again, tl_buf_slice(&out)));
        must(tl_slice_eq(tl_buf_slice(&out), tl_buf_slice(&again)));
    }
    tl_buf_clear(&out);
    tl_buf_clear(&again);
}

static void feed(tl_slice in, bool sse, int status)
{
    tl_legacy_feed f =
        tl_legacy_feed_new(status, sse ? "text/event-stream" : "application/json", "m", 1);
    tl_err e = TL_ERR_SHORT;
    json_t *chunk;
    for (size_t at = 0; e == TL_ERR_SHORT && at <= in.n; at += 7) {
        bool end = at + 7 > in.n;
        if ((e = tl_legacy_feed_put(&f, tl_slice_of(in.p + at, end ? in.n - at : 7))))
            break;
        while (!(e = tl_legacy_feed_next(&f, end, &chunk)))
            json_decref(chunk);
    }
    tl_legacy_feed_clear(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    tl_slice in = tl_slice_of(data + 1, n - 1);
    switch (data[0] % 5) {
    case 0: messages(in); break;
    case 1: question(in); break;
    case 2: feed(in, true, 200); break;
    case 3: feed(in, false, 200); break;
    case 4: feed(in, false, 500); break;
    }
    return 0;
}
