/* invites.c - the invites of networks.h: each is spent once. */
#include "store/networks_state.h"

#include <assert.h>
#include <stdlib.h>

#define ENDED_FOR (7 * 24 * 3600) /* seconds for which an invite that ended is still listed */

static const char *const state_names[TL_INVITE_STATES] = {"open", "used", "withdrawn"};

const char *tl_invite_state_name(tl_invite_state s)
{
    assert(s < TL_INVITE_STATES);
    return state_names[s];
}

typedef struct {
    tl_store_job job;
    tl_store_told on_done;
    void *user;
    tl_invite_row row;
    tl_unix now;
} invite_job;

static void told(tl_store_job *j, tl_err e)
{
    invite_job *i = (invite_job *)j;
    if (i->on_done)
        i->on_done(i->user, e, j->why.text);
    free(i);
}

static tl_err submit(tl_store *s, const tl_invite_row *row, tl_unix now,
                     tl_err (*work)(tl_store_job *, tl_db *), tl_store_told on_done, void *user)
{
    invite_job *i = calloc(1, sizeof *i);
    if (!i)
        return TL_ERR_NOMEM;
    *i = (invite_job){.job = {.work = work, .done = told},
                      .on_done = on_done,
                      .user = user,
                      .row = *row,
                      .now = now};
    tl_store_submit(s, &i->job);
    return TL_OK;
}

/* --- making and withdrawing --- */

static tl_err put_invite(tl_store_job *j, tl_db *db)
{
    invite_job *i = (invite_job *)j;
    const tl_invite_row *r = &i->row;
    int64_t n;
    tl_err e = tl_db_run(db, "DELETE FROM invites WHERE expires_at < ?",
                         TL_DB_WITH(tl_db_int(i->now - ENDED_FOR)));
    if (!e)
        e = tl_db_number(db, "SELECT count(*) FROM invites WHERE network = ?",
                         TL_DB_WITH(tl_db_id(&r->network)), 0, &n);
    if (!e && n >= TL_STORE_INVITES_MAX)
        e = tl_why_set(&j->why, TL_ERR_BUSY,
                       "%d invites to this network are kept: wait until some have expired",
                       TL_STORE_INVITES_MAX);
    return e ? e
             : tl_db_run(db, "INSERT INTO invites VALUES (?, ?, ?, ?, ?, ?, 'open', NULL)",
                         TL_DB_WITH(tl_db_id(&r->network), tl_db_bytes(r->nonce, sizeof r->nonce),
                                    tl_db_text(tl_role_name(r->role)), tl_db_int(r->expires_at),
                                    tl_db_int(r->valid_seconds),
                                    r->bound ? tl_db_id(&r->bound_to) : tl_db_null()));
}

tl_err tl_store_put_invite(tl_store *s, const tl_invite_row *row, tl_unix now,
                           tl_store_told on_done, void *user)
{
    return submit(s, row, now, put_invite, on_done, user);
}

/* What is known of a nonce. TL_ERR_NOT_FOUND. */
static tl_err find(tl_db *db, const tl_node_id *network, const uint8_t nonce[TL_INVITE_NONCE],
                   tl_invite_state *ret_state, tl_node_id *ret_used_by)
{
    sqlite3_stmt *row = NULL;
    tl_err e = tl_db_find(db, "SELECT state, used_by FROM invites WHERE network = ? AND nonce = ?",
                          TL_DB_WITH(tl_db_id(network), tl_db_bytes(nonce, TL_INVITE_NONCE)), &row);
    if (e)
        return e;
    const char *state = (const char *)sqlite3_column_text(row, 0);
    for (int i = 0; i < TL_INVITE_STATES; i++)
        if (state && !strcmp(state, state_names[i]))
            *ret_state = (tl_invite_state)i;
    return *ret_state == TL_INVITE_USED
               ? tl_db_take_bytes(row, 1, ret_used_by->key, sizeof ret_used_by->key)
               : TL_OK;
}

static tl_err withdraw_invite(tl_store_job *j, tl_db *db)
{
    const tl_invite_row *r = &((invite_job *)j)->row;
    tl_invite_state state = TL_INVITE_OPEN;
    tl_node_id used_by;
    tl_err e = find(db, &r->network, r->nonce, &state, &used_by);
    if (e)
        return e;
    if (state == TL_INVITE_USED)
        return TL_ERR_EXISTS;
    return tl_db_change(db,
                        "UPDATE invites SET state = 'withdrawn' WHERE network = ? AND nonce = ?",
                        TL_DB_WITH(tl_db_id(&r->network), tl_db_bytes(r->nonce, sizeof r->nonce)));
}

tl_err tl_store_withdraw_invite(tl_store *s, const tl_node_id *network,
                                const uint8_t nonce[TL_INVITE_NONCE], tl_store_told on_done,
                                void *user)
{
    tl_invite_row row = {.network = *network};
    memcpy(row.nonce, nonce, TL_INVITE_NONCE);
    return submit(s, &row, 0, withdraw_invite, on_done, user);
}

/* --- spending --- */

typedef struct {
    tl_store_job job;
    tl_store_spent on_done;
    void *user;
    uint8_t nonce[TL_INVITE_NONCE];
    tl_member_row member; /* its texts are those below */
    char *certificate, *name;
} spend_job;

static void free_spend(spend_job *p)
{
    free(p->certificate);
    free(p->name);
    free(p);
}

static void spent(tl_store_job *j, tl_err e)
{
    spend_job *p = (spend_job *)j;
    p->on_done(p->user, e, e ? NULL : p->certificate, j->why.text);
    free_spend(p);
}

