#include "store/networks.h"

#include "store/networks_state.h"

#include <assert.h>
#include <stdlib.h>

const char *tl_object_kind_name(tl_object_kind kind)
{
    static const char *const names[TL_OBJECT_KINDS] = {"revocations", "price", "key"};
    assert(kind < TL_OBJECT_KINDS);
    return names[kind];
}

/* One job: copies of what a call was handed. Each `work` knows which it uses. */
typedef struct {
    tl_store_job job;
    tl_store_told on_done;
    void *user;
    tl_node_id network, node;
    uint8_t seed[32];
    bool has_seed, flag;
    tl_unix at, issued_at;
    tl_object_kind kind;
    char *text, *name, *key; /* NULL where the row has none */
} row_job;

static void free_row(row_job *r)
{
    free(r->text);
    free(r->name);
    free(r->key);
    memset(r->seed, 0, sizeof r->seed);
    free(r);
}

static void told(tl_store_job *j, tl_err e)
{
    row_job *r = (row_job *)j;
    if (r->on_done)
        r->on_done(r->user, e, j->why.text);
    free_row(r);
}

static bool copy(char **ret, const char *text)
{
    *ret = text ? strdup(text) : NULL;
    return *ret || !text;
}

/* A job with copies of three texts; NULL: out of memory. */
static row_job *new_row(const tl_node_id *network, const char *text, const char *name,
                        const char *key, tl_store_told on_done, void *user)
{
    row_job *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->job.done = told;
    r->network = *network;
    r->on_done = on_done;
    r->user = user;
    if (copy(&r->text, text) && copy(&r->name, name) && copy(&r->key, key))
        return r;
    free_row(r);
    return NULL;
}

static tl_err submit(tl_store *s, row_job *r, tl_err (*work)(tl_store_job *, tl_db *))
{
    if (!r)
        return TL_ERR_NOMEM;
    r->job.work = work;
    tl_store_submit(s, &r->job);
    return TL_OK;
}

/* --- networks --- */

