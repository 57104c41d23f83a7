#include "store/aliases.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    tl_store_job job; /* first */
    tl_node_id node;
    char alias[80];
    tl_store_told on_done;
    void *user;
} alias_job;

static void done(tl_store_job *j, tl_err e)
{
    alias_job *a = (alias_job *)j;
    if (a->on_done)
        a->on_done(a->user, e, j->why.text);
    free(a);
}

static tl_err put(tl_store_job *j, tl_db *db)
{
    const alias_job *a = (alias_job *)j;
    tl_err e = tl_db_run(db, "DELETE FROM aliases WHERE node = ? OR alias = ?",
                         TL_DB_WITH(tl_db_id(&a->node), tl_db_text(a->alias)));
    return e || !*a->alias ? e
                           : tl_db_run(db, "INSERT INTO aliases VALUES (?, ?)",
                                       TL_DB_WITH(tl_db_id(&a->node), tl_db_text(a->alias)));
}

tl_err tl_store_put_alias(tl_store *s, const tl_node_id *node, const char *alias,
                          tl_store_told on_done, void *user)
{
    alias_job *a = calloc(1, sizeof *a);
    if (!a)
        return TL_ERR_NOMEM;
    a->job = (tl_store_job){.work = put, .done = done};
    a->node = *node;
    snprintf(a->alias, sizeof a->alias, "%s", alias ? alias : "");
    a->on_done = on_done;
    a->user = user;
    tl_store_submit(s, &a->job);
    return TL_OK;
}

typedef struct {
    tl_store_job job; /* first */
    tl_err (*visit)(void *user, const tl_node_id *node, const char *alias);
    void *user;
} each_job;

static tl_err each(tl_store_job *j, tl_db *db)
{
    const each_job *a = (each_job *)j;
    sqlite3_stmt *row;
    tl_err e =
        tl_db_find(db, "SELECT node, alias FROM aliases ORDER BY alias", TL_DB_WITHOUT, &row);
    while (!e) {
        tl_node_id node;
        char alias[sizeof((alias_job *)NULL)->alias];
        e = tl_db_take_bytes(row, 0, node.key, sizeof node.key);
        if (!e)
            e = tl_db_take_text(row, 1, alias, sizeof alias);
        if (!e)
            e = a->visit(a->user, &node, alias);
        if (!e)
            e = tl_db_next(db, row);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

tl_err tl_store_each_alias(tl_store *s,
                           tl_err (*visit)(void *user, const tl_node_id *node, const char *alias),
                           void *user, tl_why *why)
{
    each_job a = {.job = {.work = each, .reads = true}, .visit = visit, .user = user};
    tl_err e = tl_store_do(s, &a.job);
    return e ? tl_why_set(why, e, "%s", a.job.why.text) : TL_OK;
}
