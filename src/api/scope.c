#include "api/scope.h"

#include "api/key.h"
#include "wire/cluster.h"

#include <stdarg.h>
#include <stdio.h>

/* A name in a message is cut to so many bytes. */
#define SHOWN 80

static bool refuse(tl_scope_refusal *no, int status, const char *code, const char *param,
                   const char *fmt, ...) TL_PRINTF(5, 6);
static bool refuse(tl_scope_refusal *no, int status, const char *code, const char *param,
                   const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    *no = (tl_scope_refusal){.status = status, .code = code, .param = param};
    vsnprintf(no->message, sizeof no->message, fmt, args);
    va_end(args);
    return false;
}

/* --- price and name --- */

static bool read_price(tl_slice text, tl_maybe *ret)
{
    int64_t price = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        price = price * 10 + (text.p[i] - '0');
        if (price > TL_NUMBER_EXACT_MAX)
            return false;
    }
    *ret = tl_maybe_of(price);
    return text.n > 0;
}

bool tl_scope_read_headers(const tl_http1_head *head, tl_ask *ask, tl_scope_refusal *no)
{
    size_t prices, names;
    tl_slice price = tl_http1_header_find(head, "x-teale-max-price", &prices);
    tl_slice name = tl_http1_header_find(head, "x-teale-request", &names);
    if (prices > 1 || (prices && !read_price(price, &ask->max_price)))
        return refuse(
            no, 400, "invalid_value", NULL,
            "X-Teale-Max-Price must be one whole number of micro-credits for 1000 tokens, "
            "0 or more");
    if (!names)
        return true;
    if (names == 1 && name.n < sizeof ask->id) {
        memcpy(ask->id, name.p, name.n);
        ask->id[name.n] = 0;
        ask->named = !memchr(name.p, 0, name.n) && tl_cluster_id_is(ask->id);
        if (ask->named)
            return true;
    }
    return refuse(no, 400, "invalid_value", NULL,
                  "X-Teale-Request must be one name of 1 to 64 letters, digits, and . _ -");
}

/* --- the network --- */

/* Has it the form of what names a network: its name, its ID, or the first digits of that? */
static bool may_name_network(const char *text)
{
    /* networks of older versions may have names that begin with a dash */
    return tl_network_name_is(text + strspn(text, "-")) ||
           tl_network_digits_are(tl_slice_str(text));
}

/* Are we in it, now? */
static bool judge(const tl_scope_view *v, const tl_membership *n, const char *param,
                  tl_scope_refusal *no)
{
    char id[TL_NODE_ID_HEX + 1];
    tl_may may = tl_networks_are_we(v->book, &n->id, v->now);
    if (!may)
        return true;
    tl_node_id_write(id, &n->id);
    switch (tl_membership_state_of(v->book, n, v->now)) {
    case TL_MEMBERSHIP_JOINING:
        return refuse(no, 403, "forbidden", param,
                      "network %s (%.16s): this node is still joining it; see teale ptn list",
                      n->name, id);
    case TL_MEMBERSHIP_LEFT:
        return refuse(no, 403, "forbidden", param,
                      "network %s (%.16s): this node has left it; ask an admin for an invite",
                      n->name, id);
    default:
        return refuse(no, 403, "forbidden", param, "network %s (%.16s): %s", n->name, id,
                      tl_may_words(may));
    }
}

static bool ambiguous(tl_slice text, tl_membership *const found[2], const char *param,
                      tl_scope_refusal *no)
{
    char one[TL_NODE_ID_HEX + 1], two[TL_NODE_ID_HEX + 1];
    tl_node_id_write(one, &found[0]->id);
    tl_node_id_write(two, &found[1]->id);
    return refuse(no, 400, "ambiguous_network", param,
                  "\"%.*s\" may mean more than one network; name one by its ID: %s or %s",
                  (int)(text.n < SHOWN ? text.n : SHOWN), (const char *)text.p, one, two);
}

/* One of the three ways in which a network is named. `param` tells which. */
static bool take(tl_ask *ask, const tl_membership *n, const char *param, tl_scope_refusal *no)
{
    if (ask->scoped && !tl_node_id_eq(&ask->network, &n->id))
        return refuse(no, 400, "invalid_value", param,
                      "header, model and key name different networks; name one, or the same one");
    ask->scoped = ask->has_network = true;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): every caller has found it */
    ask->network = n->id;
    return true;
}

