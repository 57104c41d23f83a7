#include "node/verbs.h"
#include "node/names.h"

#include "node/reach.h"
#include "node/state.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* Every verb, in the order of its name. */
static const struct {
    const char *name;
    tl_verb_fn handle;
} verbs[] = {
    {"alias.list", tl_verb_alias_list},
    {"alias.remove", tl_verb_alias_remove},
    {"alias.set", tl_verb_alias_set},
    {"backup.create", tl_verb_backup_create},
    {"backup.drop", tl_verb_backup_drop},
    {"backup.shown", tl_verb_backup_shown},
    {"backup.status", tl_verb_backup_status},
    {"backup.takeover", tl_verb_backup_takeover},
    {"dht.get", tl_node_do_dht_get},
    {"known", tl_verb_known},
    {"pause", tl_node_do_pause},
    {"peer.find", tl_verb_peer_find},
    {"prepare", tl_node_do_prepare},
    {"ptn.create", tl_verb_ptn_create},
    {"ptn.export_ca", tl_verb_ptn_export_ca},
    {"ptn.import_ca", tl_verb_ptn_import_ca},
    {"ptn.invite", tl_verb_ptn_invite},
    {"ptn.invites", tl_verb_ptn_invites},
    {"ptn.join", tl_verb_ptn_join},
    {"ptn.key", tl_verb_ptn_key},
    {"ptn.leave", tl_verb_ptn_leave},
    {"ptn.list", tl_verb_ptn_list},
    {"ptn.members", tl_verb_ptn_members},
    {"ptn.price", tl_verb_ptn_price},
    {"ptn.promote", tl_verb_ptn_promote},
    {"ptn.rename", tl_verb_ptn_rename},
    {"ptn.renew", tl_verb_ptn_renew},
    {"ptn.revoke", tl_verb_ptn_revoke},
    {"ptn.show", tl_verb_ptn_show},
    {"ptn.withdraw", tl_verb_ptn_withdraw},
    {"relay.status", tl_node_do_relay_status},
    {"resume", tl_node_do_resume},
    {"serving", tl_verb_serving},
    {"wallet.audit", tl_verb_wallet_audit},
    {"wallet.history", tl_verb_wallet_history},
    {"wallet.settle", tl_verb_wallet_settle},
    {"wallet.show", tl_verb_wallet_show},
    {"why.model", tl_node_why_model},
    {NULL, NULL},
};

/* How a command exits and how HTTP answers; the last one stands for every code that is not here. */
static const struct {
    const char *code;
    int exit, status;
} failures[] = {
    {"E_INVALID", 2, 400},
    {"E_AMBIGUOUS", 2, 400},
    {"E_INVITE_MALFORMED", 2, 400},
    {"E_NOT_FOUND", 1, 404},
    {"E_RECORD", 1, 502},
    {"E_EXISTS", 1, 409},
    {"E_TOO_MUCH", 1, 400},
    {"E_SETTLED", 1, 409},
    {"E_TOO_FEW", 1, 409},
    {"E_ELSEWHERE", 1, 409},
    {"E_SETTING", 1, 409},
    {"E_NOT_ADMIN", 5, 403},
    {"E_NOT_CA", 5, 403},
    {"E_DENIED", 5, 403},
    {"E_REVOKED", 5, 403},
    {"E_INVITE_ALTERED", 5, 403},
    {"E_INVITE_EXPIRED", 5, 403},
    {"E_INVITE_USED", 5, 409},
    {"E_INVITE_WITHDRAWN", 5, 403},
    {"E_INVITE_OTHER_NODE", 5, 403},
    {"E_INVITE_FOREIGN", 5, 403},
    {"E_AWAY", 4, 504},
    {"E_TIMEOUT", 6, 504},
    {"E_BUSY", 1, 429},
    {"E_STORE", 1, 503},
    {"E_UNAVAILABLE", 1, 503},
    {"E_INTERNAL", 1, 500},
};

