#include "cli/chat_status.h"

#include "base/number.h"
#include "cli/chat_who.h"
#include "cli/words.h"

#include <math.h>
#include <stdlib.h>

#define TOKENS_MAX 1000000000000 /* of an answer: more is a model server's nonsense */

/* As the model server counts; -1: it does not, or not as one can. */
static int64_t told_tokens(const tl_chat *c, const char *which)
{
    const json_t *told = json_object_get(c->usage, which);
    int64_t n = json_is_integer(told) ? json_integer_value(told) : -1;
    return n <= TOKENS_MAX ? n : -1;
}

/* Of the answer; without the model server's word, the pieces that came, each of which is about one. */
static int64_t answer_tokens(const tl_chat *c)
{
    int64_t told = told_tokens(c, "completion_tokens");
    return told >= 0 ? told : (int64_t)c->pieces;
}

/* From its first piece to its last; 0: not known. */
static double tokens_per_second(const tl_chat *c)
{
    double seconds = (double)(c->last - c->first) / (double)TL_SEC;
    return c->pieces > 1 && seconds > 0.001 ? (double)answer_tokens(c) / seconds : 0;
}

/* Micro-credits for 1000 tokens. */
static int64_t price_of(const tl_daemon_answer *a)
{
    return *a->price ? strtoll(a->price, NULL, 10) : 0;
}

/* What question and answer cost, as far as it is known. */
static void write_price(const tl_chat *c, const tl_daemon_answer *a, char *ret, size_t cap)
{
    char text[TL_WORDS_MAX];
    int64_t price = price_of(a), all = told_tokens(c, "total_tokens");
    double cost = ceil((double)price * (double)all / 1000);
    if (!price) {
        snprintf(ret, cap, "free");
    } else if (all >= 0 && cost <= (double)TL_NUMBER_EXACT_MAX) {
        tl_words_credits(text, (int64_t)cost);
        snprintf(ret, cap, "%s credits", text);
    } else {
        tl_words_credits(text, price);
        snprintf(ret, cap, "%s credits for 1000 tokens", text);
    }
}

void tl_chat_status_tell(tl_chat *c, const tl_daemon_answer *a)
{
    char speed[48] = "", price[TL_WORDS_MAX + 32];
    double rate = tokens_per_second(c);
    if (rate > 0)
        snprintf(speed, sizeof speed, ", %.1f tokens/s", rate);
    write_price(c, a, price, sizeof price);
    const char *who = *a->peer && strcmp(a->path, "local") != 0 ? tl_chat_who(c, a->peer) : "";
    fputs(tl_out_colour(stderr, TL_COLOUR_DIM), stderr);
    fprintf(stderr, "%s%s", *a->path ? a->path : "answered", *who ? " " : "");
    tl_out_text(stderr, tl_slice_str(who), false);
    fprintf(stderr, "%s%.8s, %s%lld token%s%s, %s%s\n", *a->peer ? " " : "", a->peer,
            told_tokens(c, "completion_tokens") >= 0 ? "" : "about ", (long long)answer_tokens(c),
            answer_tokens(c) == 1 ? "" : "s", speed, price, tl_out_end(stderr));
}

void tl_chat_status_json(const tl_chat *c, const tl_daemon_answer *a)
{
    double rate = tokens_per_second(c);
    json_t *all = json_pack(
        "{s:s, s:s?, s:o, s:s?, s:s?, s:I, s:O?, s:o}", "model", c->model, "answered_by_model",
        *c->answering ? c->answering : NULL, "answer",
        json_stringn(c->answer.len ? (const char *)tl_buf_begin(&c->answer) : "", c->answer.len),
        "peer", *a->peer ? a->peer : NULL, "path", *a->path ? a->path : NULL, "price_micro",
        (json_int_t)price_of(a), "usage", c->usage, "tokens_per_s",
        rate > 0 ? json_real(round(rate * 10) / 10) : json_null());
    if (all)
        tl_out_json(all);
    else
        tl_out_error("out of memory");
    json_decref(all);
}