/* The node's certificate that is there, in place of the one that was handed in. */
static tl_err take_certificate(spend_job *p, tl_db *db)
{
    sqlite3_stmt *row = NULL;
    char *there = NULL;
    tl_err e =
        tl_db_find(db, "SELECT certificate FROM members WHERE network = ? AND node = ?",
                   TL_DB_WITH(tl_db_id(&p->member.network), tl_db_id(&p->member.node)), &row);
    if (!e)
        e = tl_db_copy_text(row, 0, &there);
    if (!e) {
        free(p->certificate);
        p->certificate = there;
    }
    return e;
}

static tl_err spend_invite(tl_store_job *j, tl_db *db)
{
    spend_job *p = (spend_job *)j;
    const tl_member_row *m = &p->member;
    tl_invite_state state = TL_INVITE_OPEN;
    tl_node_id used_by;
    tl_err e = find(db, &m->network, p->nonce, &state, &used_by);
    if (e)
        return e;
    if (state == TL_INVITE_WITHDRAWN)
        return TL_ERR_FORBIDDEN;
    if (state == TL_INVITE_USED && !tl_node_id_eq(&used_by, &m->node))
        return TL_ERR_EXISTS;
    if (state == TL_INVITE_USED) { /* NOT_FOUND: it left meanwhile; it needs a new invite */
        e = take_certificate(p, db);
        return e == TL_ERR_NOT_FOUND ? TL_ERR_EXISTS : e;
    }
    if (!p->certificate)
        return TL_ERR_NOT_FOUND;
    e = tl_db_change(db,
                     "UPDATE invites SET state = 'used', used_by = ? "
                     "WHERE network = ? AND nonce = ?",
                     TL_DB_WITH(tl_db_id(&m->node), tl_db_id(&m->network),
                                tl_db_bytes(p->nonce, sizeof p->nonce)));
    return e ? e : tl_store_write_member(db, m);
}

tl_err tl_store_spend_invite(tl_store *s, const uint8_t nonce[TL_INVITE_NONCE],
                             const tl_member_row *member, tl_store_spent on_done, void *user)
{
    spend_job *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    *p = (spend_job){.job = {.work = spend_invite, .done = spent},
                     .on_done = on_done,
                     .user = user,
                     .member = *member,
                     .certificate = member->certificate ? strdup(member->certificate) : NULL,
                     .name = strdup(member->name)};
    if ((member->certificate && !p->certificate) || !p->name) {
        free_spend(p);
        return TL_ERR_NOMEM;
    }
    memcpy(p->nonce, nonce, TL_INVITE_NONCE);
    p->member.certificate = p->certificate;
    p->member.name = p->name;
    tl_store_submit(s, &p->job);
    return TL_OK;
}

/* --- listing --- */

typedef struct {
    tl_store_job job;
    tl_store_invites on_done;
    void *user;
    tl_node_id network;
    tl_invite_row *rows;
    size_t n;
} list_job;

static tl_err take_row(sqlite3_stmt *row, const tl_node_id *network, tl_invite_row *ret)
{
    tl_invite_row r = {.network = *network};
    const char *role = (const char *)sqlite3_column_text(row, 1);
    const char *state = (const char *)sqlite3_column_text(row, 5);
    tl_err e = tl_db_take_bytes(row, 0, r.nonce, sizeof r.nonce);
    if (e || !role || !state || !tl_role_parse(role, &r.role))
        return TL_ERR_PROTO;
    r.expires_at = sqlite3_column_int64(row, 2);
    r.valid_seconds = sqlite3_column_int64(row, 3);
    r.bound = sqlite3_column_type(row, 4) != SQLITE_NULL;
    if (r.bound)
        e = tl_db_take_bytes(row, 4, r.bound_to.key, sizeof r.bound_to.key);
    while (r.state < TL_INVITE_STATES && strcmp(state, state_names[r.state]) != 0)
        r.state++;
    if (!e && r.state == TL_INVITE_USED)
        e = tl_db_take_bytes(row, 6, r.used_by.key, sizeof r.used_by.key);
    if (e || r.state == TL_INVITE_STATES)
        return TL_ERR_PROTO;
    *ret = r;
    return TL_OK;
}

static tl_err list_invites(tl_store_job *j, tl_db *db)
{
    list_job *l = (list_job *)j;
    sqlite3_stmt *row = NULL;
    l->rows = calloc(TL_STORE_INVITES_MAX, sizeof *l->rows);
    if (!l->rows)
        return TL_ERR_NOMEM;
    tl_err e = tl_db_find(db,
                          "SELECT nonce, role, expires_at, valid_seconds, bound_to, state, used_by "
                          "FROM invites WHERE network = ? ORDER BY expires_at, nonce",
                          TL_DB_WITH(tl_db_id(&l->network)), &row);
    for (; !e && l->n < TL_STORE_INVITES_MAX; e = tl_db_next(db, row)) {
        e = take_row(row, &l->network, &l->rows[l->n]);
        if (e)
            return e;
        l->n++;
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static void listed(tl_store_job *j, tl_err e)
{
    list_job *l = (list_job *)j;
    l->on_done(l->user, e, l->rows, e ? 0 : l->n);
    free(l->rows);
    free(l);
}

tl_err tl_store_list_invites(tl_store *s, const tl_node_id *network, tl_store_invites on_done,
                             void *user)
{
    list_job *l = calloc(1, sizeof *l);
    if (!l)
        return TL_ERR_NOMEM;
    *l = (list_job){.job = {.work = list_invites, .done = listed},
                    .on_done = on_done,
                    .user = user,
                    .network = *network};
    tl_store_submit(s, &l->job);
    return TL_OK;
}