/* One of ours, whatever we are in it. False: none, refused. */
static bool look_up(const tl_scope_view *v, tl_slice text, const char *param, tl_membership **ret,
                    tl_scope_refusal *no)
{
    tl_membership *found[2];
    size_t n = tl_networks_find(v->book, text, found);
    const tl_membership *renamed = n ? NULL : tl_networks_once_called(v->book, text);
    if (n > 1)
        return ambiguous(text, found, param, no);
    if (renamed)
        return refuse(no, 403, "forbidden", param,
                      "network \"%.*s\" is called %s here now: write that, or its ID",
                      (int)(text.n < SHOWN ? text.n : SHOWN), (const char *)text.p, renamed->name);
    if (!n)
        return refuse(no, 403, "forbidden", param,
                      "this node is in no private network \"%.*s\"%s; see teale ptn list",
                      (int)(text.n < SHOWN ? text.n : SHOWN), (const char *)text.p,
                      param ? ", and no known node lists a model of the whole name" : "");
    *ret = found[0];
    return true;
}

static bool by_header(const tl_scope_view *v, const tl_http1_head *head, tl_ask *ask,
                      tl_scope_refusal *no)
{
    size_t n;
    tl_membership *m = NULL;
    tl_slice text = tl_http1_header_find(head, "x-teale-ptn", &n);
    if (n > 1)
        return refuse(no, 400, "invalid_value", NULL, "X-Teale-PTN must name one network");
    return !n || (look_up(v, text, NULL, &m, no) && take(ask, m, NULL, no));
}

/* The text behind the last "@", if it is a network's. One that names none of ours was perhaps
 * mistyped, or is the old name of one: a question for members goes to nobody else then. But a whole
 * name that somebody lists, which ends with an "@" and neither an ID nor an old name of ours, is that
 * model's. */
static bool by_model(const tl_scope_view *v, tl_ask *ask, bool *ret_renamed, tl_scope_refusal *no)
{
    tl_membership *found[2], *m = NULL;
    char *at = strrchr(ask->model, '@');
    *ret_renamed = false;
    if (!at)
        return true;
    tl_slice text = tl_slice_str(at + 1);
    if (!tl_networks_find(v->book, text, found) && !tl_networks_once_called(v->book, text) &&
        (!may_name_network(at + 1) ||
         (text.n < TL_NODE_ID_HEX && v->is_listed(v->user, ask->model))))
        return true;
    if (at == ask->model)
        return refuse(no, 400, "invalid_value", "model",
                      "\"%s\" names a network and no model: write MODEL@NETWORK", ask->model);
    if (!look_up(v, text, "model", &m, no) || !take(ask, m, "model", no))
        return false;
    *at = 0;
    *ret_renamed = true;
    return true;
}

static bool bearer(const tl_http1_head *head, size_t *ret_n, tl_slice *ret_key)
{
    tl_slice value = tl_http1_header_find(head, "authorization", ret_n);
    if (*ret_n != 1 || value.n <= 7 ||
        !tl_http1_equals_ignoring_case(tl_slice_of(value.p, 7), "Bearer "))
        return false;
    *ret_key = tl_slice_of(value.p + 7, value.n - 7);
    return true;
}

/* The form of the keys that this program makes. A key of this form that is unknown may have been a
 * network's: what was meant for members alone must not go to all. */
static bool is_our_form(tl_slice key)
{
    if (key.n != 46 || memcmp(key.p, "tl-", 3) != 0)
        return false;
    for (size_t i = 3; i < key.n; i++) {
        uint8_t c = key.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

static bool by_key(const tl_scope_view *v, const tl_http1_head *head, tl_ask *ask,
                   tl_scope_refusal *no)
{
    size_t n;
    tl_slice key;
    bool is_key = bearer(head, &n, &key);
    if (n > 1)
        return refuse(no, 400, "invalid_value", NULL, "there must be one Authorization");
    if (!is_key || tl_api_key_is(v->owner_key, key) || tl_api_key_is(v->client_key, key))
        return true;
    const tl_membership *m = tl_networks_by_key(v->book, key);
    if (m)
        return take(ask, m, NULL, no);
    if (is_our_form(key))
        return refuse(no, 403, "forbidden", NULL,
                      "this API key belongs neither to this node nor to one of its networks (any "
                      "more): take the key that teale ptn key NET or teale env prints");
    return true;
}

bool tl_scope_has_network_key(const tl_networks *book, const tl_http1_head *head)
{
    size_t n;
    tl_slice key;
    return bearer(head, &n, &key) && tl_networks_by_key(book, key);
}

bool tl_scope_find(const tl_scope_view *v, const tl_http1_head *head, tl_ask *ask,
                   bool *ret_renamed, tl_scope_refusal *no)
{
    *ret_renamed = false;
    if (!by_key(v, head, ask, no) || !by_header(v, head, ask, no) ||
        !by_model(v, ask, ret_renamed, no))
        return false;
    return !ask->scoped || judge(v, tl_networks_by_id(v->book, &ask->network), NULL, no);
}