/*  WAITING --the handler answers--> ANSWERED --tl_calls_run--> freed */
struct tl_call {
    tl_node *node;
    tl_node_done on_done; /* NULL: the caller is gone */
    void *user;
    void (*on_drop)(void *user); /* NULL: not wanted, or told */
    void *drop_user;
    bool answered;
    json_t *result; /* NULL: failed */
    size_t failure; /* of `failures` */
    char message[512];
    tl_call *prev, *next;
};

tl_verb_fn tl_verb_find(const char *name)
{
    for (size_t i = 0; verbs[i].name; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].handle;
    return NULL;
}

tl_err tl_node_call(tl_node *n, const char *verb, const json_t *args, tl_node_done on_done,
                    void *user, tl_call **ret_call)
{
    size_t open;
    tl_call *call;
    tl_verb_fn handle = tl_verb_find(verb);
    DL_COUNT(n->calls, call, open);
    if (!handle)
        return TL_ERR_NOT_FOUND;
    if (open >= TL_CALLS_MAX)
        return TL_ERR_BUSY;
    if (!(call = calloc(1, sizeof *call)))
        return TL_ERR_NOMEM;
    *call = (tl_call){.node = n, .on_done = on_done, .user = user};
    DL_APPEND(n->calls, call);
    *ret_call = call;
    if (n->stage == TL_NODE_RUNNING)
        handle(n, args, call);
    else
        tl_call_fail(call, "E_UNAVAILABLE", "the node is shutting down, or has not started");
    return TL_OK;
}

void tl_node_uncall(tl_call *call)
{
    void (*on_drop)(void *user) = call->on_drop;
    call->on_done = NULL;
    call->on_drop = NULL;
    if (on_drop && !call->answered)
        on_drop(call->drop_user);
}

void tl_call_on_drop(tl_call *call, void (*on_drop)(void *user), void *user)
{
    call->on_drop = on_drop;
    call->drop_user = user;
}

static void answered(tl_call *call)
{
    assert(!call->answered);
    call->answered = true;
    tl_node_wake(call->node);
}

void tl_call_ok(tl_call *call, json_t *result)
{
    if (!result) {
        tl_call_fail(call, "E_INTERNAL", "the node is out of memory");
        return;
    }
    call->result = tl_node_add_aliases_inside(call->node, result);
    answered(call);
}

void tl_call_fail(tl_call *call, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(call->message, sizeof call->message, fmt, args);
    va_end(args);
    size_t last = sizeof failures / sizeof *failures - 1;
    while (call->failure < last && strcmp(failures[call->failure].code, code) != 0)
        call->failure++;
    answered(call);
}

static tl_call *next_answered(const tl_node *n)
{
    tl_call *call;
    DL_FOREACH (n->calls, call)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (call->answered)
            return call;
    return NULL;
}

static void free_call(tl_call *call)
{
    DL_DELETE(call->node->calls, call);
    json_decref(call->result);
    free(call);
}

void tl_calls_run(tl_node *n)
{
    for (tl_call *call; (call = next_answered(n));) {
        tl_node_done on_done = call->on_done;
        void *user = call->user;
        tl_node_failure f = {failures[call->failure].code, failures[call->failure].exit,
                             failures[call->failure].status, call->message};
        call->on_done = NULL; /* from inside it the caller may give up what is over already */
        if (on_done)
            on_done(user, call->result, call->result ? NULL : &f);
        free_call(call);
    }
}

void tl_calls_end(tl_node *n)
{
    tl_call *call;
    DL_FOREACH (n->calls, call)
        if (!call->answered) {
            tl_node_done on_done = call->on_done;
            tl_node_failure f = {"E_UNAVAILABLE", 1, 503, "the node is shutting down"};
            call->on_done = NULL; /* the handler's own answer comes too late */
            if (on_done)
                on_done(call->user, NULL, &f);
        }
}

void tl_calls_clear(tl_node *n)
{
    while (n->calls)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        free_call(n->calls);
}
