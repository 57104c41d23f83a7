/* Names that clients give to their requests: each is worked at once in a day. */
#include "credit/credit_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* Seconds. An older name leaves memory where a new one has no place: the store knows it for the whole day,
 * and refuses it as well. So no client takes all places for longer, and the store keeps at most as many
 * names as come in a day at TL_BOOK_RECENT_MAX an hour: 3 million. */
#define HELD      3600
/* Of all that are kept, so many belong to one scope: neither the owner's programs nor those with the key of
 * one network take the places of all others. */
#define SCOPE_MAX (TL_BOOK_RECENT_MAX / 2)

struct tl_credit_naming {
    tl_credit *credit;
    char request[TL_REQUEST_ID_MAX];
    void (*on_named)(void *user, tl_err e); /* NULL: nobody waits any more */
    void *user;
};

static tl_name_scope *find_scope(const tl_credit *c, const tl_node_id *id)
{
    tl_name_scope *scope;
    HASH_FIND(hh, c->name_scopes, id, sizeof *id, scope);
    return scope;
}

/* NULL: out of memory. */
static tl_name_scope *scope_get(tl_credit *c, const tl_node_id *id)
{
    tl_name_scope *scope = find_scope(c, id);
    if (scope || !(scope = calloc(1, sizeof *scope)))
        return scope;
    scope->id = *id;
    if (!TL_TABLE_ADD(hh, c->name_scopes, id, sizeof scope->id, scope)) {
        free(scope);
        return NULL;
    }
    return scope;
}

static void leave_scope(tl_credit *c, tl_name *n)
{
    tl_name_scope *scope = n->scope;
    if (!scope)
        return;
    DL_DELETE2(scope->by_age, n, scope_prev, scope_next);
    if (--scope->n == 0) {
        HASH_DELETE(hh, c->name_scopes, scope);
        free(scope);
    }
}

static void drop_name(tl_credit *c, tl_name *n)
{
    leave_scope(c, n);
    HASH_DELETE(hh, c->names, n);
    DL_DELETE(c->names_by_age, n);
    free(n);
}

static tl_name *find_name(const tl_credit *c, const char *request)
{
    char key[TL_REQUEST_ID_MAX] = "";
    tl_name *n;
    snprintf(key, sizeof key, "%s", request);
    HASH_FIND(hh, c->names, key, sizeof key, n);
    return n;
}

/* False: as many names as are kept, in all or of the scope, were given within an hour. */
static bool make_place(tl_credit *c, const tl_node_id *scope_id, tl_unix at)
{
    while (c->names_by_age && c->names_by_age->at <= at - TL_BOOK_DAY)
        drop_name(c, c->names_by_age);
    const tl_name_scope *scope = scope_id ? find_scope(c, scope_id) : NULL;
    if (scope && scope->n >= SCOPE_MAX) {
        if (scope->by_age->at > at - HELD)
            return false;
        drop_name(c, scope->by_age);
    }
    if (HASH_COUNT(c->names) >= TL_BOOK_RECENT_MAX && c->names_by_age &&
        c->names_by_age->at <= at - HELD)
        drop_name(c, c->names_by_age);
    return HASH_COUNT(c->names) < TL_BOOK_RECENT_MAX;
}

/* NULL: no memory, or no place. `scope_id` NULL: it is not known whose it is. */
static tl_name *add_name(tl_credit *c, const char *request, const tl_node_id *scope_id, tl_unix at)
{
    tl_name *n = make_place(c, scope_id, at) ? calloc(1, sizeof *n) : NULL;
    if (!n)
        return NULL;
    snprintf(n->request, sizeof n->request, "%s", request);
    n->at = at;
    if (!TL_TABLE_ADD(hh, c->names, request, sizeof n->request, n)) {
        free(n);
        return NULL;
    }
    if (c->names_by_age && at < c->names_by_age->at)
        DL_PREPEND(c->names_by_age, n); /* the store tells the newest first */
    else
        DL_APPEND(c->names_by_age, n);
    tl_name_scope *scope = scope_id ? scope_get(c, scope_id) : NULL;
    if (scope) {
        n->scope = scope;
        scope->n++;
        DL_APPEND2(scope->by_age, n, scope_prev, scope_next);
    } else if (scope_id) {
        drop_name(c, n);
        return NULL;
    }
    return n;
}

void tl_credit_on_loaded_name(tl_credit *c, const char *request, tl_unix at)
{
    if (!find_name(c, request))
        (void)!add_name(c, request, NULL, at);
}

static void name_done(tl_book_op *op, tl_err e)
{
    tl_credit_naming *naming = op->user;
    tl_name *n = find_name(naming->credit, naming->request);
    tl_credit_note_disk(naming->credit, e);
    if (e && e != TL_ERR_EXISTS && n)
        drop_name(naming->credit, n);
    if (naming->on_named)
        naming->on_named(naming->user, e);
    else if (!e) /* and not where it was given before */
        tl_credit_unname(naming->credit, naming->request);
    free(naming);
    tl_book_op_free(op);
}

tl_err tl_credit_name(tl_credit *c, const char *request, const tl_node_id *scope,
                      void (*on_named)(void *user, tl_err e), void *user,
                      tl_credit_naming **ret_naming)
{
    tl_unix now = c->env.wall(c->env.user);
    tl_name *n = find_name(c, request);
    if (n && n->at > now - TL_BOOK_DAY) {
        c->counters.duplicates++;
        return TL_ERR_EXISTS;
    }
    if (n)
        drop_name(c, n);
    tl_credit_naming *naming = calloc(1, sizeof *naming);
    if (!naming)
        return TL_ERR_NOMEM;
    *naming = (tl_credit_naming){.credit = c, .on_named = on_named, .user = user};
    snprintf(naming->request, sizeof naming->request, "%s", request);
    n = add_name(c, request, scope, now);
    tl_book_op *op = n ? tl_book_op_new(TL_BOOK_NAME) : NULL;
    if (op) {
        op->entry.at = now;
        memcpy(op->entry.request, naming->request, sizeof op->entry.request);
    }
    if (!tl_credit_submit(c, op, name_done, naming)) {
        if (n)
            drop_name(c, n);
        free(naming);
        return TL_ERR_BUSY;
    }
    *ret_naming = naming;
    return TL_OK;
}

void tl_credit_name_forget(tl_credit_naming *n)
{
    n->on_named = NULL;
}

static void unname_done(tl_book_op *op, tl_err e)
{
    tl_credit_note_disk(op->user, e);
    tl_book_op_free(op);
}

void tl_credit_unname(tl_credit *c, const char *request)
{
    tl_name *n = find_name(c, request);
    tl_book_op *op = tl_book_op_new(TL_BOOK_UNNAME);
    if (op)
        snprintf(op->entry.request, sizeof op->entry.request, "%s", request);
    if (n)
        drop_name(c, n);
    (void)!tl_credit_submit(c, op, unname_done, c); /* else it is free after a day */
}

void tl_credit_clear_names(tl_credit *c)
{
    while (c->names)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        drop_name(c, c->names);
}