/* Where the network gets another name: the one of before is kept among its old ones. */
static tl_err remember_name(tl_db *db, const row_job *r)
{
    tl_db_value network = tl_db_id(&r->network), name = tl_db_text(r->name);
    tl_err e = tl_db_run(db,
                         "DELETE FROM old_names WHERE network = ?1 AND name IN "
                         "(?2, (SELECT name FROM networks WHERE network = ?1))",
                         TL_DB_WITH(network, name));
    if (!e)
        e = tl_db_run(db,
                      "INSERT INTO old_names (network, name) "
                      "SELECT network, name FROM networks WHERE network = ? AND name <> ?",
                      TL_DB_WITH(network, name));
    return e ? e
             : tl_db_run(db,
                         "DELETE FROM old_names WHERE network = ?1 AND id <= (SELECT id FROM "
                         "old_names WHERE network = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                         TL_DB_WITH(network, tl_db_int(TL_NETWORK_OLD_NAMES)));
}

static tl_err put_network(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    int64_t others;
    tl_err e = tl_db_number(db, "SELECT count(*) FROM networks WHERE network <> ?",
                            TL_DB_WITH(tl_db_id(&r->network)), 0, &others);
    if (!e && others >= TL_STORE_NETWORKS_MAX)
        e = tl_why_set(&j->why, TL_ERR_BUSY, "%d networks are stored: no more are taken",
                       TL_STORE_NETWORKS_MAX);
    if (!e)
        e = remember_name(db, r);
    return e ? e
             : tl_db_run(db,
                         "INSERT INTO networks VALUES (?, ?, ?, ?, ?, ?, ?) "
                         "ON CONFLICT (network) DO UPDATE SET name = excluded.name, "
                         "certificate = excluded.certificate, ca_seed = excluded.ca_seed, "
                         "api_key = excluded.api_key, has_left = excluded.has_left, "
                         "at = excluded.at",
                         TL_DB_WITH(tl_db_id(&r->network), tl_db_text(r->name), tl_db_text(r->text),
                                    tl_db_bytes(r->has_seed ? r->seed : NULL, sizeof r->seed),
                                    tl_db_text(r->key), tl_db_int(r->flag), tl_db_int(r->at)));
}

tl_err tl_store_put_network(tl_store *s, const tl_network_row *row, tl_store_told on_done,
                            void *user)
{
    row_job *r = new_row(&row->network, row->certificate, row->name, row->api_key, on_done, user);
    if (r) {
        r->at = row->at;
        r->flag = row->has_left;
        r->has_seed = row->ca_seed != NULL;
        if (r->has_seed)
            memcpy(r->seed, row->ca_seed, sizeof r->seed);
    }
    return submit(s, r, put_network);
}

static tl_err drop_network(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    static const char *const statements[] = {"DELETE FROM networks WHERE network = ?",
                                             "DELETE FROM objects WHERE network = ?",
                                             "DELETE FROM joins WHERE network = ?"};
    tl_err e = TL_OK;
    for (int i = 0; i < 3 && !e; i++)
        e = tl_db_run(db, statements[i], TL_DB_WITH(tl_db_id(&r->network)));
    return e;
}

tl_err tl_store_drop_network(tl_store *s, const tl_node_id *network, tl_store_told on_done,
                             void *user)
{
    return submit(s, new_row(network, NULL, NULL, NULL, on_done, user), drop_network);
}

/* --- what its admins signed --- */

static tl_err put_objects(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    return tl_db_run(db,
                     "INSERT INTO objects VALUES (?, ?, ?) "
                     "ON CONFLICT DO UPDATE SET objects = excluded.objects",
                     TL_DB_WITH(tl_db_id(&r->network), tl_db_text(tl_object_kind_name(r->kind)),
                                tl_db_text(r->text)));
}

tl_err tl_store_put_objects(tl_store *s, const tl_node_id *network, tl_object_kind kind,
                            const char *objects, tl_store_told on_done, void *user)
{
    assert(kind < TL_OBJECT_KINDS);
    row_job *r = new_row(network, objects, NULL, NULL, on_done, user);
    if (r)
        r->kind = kind;
    return submit(s, r, put_objects);
}

/* --- members --- */

/* Makes room for one more, where there is none. */
static tl_err make_room(tl_db *db, const tl_member_row *r)
{
    int64_t others;
    tl_err e = tl_db_number(db, "SELECT count(*) FROM members WHERE network = ? AND node <> ?",
                            TL_DB_WITH(tl_db_id(&r->network), tl_db_id(&r->node)), 0, &others);
    if (!e && others >= TL_STORE_MEMBERS_MAX)
        e = tl_db_run(db,
                      "DELETE FROM members WHERE network = ?1 AND node = (SELECT node FROM members "
                      "WHERE network = ?1 AND node <> ?2 ORDER BY last_seen LIMIT 1)",
                      TL_DB_WITH(tl_db_id(&r->network), tl_db_id(&r->node)));
    return e;
}

tl_err tl_store_write_member(tl_db *db, const tl_member_row *r)
{
    tl_err e = make_room(db, r);
    if (!e) /* it came back */
        e = tl_db_run(db, "DELETE FROM departed WHERE network = ? AND node = ?",
                      TL_DB_WITH(tl_db_id(&r->network), tl_db_id(&r->node)));
    return e ? e
             : tl_db_run(db,
                         "INSERT INTO members VALUES (?, ?, ?, ?, ?) "
                         "ON CONFLICT DO UPDATE SET certificate = excluded.certificate, "
                         "name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END, "
                         "last_seen = max(last_seen, excluded.last_seen)",
                         TL_DB_WITH(tl_db_id(&r->network), tl_db_id(&r->node),
                                    tl_db_text(r->certificate), tl_db_text(r->name),
                                    tl_db_int(r->last_seen)));
}

static tl_err put_member(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    const tl_member_row row = {r->network, r->node, r->text, r->name, r->at};
    return tl_store_write_member(db, &row);
}

tl_err tl_store_put_member(tl_store *s, const tl_member_row *row, tl_store_told on_done, void *user)
{
    row_job *r = new_row(&row->network, row->certificate, row->name, NULL, on_done, user);
    if (r) {
        r->node = row->node;
        r->at = row->last_seen;
    }
    return submit(s, r, put_member);
}

static tl_err drop_member(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    tl_err e = tl_db_run(db, "DELETE FROM members WHERE network = ? AND node = ?",
                         TL_DB_WITH(tl_db_id(&r->network), tl_db_id(&r->node)));
    if (!e)
        e = tl_db_run(db,
                      "INSERT INTO departed SELECT ?1, ?2, ?3, ?4 "
                      "WHERE EXISTS (SELECT 1 FROM networks WHERE network = ?1) "
                      "ON CONFLICT DO UPDATE SET issued_at = max(issued_at, excluded.issued_at), "
                      "at = excluded.at",
                      TL_DB_WITH(tl_db_id(&r->network), tl_db_id(&r->node), tl_db_int(r->issued_at),
                                 tl_db_int(r->at)));
    return e ? e
             : tl_db_run(db,
                         "DELETE FROM departed WHERE network = ?1 AND node IN (SELECT node FROM "
                         "departed WHERE network = ?1 ORDER BY at DESC, node LIMIT -1 OFFSET ?2)",
                         TL_DB_WITH(tl_db_id(&r->network), tl_db_int(TL_STORE_MEMBERS_MAX)));
}

tl_err tl_store_drop_member(tl_store *s, const tl_departed_row *row, tl_unix now,
                            tl_store_told on_done, void *user)
{
    row_job *r = new_row(&row->network, NULL, NULL, NULL, on_done, user);
    if (r) {
        r->node = row->node;
        r->issued_at = row->issued_at;
        r->at = now;
    }
    return submit(s, r, drop_member);
}

static tl_err see_member(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    return tl_db_run(
        db,
        "UPDATE members SET last_seen = max(last_seen, ?3), "
        "name = CASE ?4 WHEN '' THEN name ELSE ?4 END WHERE network = ?1 AND node = ?2",
        TL_DB_WITH(tl_db_id(&r->network), tl_db_id(&r->node), tl_db_int(r->at),
                   tl_db_text(r->name)));
}

tl_err tl_store_see_member(tl_store *s, const tl_node_id *network, const tl_node_id *node,
                           const char *name, tl_unix last_seen)
{
    row_job *r = new_row(network, NULL, name, NULL, NULL, NULL);
    if (r) {
        r->node = *node;
        r->at = last_seen;
    }
    return submit(s, r, see_member);
}

/* --- joins --- */

static tl_err put_join(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    return tl_db_run(db, "INSERT OR REPLACE INTO joins VALUES (?, ?, ?, ?)",
                     TL_DB_WITH(tl_db_id(&r->network), tl_db_text(r->text), tl_db_text(r->name),
                                tl_db_int(r->at)));
}

tl_err tl_store_put_join(tl_store *s, const tl_join_row *row, tl_store_told on_done, void *user)
{
    row_job *r = new_row(&row->network, row->invite, row->name, NULL, on_done, user);
    if (r)
        r->at = row->at;
    return submit(s, r, put_join);
}

static tl_err drop_join(tl_store_job *j, tl_db *db)
{
    const row_job *r = (row_job *)j;
    return tl_db_run(db, "DELETE FROM joins WHERE network = ?", TL_DB_WITH(tl_db_id(&r->network)));
}

tl_err tl_store_drop_join(tl_store *s, const tl_node_id *network, tl_store_told on_done, void *user)
{
    return submit(s, new_row(network, NULL, NULL, NULL, on_done, user), drop_join);
}
