#include "io/mdns_host.h"
#include "io/mdns_state.h"

#include <avahi-common/domain.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/timeval.h>
#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Records of others that are kept, for each interface and family; some 300 bytes each. A service is four records. */
#define CACHE_MAX (4 * TL_MDNS_SERVICES_MAX + 4096)

#define SETTLE_MS 200   /* addresses come in groups */
#define LOOK_MS   30000 /* where netlink is denied */

struct tl_mdns_core {
    AvahiServer *server;
    AvahiSEntryGroup *group;
    AvahiSServiceBrowser *browser;
    tl_mdns_address addresses[TL_MDNS_HOST_MAX]; /* that are announced */
    size_t n_addresses;
    int netlink; /* -1: denied */
    AvahiWatch *watch;
    AvahiTimeout *look;
};

static void ignore_log(AvahiLogLevel level, const char *text)
{
    (void)level;
    (void)text; /* what strangers send would fill our log; what matters is in the report */
}

/* --- our addresses --- */

static void look_in(tl_mdns_worker *w, unsigned ms)
{
    struct timeval at;
    avahi_elapse_time(&at, ms, 0);
    w->api->timeout_update(w->core->look, &at);
}

static void on_look(AvahiTimeout *t, void *user)
{
    tl_mdns_worker *w = user;
    tl_mdns_core *c = w->core;
    tl_mdns_address now[TL_MDNS_HOST_MAX];
    size_t n = tl_mdns_host_look(now);
    w->api->timeout_update(t, NULL);
    if (!tl_mdns_host_same(now, n, c->addresses, c->n_addresses)) {
        w->announce_again = true;
        tl_mdns_worker_soon(w);
    }
    if (c->netlink < 0)
        look_in(w, LOOK_MS);
}

static void on_netlink(AvahiWatch *watch, int fd, AvahiWatchEvent event, void *user)
{
    (void)watch;
    (void)event;
    tl_mdns_host_drain(fd);
    look_in(user, SETTLE_MS);
}

static bool watch_addresses(tl_mdns_worker *w)
{
    tl_mdns_core *c = w->core;
    c->netlink = tl_mdns_host_watch();
    c->look = w->api->timeout_new(w->api, NULL, on_look, w);
    if (c->look && c->netlink >= 0)
        c->watch = w->api->watch_new(w->api, c->netlink, AVAHI_WATCH_IN, on_netlink, w);
    else if (c->look)
        look_in(w, LOOK_MS);
    return c->look && (c->watch || c->netlink < 0);
}

/* --- the core --- */

