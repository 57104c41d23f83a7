/* mdns_state.h - the thread behind io/mdns: the worker, and its two backends. No other room may include it. */
#ifndef TL_IO_MDNS_STATE_H
#define TL_IO_MDNS_STATE_H

#include "io/mdns_mail.h"
#include "io/mdns_services.h"

#include <avahi-common/address.h>
#include <avahi-common/defs.h>
#include <avahi-common/strlst.h>
#include <avahi-common/watch.h>

typedef struct tl_mdns_worker tl_mdns_worker;

/* How nodes are announced and found. All is done on the worker's thread. Callbacks of avahi end look-ups, and nothing
 * else: for all else they note what happened, and the worker's next step acts on it. */
typedef struct {
    /* Begins to look, and to announce as tl_mdns_backend_announce does. False, with `why`: it cannot. */
    bool (*open)(tl_mdns_worker *w, char *why, size_t why_size);
    void (*close)(tl_mdns_worker *w); /* says goodbye; all look-ups were ended before */
    /* Announces us anew under the worker's name. False: it cannot. */
    bool (*announce)(tl_mdns_worker *w);
    /* Has each service that is there told as if it were new. */
    bool (*browse)(tl_mdns_worker *w);
    void *(*look)(void *user, tl_mdns_service *s); /* `user` is the worker */
    void (*unlook)(void *user, void *lookup);
} tl_mdns_backend;

extern const tl_mdns_backend tl_mdns_backend_client, tl_mdns_backend_core;

/* --- avahi-daemon's client (mdns_client.c) --- */
typedef enum {
    TL_MDNS_CLIENT_NONE,    /* no bus, or it failed: it must be made anew */
    TL_MDNS_CLIENT_WAITING, /* the bus is there; we are told when the daemon comes */
    TL_MDNS_CLIENT_BUSY,    /* the daemon is there, and has no name yet */
    TL_MDNS_CLIENT_READY
} tl_mdns_client_state;
typedef struct tl_mdns_client tl_mdns_client;
/* Asks the bus, and waits for its answer: as long as D-Bus has patience. NULL: out of memory. */
tl_mdns_client *tl_mdns_client_new(tl_mdns_worker *w);
void tl_mdns_client_free(tl_mdns_client *c);
tl_mdns_client_state tl_mdns_client_look(const tl_mdns_client *c);
const char *tl_mdns_client_why(const tl_mdns_client *c);

typedef struct tl_mdns_core tl_mdns_core;

struct tl_mdns_worker {
    const AvahiPoll *api;
    AvahiTimeout *step;
    tl_mdns_mail *mail;
    tl_mdns_services services;
    tl_mdns_report report;
    tl_node_id us;
    tl_rand rand;
    uint16_t port;
    char first_name[TL_MDNS_NAME_SIZE];
    char name[TL_MDNS_NAME_MAX]; /* under which we are announced, or shall be */
    char txt[TL_MDNS_TXT_SIZE];
    const tl_mdns_backend *active; /* NULL: none */
    tl_mdns_client *client;
    tl_mdns_core *core;
    tl_time stepped;                  /* when the last step began */
    tl_time client_again, open_again; /* not earlier */
    unsigned client_failures;         /* in a row */
    tl_time announce_at;              /* TL_NEVER: all is said */
    unsigned renames;                 /* in a row */
    uint64_t overflowed;              /* of the services, when the last flood was dealt with */
    bool flooded;
    tl_time afresh_at;   /* of a flood: then all begins anew */
    tl_time afresh_wait; /* from a flood's begin to that */
    tl_time core_until;  /* the daemon was flooded: until then it is not used */
    bool established;    /* the network accepted our name */
    bool renamed;        /* somebody else has it */
    bool announce_again; /* the machine's own name changed */
    bool failed;         /* the active backend */
    char why_failed[80], why_no_daemon[80];
};

/* Notes of backends, to be acted on in the next step. */
void tl_mdns_worker_soon(tl_mdns_worker *w);
void tl_mdns_worker_failed(tl_mdns_worker *w, const char *why);
tl_time tl_mdns_worker_now(void);

/* What both backends' callbacks say, in avahi's words. `domain` and `flags` as avahi gives them. */
void tl_mdns_worker_on_browse(tl_mdns_worker *w, AvahiIfIndex interface, AvahiProtocol protocol,
                              AvahiBrowserEvent event, const char *name, const char *domain,
                              int error);
void tl_mdns_worker_on_resolve(tl_mdns_worker *w, tl_mdns_service *s, AvahiResolverEvent event,
                               const AvahiAddress *address, uint16_t port, AvahiStringList *txt);
void tl_mdns_worker_on_group(tl_mdns_worker *w, AvahiEntryGroupState state, int error);

/* The thread, from its begin to its end. `user` is a tl_mdns_worker, whom it frees. */
void *tl_mdns_worker_run(void *user);

#endif
