#include "io/mdns_state.h"

#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <avahi-common/timeval.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* When the bus is asked again: after a client that worked, after this; else after TL_MDNS_AGAIN, twice as long each
 * time, up to CLIENT_AGAIN_MOST, for a bus may come later, too; and where it made us wait, only after CLIENT_PATIENCE
 * times as long. */
#define CLIENT_AGAIN      (2 * TL_SEC)
#define CLIENT_AGAIN_MOST (64 * TL_SEC)
#define CLIENT_PATIENCE   60

#define AFRESH_LEAST        (5 * TL_SEC) /* after the begin of a flood; twice as long each time, up to */
#define AFRESH_MOST         (2 * TL_MIN)
#define DAEMON_SERVICES_MAX 256 /* a daemon keeps 4096 records, of all services of all kinds */
#define FLOOD_OVER          (10 * TL_MIN)
#define RENAME_MOST         (60 * TL_SEC)
#define STEP_LEAST          (10 * TL_MS) /* between two steps */

/* --- notes --- */

tl_time tl_mdns_worker_now(void)
{
    return uv_hrtime();
}

static void step_in(tl_mdns_worker *w, tl_time wait)
{
    struct timeval at;
    tl_time ms = wait / TL_MS + (wait % TL_MS != 0);
    avahi_elapse_time(&at, ms < 3600 * 1000 ? (unsigned)ms : 3600 * 1000, 0);
    w->api->timeout_update(w->step, &at);
}

/* A flood makes many of these. */
void tl_mdns_worker_soon(tl_mdns_worker *w)
{
    tl_time now = tl_mdns_worker_now(), at = w->stepped + STEP_LEAST;
    step_in(w, at > now ? at - now : 0);
}

void tl_mdns_worker_failed(tl_mdns_worker *w, const char *why)
{
    w->failed = true;
    snprintf(w->why_failed, sizeof w->why_failed, "%s", why);
    tl_mdns_worker_soon(w);
}

/* --- what backends hear --- */

static tl_addr_family family_of(AvahiProtocol p)
{
    return p == AVAHI_PROTO_INET ? TL_ADDR_V4 : p == AVAHI_PROTO_INET6 ? TL_ADDR_V6 : TL_ADDR_NONE;
}

void tl_mdns_worker_on_browse(tl_mdns_worker *w, AvahiIfIndex interface, AvahiProtocol protocol,
                              AvahiBrowserEvent event, const char *name, const char *domain,
                              int error)
{
    if (event == AVAHI_BROWSER_FAILURE) {
        tl_mdns_worker_failed(w, avahi_strerror(error));
        return;
    }
    tl_addr_family by = family_of(protocol);
    if (name && !strcmp(name, w->name))
        return; /* ours; if it is another's, we take another name, and look again */
    if (by == TL_ADDR_NONE || interface <= 0 || !name || !domain || strcmp(domain, "local") != 0)
        return;
    if (event == AVAHI_BROWSER_NEW)
        tl_mdns_services_on_new(&w->services, interface, by, name);
    else if (event == AVAHI_BROWSER_REMOVE)
        tl_mdns_services_on_gone(&w->services, interface, by, name);
    tl_mdns_worker_soon(w);
}

static tl_addr address_of(const AvahiAddress *address, uint16_t port)
{
    tl_addr a = {.family = family_of(address->proto), .port = port};
    if (a.family == TL_ADDR_V4)
        memcpy(a.bytes, &address->data.ipv4.address, 4);
    else if (a.family == TL_ADDR_V6)
        memcpy(a.bytes, address->data.ipv6.address, 16);
    return a;
}

void tl_mdns_worker_on_resolve(tl_mdns_worker *w, tl_mdns_service *s, AvahiResolverEvent event,
                               const AvahiAddress *address, uint16_t port, AvahiStringList *txt)
{
    tl_time now = tl_mdns_worker_now();
    tl_mdns_worker_soon(w);
    if (event != AVAHI_RESOLVER_FOUND || !address) {
        tl_mdns_services_on_silent(&w->services, s, now);
        return;
    }
    tl_mdns_txt read = {0};
    for (; txt; txt = avahi_string_list_get_next(txt))
        tl_mdns_txt_add(
            &read, tl_slice_of(avahi_string_list_get_text(txt), avahi_string_list_get_size(txt)));
    tl_addr a = address_of(address, port);
    (void)tl_mdns_services_on_answer(&w->services, s, &read, &a, now);
}

void tl_mdns_worker_on_group(tl_mdns_worker *w, AvahiEntryGroupState state, int error)
{
    if (state == AVAHI_ENTRY_GROUP_ESTABLISHED) {
        w->established = true;
        w->renames = 0;
    } else if (state == AVAHI_ENTRY_GROUP_COLLISION) {
        w->renamed = true;
    } else if (state == AVAHI_ENTRY_GROUP_FAILURE) {
        tl_mdns_worker_failed(w, avahi_strerror(error));
    }
    tl_mdns_worker_soon(w);
}

/* --- the table's calls --- */

