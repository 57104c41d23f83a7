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

/* A friend's trouble must not read like one of this machine. */
void tl_route_say_whose(const tl_attempt *a, const char *message, char *ret, size_t cap)
{
    static const char its_server[] = "the model server";
    size_t n = sizeof its_server - 1;
    char server[256];
    tl_route_whose(a, server, sizeof server);
    if (a->local)
        snprintf(ret, cap, "%s", message);
    else if (strncmp(message, its_server, n) == 0)
        snprintf(ret, cap, "%s%s", server, message + n);
    else
        snprintf(ret, cap, "%s: %s", strstr(server, "peer "), message);
}
