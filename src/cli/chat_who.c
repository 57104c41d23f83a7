#include "cli/chat_who.h"

#include "base/plain.h"
#include "cli/daemon.h"

#include <assert.h>

#define ASK_WITHIN (300 * TL_MS) /* a node that is too busy for this is called by its digits */

static_assert(TL_PLAIN_QUOTED_MAX <= TL_CHAT_WHO_MAX, "a display name fits");

static void write_called(char ret[TL_CHAT_WHO_MAX], const char *alias, const char *name)
{
    if (*alias)
        snprintf(ret, TL_CHAT_WHO_MAX, "[%s]", alias);
    else if (*name)
        tl_plain_quote(ret, name);
}

static void ask_name(const tl_chat *c, const char *node, char ret[TL_CHAT_WHO_MAX])
{
    json_t *body = json_pack("{s:s, s:{s:s}}", "verb", "peer.find", "args", "peer", node);
    json_t *found = NULL;
    tl_daemon_ask ask = {
        .method = "POST", .path = "/control/do", .body = body, .timeout = ASK_WITHIN};
    tl_daemon_answer a;
    *ret = 0;
    if (!body)
        return;
    tl_daemon_run(c->cli, &ask, NULL, NULL, &a);
    if (!a.e && a.status == 200 && !tl_json_parse(tl_buf_slice(&a.body), 16, &found, NULL))
        write_called(ret, tl_json_string(found, "alias", ""), tl_json_string(found, "name", ""));
    json_decref(found);
    tl_daemon_answer_clear(&a);
    json_decref(body);
}

const char *tl_chat_who(tl_chat *c, const char *node)
{
    if (strcmp(c->named_node, node) != 0) {
        snprintf(c->named_node, sizeof c->named_node, "%s", node);
        *c->named = 0;
        if (c->look_ups++ < TL_CHAT_LOOK_UPS_MAX)
            ask_name(c, node, c->named);
    }
    return c->named;
}