static void *look(void *user, tl_mdns_service *s)
{
    tl_mdns_worker *w = user;
    return w->active ? w->active->look(w, s) : NULL;
}

static void unlook(void *user, void *lookup)
{
    tl_mdns_worker *w = user;
    w->active->unlook(w, lookup); /* there are look-ups only of the backend that is active */
}

static bool tell(void *user, const tl_node_id *node, const tl_addr *addrs, size_t n)
{
    tl_mdns_worker *w = user;
    return tl_mdns_mail_tell(w->mail, node, addrs, n);
}

/* --- steps --- */

static void close_active(tl_mdns_worker *w)
{
    if (!w->active)
        return;
    tl_mdns_services_forget(&w->services);
    w->active->close(w);
    w->active = NULL;
    w->established = false;
    w->renamed = w->announce_again = w->failed = false;
    w->announce_at = TL_NEVER;
}

/* D-Bus may hold this call for 25 seconds and more, if the daemon or the bus hangs. While it does, nothing is found or
 * announced. So the next try comes only after many times as long. */
static void try_client(tl_mdns_worker *w, tl_time now)
{
    if (w->client && tl_mdns_client_look(w->client) == TL_MDNS_CLIENT_NONE) {
        if (w->active == &tl_mdns_backend_client)
            close_active(w);
        snprintf(w->why_no_daemon, sizeof w->why_no_daemon, "%s", tl_mdns_client_why(w->client));
        tl_mdns_client_free(w->client);
        w->client = NULL;
    }
    if (w->client || now < w->client_again)
        return;
    w->client = tl_mdns_client_new(w);
    tl_time after = tl_mdns_worker_now();
    if (w->client && tl_mdns_client_look(w->client) != TL_MDNS_CLIENT_NONE) {
        w->client_failures = 0;
        w->client_again =
            after + CLIENT_AGAIN; /* if it fails after that, it is tried again at once */
        return;
    }
    tl_time wait = TL_MDNS_AGAIN << (w->client_failures < 3 ? w->client_failures : 3);
    w->client_failures++;
    w->client_again =
        after + tl_time_max(tl_time_min(wait, CLIENT_AGAIN_MOST), CLIENT_PATIENCE * (after - now));
}

static void set_why(tl_mdns_worker *w, const char *why)
{
    snprintf(w->report.why, sizeof w->report.why, "%s", why);
}

static const char *why_no_daemon(const tl_mdns_worker *w)
{
    if (w->client && tl_mdns_client_look(w->client) == TL_MDNS_CLIENT_READY)
        return "avahi-daemon is flooded";
    return w->client ? tl_mdns_client_why(w->client) : w->why_no_daemon;
}

static void open_backend(tl_mdns_worker *w, const tl_mdns_backend *wanted, tl_time now)
{
    char why[sizeof w->report.why] = "";
    snprintf(w->name, sizeof w->name, "%s", w->first_name);
    w->active = wanted;
    w->overflowed = w->services.overflowed;
    if (!wanted->open(w, why, sizeof why)) {
        close_active(w);
        w->open_again = now + TL_MDNS_AGAIN;
        w->report.state = TL_MDNS_FAILED;
        set_why(w, why);
        return;
    }
    bool daemon = wanted == &tl_mdns_backend_client;
    w->report.state = daemon ? TL_MDNS_DAEMON : TL_MDNS_EMBEDDED;
    set_why(w, daemon ? "" : why_no_daemon(w));
}

/* The daemon where it runs, the core else. One of them alone is open at a time: two responders of one machine would
 * fight for the name. */
static void choose_backend(tl_mdns_worker *w, tl_time now)
{
    bool ready =
        w->client && tl_mdns_client_look(w->client) == TL_MDNS_CLIENT_READY && now >= w->core_until;
    bool busy = w->client && tl_mdns_client_look(w->client) == TL_MDNS_CLIENT_BUSY;
    const tl_mdns_backend *wanted = ready ? &tl_mdns_backend_client : &tl_mdns_backend_core;
    if (w->active && w->failed) {
        w->report.state = TL_MDNS_FAILED;
        set_why(w, w->why_failed);
        close_active(w);
        w->open_again = now + TL_MDNS_AGAIN;
    }
    if (busy) {
        if (w->active == &tl_mdns_backend_core)
            close_active(w); /* the daemon will be ready in a moment */
        return;
    }
    if (w->active == wanted)
        return;
    close_active(w);
    if (now >= w->open_again)
        open_backend(w, wanted, now);
}

/* Somebody who takes each of our names at once makes us try ever more seldom. */
static void announce(tl_mdns_worker *w, tl_time now)
{
    if (!w->active)
        return;
    if (w->renamed) {
        char *other = avahi_alternative_service_name(w->name);
        if (other && strlen(other) < sizeof w->name)
            snprintf(w->name, sizeof w->name, "%s", other);
        avahi_free(other);
        tl_time wait = w->renames < 6 ? TL_SEC << w->renames : RENAME_MOST;
        w->announce_at = now + (w->renames > 0 ? tl_time_min(wait, RENAME_MOST) : 0);
        w->renames++;
        w->report.renamed++;
    } else if (w->announce_again) {
        w->announce_at = now;
    }
    if (w->renamed || w->announce_again)
        w->established = false;
    w->renamed = w->announce_again = false;
    if (now < w->announce_at)
        return;
    w->announce_at = TL_NEVER;
    if (!w->active->announce(w) || (w->renames > 0 && !w->active->browse(w)))
        tl_mdns_worker_failed(w, "it refused our announcement");
}

