#include "io/mdns_state.h"

#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>

#include <stdio.h>
#include <stdlib.h>

/* Records of others that are kept, for each interface and family; some 300 bytes each. A service is four records. */
#define CACHE_MAX (4 * TL_MDNS_SERVICES_MAX + 4096)

struct tl_mdns_core {
    AvahiServer *server;
    AvahiSEntryGroup *group;
    AvahiSServiceBrowser *browser;
    bool host_renamed;
};

static void ignore_log(AvahiLogLevel level, const char *text)
{
    (void)level;
    (void)text; /* what strangers send would fill our log; what matters is in the report */
}

static void on_server(AvahiServer *s, AvahiServerState state, void *user)
{
    tl_mdns_worker *w = user;
    (void)s;
    if (state == AVAHI_SERVER_FAILURE) {
        tl_mdns_worker_failed(w, "avahi's core failed");
    } else if (state == AVAHI_SERVER_COLLISION) {
        w->core->host_renamed = w->announce_again = true;
        tl_mdns_worker_soon(w);
    } else if (state == AVAHI_SERVER_RUNNING && w->core->server) {
        w->announce_again = true;
        tl_mdns_worker_soon(w);
    }
}

static void on_group(AvahiServer *s, AvahiSEntryGroup *g, AvahiEntryGroupState state, void *user)
{
    (void)g;
    tl_mdns_worker_on_group(user, state, s ? avahi_server_errno(s) : AVAHI_ERR_FAILURE);
}

static void on_browse(AvahiSServiceBrowser *b, AvahiIfIndex interface, AvahiProtocol protocol,
                      AvahiBrowserEvent event, const char *name, const char *type,
                      const char *domain, AvahiLookupResultFlags flags, void *user)
{
    (void)b;
    (void)type;
    (void)flags;
    tl_mdns_worker_on_browse(user, interface, protocol, event, name, domain, AVAHI_ERR_FAILURE);
}

/* The machine's own name and what it is are told to nobody: avahi would say both. */
static AvahiServer *new_server(tl_mdns_worker *w, int *ret_error)
{
    AvahiServerConfig config;
    avahi_set_log_function(ignore_log);
    avahi_server_config_init(&config);
    avahi_free(config.host_name);
    config.host_name = avahi_strdup(w->first_name);
    config.publish_hinfo = config.publish_workstation = config.publish_domain = 0;
    config.enable_wide_area = 0;
    config.n_cache_entries_max = CACHE_MAX;
    AvahiServer *s = avahi_server_new(w->api, &config, on_server, w, ret_error);
    avahi_server_config_free(&config);
    return s;
}

static void close_core(tl_mdns_worker *w)
{
    tl_mdns_core *c = w->core;
    if (!c)
        return;
    if (c->browser)
        avahi_s_service_browser_free(c->browser);
    if (c->group)
        avahi_s_entry_group_free(c->group);
    if (c->server)
        avahi_server_free(c->server);
    free(c);
    w->core = NULL;
}

static bool browse(tl_mdns_worker *w)
{
    tl_mdns_core *c = w->core;
    if (c->browser)
        avahi_s_service_browser_free(c->browser);
    c->browser = avahi_s_service_browser_new(c->server, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                             TL_MDNS_SERVICE, NULL, 0, on_browse, w);
    return c->browser;
}

static bool rename_host(tl_mdns_core *c)
{
    char *other = avahi_alternative_host_name(avahi_server_get_host_name(c->server));
    bool ok = other && avahi_server_set_host_name(c->server, other) >= 0;
    avahi_free(other);
    c->host_renamed = false;
    return ok;
}

/* Until the core has a host name that is its own, it announces nothing; then on_server comes again. */
static bool announce(tl_mdns_worker *w)
{
    tl_mdns_core *c = w->core;
    if (c->group)
        avahi_s_entry_group_reset(c->group);
    if (c->host_renamed && !rename_host(c))
        return false;
    if (avahi_server_get_state(c->server) != AVAHI_SERVER_RUNNING)
        return true;
    if (!c->group && !(c->group = avahi_s_entry_group_new(c->server, on_group, w)))
        return false;
    int error =
        avahi_server_add_service(c->server, c->group, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, 0,
                                 w->name, TL_MDNS_SERVICE, NULL, NULL, w->port, w->txt, NULL);
    if (error == AVAHI_ERR_COLLISION) {
        w->renamed = true;
        tl_mdns_worker_soon(w);
        return true;
    }
    return error >= 0 && avahi_s_entry_group_commit(c->group) >= 0;
}

static bool open_core(tl_mdns_worker *w, char *why, size_t why_size)
{
    int error = AVAHI_ERR_NO_MEMORY;
    w->core = calloc(1, sizeof *w->core);
    if (w->core)
        w->core->server = new_server(w, &error);
    if (!w->core || !w->core->server) {
        snprintf(why, why_size, "avahi's core: %s", avahi_strerror(error));
        return false;
    }
    if (!browse(w) || !announce(w)) {
        snprintf(why, why_size, "avahi's core: %s",
                 avahi_strerror(avahi_server_errno(w->core->server)));
        return false;
    }
    return true;
}

static void on_resolve(AvahiSServiceResolver *r, AvahiIfIndex interface, AvahiProtocol protocol,
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
    return avahi_s_service_resolver_new(w->core->server, s->interface, by, s->name, TL_MDNS_SERVICE,
                                        NULL, by, 0, on_resolve, s);
}

static void unlook(void *user, void *lookup)
{
    (void)user;
    avahi_s_service_resolver_free(lookup);
}

const tl_mdns_backend tl_mdns_backend_core = {open_core, close_core, announce,
                                              browse,    look,       unlook};
