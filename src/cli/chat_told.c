#include "cli/chat_told.h"

#include "cli/chat_who.h"

#define LOOK_EVERY    (1 * TL_SEC)
#define LOOK_WITHIN   (300 * TL_MS) /* a node that is too busy for this is not asked */
#define OFFLINE_TIMES 2             /* another access point is found within a second */
#define SECONDS_MAX   999999        /* some eleven days: an answer ends before */
#define PLACE_MAX     999999
#define REFUSAL_MAX   600 /* bytes of a model server's words that are shown */

/* The word behind `key`. False: there is none, or it is too long. */
static bool word_of(const char *line, const char *key, char *ret, size_t cap)
{
    const char *at = strstr(line, key);
    if (!at)
        return false;
    at += strlen(key);
    size_t n = strcspn(at, " ");
    if (!n || n >= cap)
        return false;
    memcpy(ret, at, n);
    ret[n] = 0;
    return true;
}

static bool number_of(const char *line, const char *key, int64_t most, int64_t *ret)
{
    char text[12];
    return word_of(line, key, text, sizeof text) && tl_args_whole(text, 0, most, ret);
}

static bool is_id(const char *text)
{
    return strlen(text) == TL_NODE_ID_HEX && strspn(text, "0123456789abcdef") == TL_NODE_ID_HEX;
}

/* `node`: who answers; "": this node's model server. */
static void say_silence(tl_chat *c, const char *node, const char *why, tl_time since)
{
    char who[sizeof c->silence.who] = "the model server";
    if (*node) {
        const char *called = tl_chat_who(c, node);
        snprintf(who, sizeof who, "%s%s%.8s", called, *called ? " " : "", node);
    }
    tl_silence_say(&c->silence, who, why, since);
}

/* In the middle of an answer: "waiting for=path seconds=4 peer=3f9a..." */
static void take_silence(tl_chat *c, const char *what, const char *line, tl_time now)
{
    char node[TL_NODE_ID_HEX + 1] = "";
    int64_t seconds;
    bool path = !strcmp(what, "path"), other = word_of(line, " peer=", node, sizeof node);
    if (c->json || c->offline || (!path && strcmp(what, "model") != 0) || (other && !is_id(node)) ||
        !number_of(line, " seconds=", SECONDS_MAX, &seconds))
        return;
    if (other && c->from && *c->from->peer && strcmp(c->from->peer, node) != 0)
        return; /* of another than answers */
    tl_time quiet = (tl_time)seconds * TL_SEC;
    say_silence(c, node,
                path    ? "; its path is being looked at"
                : other ? "; it is connected, and its model silent"
                        : "",
                quiet < now ? now - quiet : 0);
}

/* May this machine's own model server answer? */
static bool is_served_here(const tl_chat *c, const json_t *status)
{
    const json_t *models = json_object_get(json_object_get(status, "backend"), "models"), *one;
    bool any = !strcmp(c->model, "teale-auto") && json_array_size(models);
    size_t i;
    json_array_foreach (models, i, one)
        any = any || (json_is_string(one) && !strcmp(json_string_value(one), c->model));
    return any;
}

/* In the middle of an answer it may come back before the answer is given up: this is only said. */
static void take_offline(tl_chat *c, bool serves)
{
    if (!c->answer.len) {
        c->given_up = c->offline >= OFFLINE_TIMES && (*c->peer || !serves);
        return;
    }
    if (c->json)
        return;
    say_silence(c, c->from->peer, "; this machine has no network", c->last);
    c->silence.plain_at = 0; /* at once, also in a pipe */
}

void tl_chat_look(tl_chat *c, tl_time now)
{
    if (now < c->look_at || !strcmp(c->from->path, "local"))
        return;
    c->look_at = now + LOOK_EVERY;
    json_t *status = tl_daemon_status(c->cli, LOOK_WITHIN);
    bool was = c->offline;
    c->offline = tl_daemon_is_offline(status) ? c->offline + 1 : 0;
    if (c->offline && (!was || !c->answer.len))
        take_offline(c, is_served_here(c, status));
    json_decref(status);
}

void tl_chat_told(tl_chat *c, tl_slice comment, tl_time now)
{
    static const char *const words[][2] = {
        {"peer", "a node that answers"},
        {"answer", "the peer's first word"},
        {"path", "the peer: nothing comes from it, and its path is being looked at"},
        {"model", "the model server, which may be loading the model"}};
    static const char waits[] = "waiting for=", queued[] = "queue position=";
    char line[160], what[16];
    int64_t place, wait;
    snprintf(line, sizeof line, "%.*s", (int)comment.n, (const char *)comment.p);
    if (!strncmp(line, queued, sizeof queued - 1)) {
        if (number_of(line, queued, PLACE_MAX, &place) &&
            number_of(line, " wait_s=", SECONDS_MAX, &wait))
            tl_waiting_say(&c->waiting, "place %lld in the provider's queue (some %lld s)",
                           (long long)place, (long long)wait);
        return;
    }
    if (strncmp(line, waits, sizeof waits - 1) != 0 || !word_of(line, waits, what, sizeof what))
        return;
    if (c->answer.len)
        take_silence(c, what, line, now);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(what, words[i][0]))
            tl_waiting_say(&c->waiting, "%s", words[i][1]);
}

bool tl_chat_is_refusal(const tl_daemon_answer *a)
{
    return !a->e && *a->peer &&
           (a->status == 400 || a->status == 404 || a->status == 413 || a->status == 422 ||
            a->status == 429);
}

/* The bytes of a text that are shown of it: whole characters. */
static size_t shown_of(tl_slice text)
{
    size_t n = text.n < REFUSAL_MAX ? text.n : REFUSAL_MAX;
    while (n && n < text.n && (text.p[n] & 0xC0) == 0x80)
        n--;
    return n;
}

int tl_chat_tell_refusal(tl_chat *c, const json_t *error)
{
    const tl_daemon_answer *a = c->from;
    const char *said =
        json_is_string(error) ? json_string_value(error) : tl_json_string(error, "message", "");
    bool local = !strcmp(a->path, "local");
    const char *node = local      ? ""
                       : *a->peer ? a->peer
                                  : c->peer,
               *called = *node ? tl_chat_who(c, node) : "";
    tl_buf text = {0};
    if (tl_out_clean(&text, said))
        return TL_EXIT_FAILED;
    tl_slice all = tl_buf_slice(&text);
    size_t n = shown_of(all);
    char who[TL_CHAT_WHO_MAX + 64] = "the model server";
    if (*node)
        snprintf(who, sizeof who, "the model server of peer %s%s%.16s%s", called,
                 *called ? " (" : "", node, *called ? ")" : "");
    const char *does = c->answer.len ? "breaks its answer off" : "refuses the question";
    if (n)
        tl_out_error("%s %s. It says: %.*s%s", who, does, (int)n, (const char *)all.p,
                     n < all.n ? "..." : "");
    else
        tl_out_error("%s %s, and does not say why", who, does);
    tl_out_note("Ask another one: `teale models` lists the models and who serves them.");
    tl_buf_clear(&text);
    return TL_EXIT_FAILED;
}