static void on_server(AvahiServer *s, AvahiServerState state, void *user)
{
    (void)s;
    if (state == AVAHI_SERVER_FAILURE)
        tl_mdns_worker_failed(user, "avahi's core failed");
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

/* The core publishes nothing by itself: neither the machine's name, nor what it is, nor its addresses. It would claim
 * for itself that each address has one name alone (the reverse records), and so would an avahi-daemon on this machine
 * that we have no bus to; then each of the two would take ever new names. */
static AvahiServer *new_server(tl_mdns_worker *w, int *ret_error)
{
    AvahiServerConfig config;
    avahi_set_log_function(ignore_log);
    avahi_server_config_init(&config);
    avahi_free(config.host_name);
    config.host_name = avahi_strdup(w->first_name);
    config.publish_hinfo = config.publish_workstation = config.publish_domain = 0;
    config.publish_addresses = 0;
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
    if (c->watch)
        w->api->watch_free(c->watch);
    if (c->look)
        w->api->timeout_free(c->look);
    if (c->netlink >= 0)
        close(c->netlink);
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

/* The host's name goes with the service's: "teale-0123456789abcdef #2" is at teale-0123456789abcdef-2.local. */
static void write_host(const tl_mdns_worker *w, char ret_host[TL_MDNS_NAME_MAX + 8])
{
    char *to = ret_host;
    for (const char *c = w->name; *c; c++)
        if (*c != '#')
            *to++ = *c == ' ' ? '-' : *c;
    memcpy(to, ".local", sizeof ".local");
}

/* Records of names that are ours alone. avahi would probe for them, which takes more than a second; for so long two
 * machines that start together would not find each other. The name shows 64 bits of a key, so it is known to be free
 * (RFC 6762 8.1). If somebody has it all the same, the conflict is noticed when both announce it, and one of the two
 * takes another. */
#define OURS (AVAHI_PUBLISH_UNIQUE | AVAHI_PUBLISH_NO_PROBE)

#define TTL_HOST  120 /* RFC 6762, 10 */
#define TTL_OTHER 4500

/* Takes the record. NULL: out of memory. */
static int add_record(tl_mdns_core *c, int interface, AvahiProtocol by, AvahiPublishFlags flags,
                      AvahiRecord *r, bool whole)
{
    int error = r && whole ? avahi_server_add(c->server, c->group, interface, by, flags, r)
                           : AVAHI_ERR_NO_MEMORY;
    if (r)
        avahi_record_unref(r);
    return error;
}

static AvahiRecord *new_record(const char *name, uint16_t type, uint32_t ttl)
{
    return avahi_record_new_full(name, AVAHI_DNS_CLASS_IN, type, ttl);
}

static int add_address(tl_mdns_core *c, const tl_mdns_address *a, const char *host)
{
    bool v4 = a->addr.family == TL_ADDR_V4;
    AvahiRecord *r = new_record(host, v4 ? AVAHI_DNS_TYPE_A : AVAHI_DNS_TYPE_AAAA, TTL_HOST);
    if (r && v4)
        memcpy(&r->data.a.address, a->addr.bytes, 4);
    else if (r)
        memcpy(&r->data.aaaa.address, a->addr.bytes, 16);
    return add_record(c, a->interface, v4 ? AVAHI_PROTO_INET : AVAHI_PROTO_UNSPEC,
                      OURS | AVAHI_PUBLISH_ALLOW_MULTIPLE, r, true);
}

/* `from` PTR `to`; shared with others. */
static int add_pointer(tl_mdns_core *c, const char *from, const char *to)
{
    AvahiRecord *r = new_record(from, AVAHI_DNS_TYPE_PTR, TTL_OTHER);
    if (r)
        r->data.ptr.name = avahi_strdup(to);
    return add_record(c, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, 0, r, r && r->data.ptr.name);
}

static int add_service(tl_mdns_worker *w, const char *full, const char *host)
{
    AvahiRecord *srv = new_record(full, AVAHI_DNS_TYPE_SRV, TTL_HOST);
    AvahiRecord *txt = new_record(full, AVAHI_DNS_TYPE_TXT, TTL_OTHER);
    if (srv) {
        srv->data.srv.port = w->port;
        srv->data.srv.name = avahi_strdup(host);
    }
    if (txt)
        txt->data.txt.string_list = avahi_string_list_new(w->txt, NULL);
    int error = add_record(w->core, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, OURS, srv,
                           srv && srv->data.srv.name);
    int second = add_record(w->core, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, OURS, txt,
                            txt && txt->data.txt.string_list);
    return error < 0 ? error : second;
}

static int add_all(tl_mdns_worker *w)
{
    static const char type[] = TL_MDNS_SERVICE ".local";
    tl_mdns_core *c = w->core;
    char host[TL_MDNS_NAME_MAX + 8], full[AVAHI_DOMAIN_NAME_MAX];
    write_host(w, host);
    int error = avahi_service_name_join(full, sizeof full, w->name, TL_MDNS_SERVICE, "local");
    for (size_t i = 0; error >= 0 && i < c->n_addresses; i++)
        error = add_address(c, &c->addresses[i], host);
    if (error >= 0)
        error = add_service(w, full, host);
    if (error >= 0)
        error = add_pointer(c, type, full);
    if (error >= 0)
        error = add_pointer(c, "_services._dns-sd._udp.local", type);
    return error < 0 ? error : avahi_s_entry_group_commit(c->group);
}

/* A machine without an address announces nothing, until one comes. */
static bool announce(tl_mdns_worker *w)
{
    tl_mdns_core *c = w->core;
    if (c->group)
        avahi_s_entry_group_reset(c->group);
    c->n_addresses = tl_mdns_host_look(c->addresses);
    if (c->n_addresses == 0)
        return true;
    if (!c->group && !(c->group = avahi_s_entry_group_new(c->server, on_group, w)))
        return false;
    int error = add_all(w);
    if (error == AVAHI_ERR_COLLISION) {
        w->renamed = true;
        tl_mdns_worker_soon(w);
        return true;
    }
    return error >= 0;
}

static bool open_core(tl_mdns_worker *w, char *why, size_t why_size)
{
    int error = AVAHI_ERR_NO_MEMORY;
    w->core = calloc(1, sizeof *w->core);
    if (w->core && watch_addresses(w))
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
