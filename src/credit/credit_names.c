/* Names that clients give to their requests: each is worked at once in a day. */
#include "credit/credit_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* Seconds. An older name leaves memory where a new one has no place: the store knows it for the whole day,
 * and refuses it as well. So no client takes all places for longer, and the store keeps at most as many
 * names as come in a day at TL_BOOK_RECENT_MAX an hour: 3 million. */
#define HELD 3600

struct tl_credit_naming {
    tl_credit *credit;
    char request[TL_REQUEST_ID_MAX];
    void (*on_named)(void *user, tl_err e); /* NULL: nobody waits any more */
    void *user;
};

static void drop_name(tl_credit *c, tl_name *n)
{
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

/* NULL: no memory, or as many names as are kept were given within an hour. */
static tl_name *add_name(tl_credit *c, const char *request, tl_unix at)
{
    tl_name *n;
    while (c->names_by_age && c->names_by_age->at <= at - TL_BOOK_DAY)
        drop_name(c, c->names_by_age);
    if (HASH_COUNT(c->names) >= TL_BOOK_RECENT_MAX && c->names_by_age &&
        c->names_by_age->at <= at - HELD)
        drop_name(c, c->names_by_age);
    if (HASH_COUNT(c->names) >= TL_BOOK_RECENT_MAX || !(n = calloc(1, sizeof *n)))
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
    return n;
}

void tl_credit_on_loaded_name(tl_credit *c, const char *request, tl_unix at)
{
    if (!find_name(c, request))
        (void)!add_name(c, request, at);
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
    free(naming);
    tl_book_op_free(op);
}

tl_err tl_credit_name(tl_credit *c, const char *request, void (*on_named)(void *user, tl_err e),
                      void *user, tl_credit_naming **ret_naming)
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
    n = add_name(c, request, now);
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
