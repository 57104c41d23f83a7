#include "io/mdns_state.h"

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-client/publish.h>
#include <avahi-common/error.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

struct tl_mdns_client {
    tl_mdns_worker *w;
    AvahiClient *avahi; /* NULL: no bus */
    AvahiEntryGroup *group;
    AvahiServiceBrowser *browser;
    int (*free_group)(AvahiEntryGroup *);
    tl_mdns_client_state state;
    char why[80];
};

/* --- two libraries, one name ---
 *
 * libavahi-client and libavahi-core both export avahi_entry_group_free, each for groups of its own. In one process all
 * calls, also those inside of the libraries, go to the first one: the core's (meson.build puts it first). So the
 * client's is looked up in its library, and each group is freed before avahi_client_free would do it. */

typedef int (*group_free)(AvahiEntryGroup *);

static group_free find_group_free(void)
{
    Dl_info info;
    group_free found = NULL;
    if (!dladdr(__extension__(const void *) avahi_client_new, &info))
        return NULL;
    void *library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (library) {
        *(void **)&found = dlsym(library, "avahi_entry_group_free");
        dlclose(library); /* it stays: the program itself needs it */
    }
    return found;
}

static void free_group(tl_mdns_client *c)
{
    if (c->group)
        c->free_group(c->group);
    c->group = NULL;
}

/* --- the daemon --- */

static void on_client(AvahiClient *avahi, AvahiClientState state, void *user)
{
    tl_mdns_client *c = user;
    tl_mdns_client_state before = c->state;
    switch (state) {
    case AVAHI_CLIENT_S_RUNNING: c->state = TL_MDNS_CLIENT_READY; break;
    case AVAHI_CLIENT_S_REGISTERING:
    case AVAHI_CLIENT_S_COLLISION: c->state = TL_MDNS_CLIENT_BUSY; break;
    case AVAHI_CLIENT_CONNECTING:
        c->state = TL_MDNS_CLIENT_WAITING;
        snprintf(c->why, sizeof c->why, "avahi-daemon does not run");
        break;
    case AVAHI_CLIENT_FAILURE:
    default:
        c->state = TL_MDNS_CLIENT_NONE;
        snprintf(c->why, sizeof c->why, "avahi-daemon: %s",
                 avahi_strerror(avahi_client_errno(avahi)));
        break;
    }
    /* the machine's name is another now, and the service has to name it */
    if (c->state == TL_MDNS_CLIENT_READY && before == TL_MDNS_CLIENT_BUSY && c->group)
        c->w->announce_again = true;
    tl_mdns_worker_soon(c->w);
}

tl_mdns_client *tl_mdns_client_new(tl_mdns_worker *w)
{
    int error = 0;
    tl_mdns_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->w = w;
    c->free_group = find_group_free();
    if (!c->free_group) {
        snprintf(c->why, sizeof c->why, "libavahi-client is not the library that is expected");
        return c;
    }
    c->avahi = avahi_client_new(w->api, AVAHI_CLIENT_NO_FAIL | AVAHI_CLIENT_IGNORE_USER_CONFIG,
                                on_client, c, &error);
    if (!c->avahi) {
        c->state = TL_MDNS_CLIENT_NONE;
        snprintf(c->why, sizeof c->why, "avahi-daemon: %s", avahi_strerror(error));
    }
    return c;
}

void tl_mdns_client_free(tl_mdns_client *c)
{
    if (!c)
        return;
    free_group(c);
    if (c->avahi)
        avahi_client_free(c->avahi); /* with all other objects that came of it */
    free(c);
}

tl_mdns_client_state tl_mdns_client_look(const tl_mdns_client *c)
{
    return c->state;
}

const char *tl_mdns_client_why(const tl_mdns_client *c)
{
    return c->why;
}

/* --- announcing --- */

static void on_group(AvahiEntryGroup *g, AvahiEntryGroupState state, void *user)
{
    tl_mdns_client *c = user;
    if (c->w->active != &tl_mdns_backend_client)
        return;
    tl_mdns_worker_on_group(c->w, state, avahi_client_errno(avahi_entry_group_get_client(g)));
}

static bool announce(tl_mdns_worker *w)
{
    tl_mdns_client *c = w->client;
    if (c->group && avahi_entry_group_reset(c->group) < 0)
        return false;
    if (!c->group && !(c->group = avahi_entry_group_new(c->avahi, on_group, c)))
        return false;
    int error =
        avahi_entry_group_add_service(c->group, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, 0, w->name,
                                      TL_MDNS_SERVICE, NULL, NULL, w->port, w->txt, NULL);
    if (error == AVAHI_ERR_COLLISION) {
        w->renamed = true;
        tl_mdns_worker_soon(w);
        return true;
    }
    return error >= 0 && avahi_entry_group_commit(c->group) >= 0;
}

/* --- looking --- */

static void on_browse(AvahiServiceBrowser *b, AvahiIfIndex interface, AvahiProtocol protocol,
                      AvahiBrowserEvent event, const char *name, const char *type,
                      const char *domain, AvahiLookupResultFlags flags, void *user)
{
    tl_mdns_client *c = user;
    (void)type;
    (void)flags;
    tl_mdns_worker_on_browse(c->w, interface, protocol, event, name, domain,
                             avahi_client_errno(avahi_service_browser_get_client(b)));
}

static bool browse(tl_mdns_worker *w)
{
    tl_mdns_client *c = w->client;
    if (c->browser)
        avahi_service_browser_free(c->browser);
    c->browser = avahi_service_browser_new(c->avahi, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                           TL_MDNS_SERVICE, NULL, 0, on_browse, c);
    return c->browser;
}

static void on_resolve(AvahiServiceResolver *r, AvahiIfIndex interface, AvahiProtocol protocol,
                       AvahiResolverEvent event, const char *name, const char *type,
                       const char *domain, const char *host, const AvahiAddress *address,
                       uint16_t port, AvahiStringList *txt, AvahiLookupResultFlags flags,
                       void *user)
{
    (void)r;
    (void)interface;
    (void)protocol;
    (void)name;
    (void)type;
    (void)domain;
    (void)host;
    (void)flags;
    tl_mdns_service *s = user;
    tl_mdns_worker_on_resolve(s->user, s, event, address, port, txt);
}

static void *look(void *user, tl_mdns_service *s)
{
    tl_mdns_worker *w = user;
    AvahiProtocol by = s->by == TL_ADDR_V4 ? AVAHI_PROTO_INET : AVAHI_PROTO_INET6;
    return avahi_service_resolver_new(w->client->avahi, s->interface, by, s->name, TL_MDNS_SERVICE,
                                      NULL, by, 0, on_resolve, s);
}

static void unlook(void *user, void *lookup)
{
    (void)user;
    avahi_service_resolver_free(lookup);
}

static bool open_client(tl_mdns_worker *w, char *why, size_t why_size)
{
    if (browse(w) && announce(w))
        return true;
    snprintf(why, why_size, "avahi-daemon: %s",
             avahi_strerror(avahi_client_errno(w->client->avahi)));
    return false;
}

static void close_client(tl_mdns_worker *w)
{
    tl_mdns_client *c = w->client;
    if (c->browser)
        avahi_service_browser_free(c->browser);
    c->browser = NULL;
    free_group(c);
}

const tl_mdns_backend tl_mdns_backend_client = {open_client, close_client, announce,
                                                browse,      look,         unlook};
