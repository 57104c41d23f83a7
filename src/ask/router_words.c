/* How a provider is called in messages for people. */
#include "ask/router_state.h"

#include "base/plain.h"

#include <stdio.h>

void tl_route_whose(const tl_attempt *a, char *ret, size_t cap)
{
    char id[TL_NODE_ID_HEX + 1];
    const tl_router *r = a->route->router;
    const tl_peer *p = tl_peer_table_find(r->table, &a->id);
    if (a->local) {
        snprintf(ret, cap, "the model server");
        return;
    }
    char name[TL_PLAIN_QUOTED_MAX];
    const char *alias = r->world.alias_of ? r->world.alias_of(r->user, &a->id) : NULL;
    tl_plain_quote(name, p ? p->name : "");
    tl_node_id_write(id, &a->id);
    if (*name || alias)
        snprintf(ret, cap, "the model server of peer %s%s%s%s (%.16s)", alias ? "[" : "",
                 alias ? alias : "", alias ? (*name ? "] " : "]") : "", name, id);
    else
        snprintf(ret, cap, "the model server of peer %.16s", id);
}

/* The words behind `lead`; NULL: it does not begin so. */
static const char *behind(const char *message, const char *lead)
{
    size_t n = strlen(lead);
    return strncmp(message, lead, n) ? NULL : message + n;
}

/* A friend's trouble must not read like one of this machine: what that node calls "this node" is another one here. */
void tl_route_say_whose(const tl_attempt *a, const char *message, char *ret, size_t cap)
{
    char server[256];
    const char *rest;
    tl_route_whose(a, server, sizeof server);
    const char *peer = a->local ? "" : strstr(server, "peer ");
    if (a->local)
        snprintf(ret, cap, "%s", message);
    else if ((rest = behind(message, "the model server")))
        snprintf(ret, cap, "%s%s", server, rest);
    else if ((rest = behind(message, "this node does not serve the model")))
        snprintf(ret, cap, "%s: it does not serve \"%.100s\"%s", peer, a->model, rest);
    else if ((rest = behind(message, "this node's ")))
        snprintf(ret, cap, "%s: its %s", peer, rest);
    else if ((rest = behind(message, "this node ")))
        snprintf(ret, cap, "%s: it %s", peer, rest);
    else
        snprintf(ret, cap, "%s: %s", peer, message);
}
