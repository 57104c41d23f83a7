#include "home.h"

#include <errno.h>
#include <ftw.h>
#include <semaphore.h>
#include <sys/stat.h>

static sem_t woken; /* jobs have ended */

/* --- a directory for each test --- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

int make_home(void **state)
{
    home *h = calloc(1, sizeof *h);
    /* In memory, where there is such a place: a kill does not ask the disk. */
    sem_init(&woken, 0, 0);
    bool shm = access("/dev/shm", W_OK | X_OK) == 0;
    snprintf(h->dir, sizeof h->dir, "%s/teale-store-XXXXXX", shm ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(h->dir));
    snprintf(h->db, sizeof h->db, "%s/teale.db", h->dir);
    snprintf(h->wal, sizeof h->wal, "%s/teale.db-wal", h->dir);
    snprintf(h->mark, sizeof h->mark, "%s/teale.db.mark", h->dir);
    *state = h;
    return 0;
}

int remove_home(void **state)
{
    home *h = *state;
    nftw(h->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(h);
    return 0;
}

bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

content read_file(const char *path)
{
    content c = {NULL, 0, false};
    FILE *f = fopen(path, "rb");
    if (!f)
        return c;
    fseek(f, 0, SEEK_END);
    c.n = (size_t)ftell(f);
    rewind(f);
    c.p = malloc(c.n + 1);
    assert_int_equal(fread(c.p, 1, c.n, f), c.n);
    c.there = true;
    fclose(f);
    return c;
}

void write_file(const char *path, const content *c)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (c->n)
        assert_int_equal(fwrite(c->p, 1, c->n, f), c->n);
    fclose(f);
}

void assert_unchanged(const char *path, const content *before)
{
    content now = read_file(path);
    assert_int_equal(now.there, before->there);
    assert_int_equal(now.n, before->n);
    if (now.n)
        assert_memory_equal(now.p, before->p, now.n);
    free(now.p);
}

static void wake(void *user)
{
    (void)user;
    sem_post(&woken);
}

void collect_next(tl_store *s)
{
    while (sem_wait(&woken))
        assert_int_equal(errno, EINTR);
    tl_store_collect(s);
}

static tl_store_config quick(void)
{
    tl_store_config c = tl_store_config_default();
    c.wake = wake;
    c.busy_ms = 0;     /* who is refused is refused at once */
    c.wait_max_ms = 0; /* no test waits for others to share a commit */
    return c;
}

tl_store *open_at(const char *path)
{
    tl_store_config c = quick();
    tl_store *s = NULL;
    tl_why why = {""};
    tl_err e = tl_store_open(path, &c, &s, &why);
    if (e)
        fail_msg("%s", why.text);
    return s;
}

tl_err refused_at(const char *path, tl_why *why)
{
    tl_store_config c = quick();
    tl_store *s = NULL;
    tl_err e = tl_store_open(path, &c, &s, why);
    assert_null(s);
    return e;
}

/* --- jobs --- */

static void network_key(uint8_t ret[32], uint8_t first)
{
    memset(ret, 7, 32);
    ret[0] = first;
}

tl_err write_row(tl_store_job *j, tl_db *db)
{
    row_job *p = (row_job *)j;
    uint8_t key[32];
    network_key(key, p->key);
    tl_err e = tl_db_run(db, "INSERT INTO joins VALUES (?, 'invite', '', ?)",
                         TL_DB_WITH(tl_db_bytes(key, sizeof key), tl_db_int(p->value)));
    return e ? e : p->want;
}

tl_err read_row(tl_store_job *j, tl_db *db)
{
    row_job *p = (row_job *)j;
    uint8_t key[32];
    network_key(key, p->key);
    return tl_db_number(db, "SELECT at FROM joins WHERE network = ?",
                        TL_DB_WITH(tl_db_bytes(key, sizeof key)), -1, &p->found);
}

void note_done(tl_store_job *j, tl_err e)
{
    row_job *p = (row_job *)j;
    p->told = e;
    p->came = ++*p->order;
}

tl_err put_row(tl_store *s, uint8_t key, int64_t value)
{
    row_job p = {.job.work = write_row, .key = key, .value = value};
    return tl_store_do(s, &p.job);
}

int64_t row_of(tl_store *s, uint8_t key)
{
    row_job p = {.job.work = read_row, .key = key};
    assert_int_equal(tl_store_do(s, &p.job), TL_OK);
    return p.found;
}

uint64_t commits_of(tl_store *s)
{
    tl_store_state st;
    tl_store_state_of(s, &st);
    return st.commits;
}

void alter(const char *path, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error))
        fail_msg("%s", error);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int64_t number_in(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}