/* A flood of services fills the cache of avahi, too, and then nobody new is heard of until its records end, which may be
 * an hour. The core forgets them by being made anew. A daemon cannot be helped, and the core takes its place for a
 * while. Whoever is there answers the first questions at once, so an honest node is found however long the flood. */
static void tend_flood(tl_mdns_worker *w, tl_time now)
{
    bool daemon = w->active == &tl_mdns_backend_client;
    bool flooded =
        w->overflowed != w->services.overflowed || (daemon && w->services.n > DAEMON_SERVICES_MAX);
    if (!w->active || (!flooded && !w->flooded))
        return;
    if (!w->flooded) {
        bool long_ago = now > w->afresh_at + FLOOD_OVER;
        w->afresh_wait = long_ago ? AFRESH_LEAST : tl_time_min(2 * w->afresh_wait, AFRESH_MOST);
        w->afresh_at = now + w->afresh_wait;
        w->flooded = true;
    }
    if (now < w->afresh_at)
        return;
    w->flooded = false;
    if (daemon)
        w->core_until = now + FLOOD_OVER;
    close_active(w);
    open_backend(w, &tl_mdns_backend_core, now);
}

static void report(tl_mdns_worker *w)
{
    w->report.services = w->services.n;
    w->report.found = w->services.found;
    w->report.malformed = w->services.malformed;
    w->report.silent = w->services.silent;
    w->report.dropped = w->services.dropped;
    snprintf(w->report.name, sizeof w->report.name, "%s", w->established ? w->name : "");
    tl_mdns_mail_report(w->mail, &w->report);
}

static tl_time next_step(const tl_mdns_worker *w, tl_time services, tl_time now)
{
    tl_time next = services;
    if (!w->client)
        next = tl_time_min(next, w->client_again);
    if (!w->active && w->open_again > 0)
        next = tl_time_min(next, w->open_again);
    if (w->active && w->flooded)
        next = tl_time_min(next, w->afresh_at);
    if (now < w->core_until)
        next = tl_time_min(next, w->core_until);
    return tl_time_min(next, w->announce_at);
}

static void step(tl_mdns_worker *w)
{
    w->stepped = tl_mdns_worker_now();
    try_client(w, tl_mdns_worker_now());
    tl_time now = tl_mdns_worker_now();
    choose_backend(w, now);
    announce(w, now);
    tend_flood(w, now);
    tl_time next = next_step(w, tl_mdns_services_run(&w->services, now), now);
    report(w);
    tl_time after = tl_mdns_worker_now();
    if (w->failed)
        next = after + STEP_LEAST;
    if (next != TL_NEVER)
        step_in(w, next > after ? next - after : 0);
}

static void on_step(AvahiTimeout *t, void *user)
{
    tl_mdns_worker *w = user;
    w->api->timeout_update(t, NULL);
    step(w);
}

/* --- the thread --- */

static void wake(void *thread)
{
    avahi_simple_poll_wakeup(thread);
}

static void look_at_wishes(tl_mdns_worker *w)
{
    size_t n;
    tl_node_id *preferred = tl_mdns_mail_take_preferred(w->mail, &n);
    if (!preferred)
        return;
    tl_mdns_services_prefer(&w->services, preferred, n);
    free(preferred);
    tl_mdns_worker_soon(w);
}

static void run(tl_mdns_worker *w, AvahiSimplePoll *poll)
{
    static const tl_mdns_services_calls calls = {look, unlook, tell};
    tl_mdns_services_init(&w->services, &w->us, w->rand, &calls, w, tl_mdns_worker_now());
    w->announce_at = TL_NEVER;
    w->api = avahi_simple_poll_get(poll);
    w->step = w->api->timeout_new(w->api, NULL, on_step, w);
    tl_mdns_mail_listen(w->mail, wake, poll);
    if (w->step)
        tl_mdns_worker_soon(w);
    while (!tl_mdns_mail_stopped(w->mail) && avahi_simple_poll_iterate(poll, -1) == 0)
        look_at_wishes(w);
    close_active(w);
    tl_mdns_client_free(w->client);
    if (w->step)
        w->api->timeout_free(w->step);
}

void *tl_mdns_worker_run(void *user)
{
    tl_mdns_worker *w = user;
    AvahiSimplePoll *poll = avahi_simple_poll_new();
    if (poll)
        run(w, poll);
    tl_mdns_mail_listen(w->mail, NULL, NULL);
    if (poll)
        avahi_simple_poll_free(poll);
    if (tl_mdns_mail_end(w->mail))
        tl_mdns_mail_free(w->mail);
    free(w);
    return NULL;
}
