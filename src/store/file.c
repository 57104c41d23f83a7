#include "store/file.h"

#include "store/migrations.h"
#include "store/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAL_KEPT_MAX (4 << 20) /* bytes of a log that stay on the disk after it was written back */

#define SETUP                                                                                      \
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; "  \
    "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;"

/* --- names beside the file --- */

typedef struct {
    char text[PATH_MAX];
} name;

static name beside(const char *path, const char *suffix)
{
    name n;
    snprintf(n.text, sizeof n.text, "%s%s", path, suffix); /* the length is checked at the start */
    return n;
}

static name directory_of(const char *path)
{
    name n;
    snprintf(n.text, sizeof n.text, "%s", path);
    char *slash = strrchr(n.text, '/');
    if (!slash)
        return (name){"."};
    slash[slash == n.text] = 0;
    return n;
}

/* Bytes of a file; -1: it is not there. */
static long long size_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) ? -1 : (long long)st.st_size;
}

static bool sync_directory(const char *path)
{
    name dir = directory_of(path);
    int fd = open(dir.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && (!fsync(fd) || errno == EINVAL); /* some file systems know no such thing */
    if (fd >= 0)
        close(fd);
    return ok;
}

/* --- words --- */

static tl_err corrupt(const char *path, const char *cause, tl_why *why)
{
    return tl_why_set(why, TL_ERR_PROTO,
                      "E_STORE_CORRUPT: %.200s cannot be used: %.100s. It was left as it is. Put a "
                      "good copy in its place, or move it away with its -wal and .mark to begin "
                      "anew: then networks are joined again, and nobody's credit is known",
                      path, cause);
}

static tl_err failed(sqlite3 *db, const char *path, int rc, tl_why *why)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM: return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return tl_why_set(why, TL_ERR_BUSY,
                          "E_STORE_LOCKED: another process has %.300s open. Stop that node (teale "
                          "down), or end the program that reads the file",
                          path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return corrupt(path, sqlite3_errmsg(db), why);
    case SQLITE_FULL: return tl_why_file(why, "write", path, ENOSPC);
    default:
        return tl_why_set(why, TL_ERR_IO, "cannot open %.300s: %.100s (SQLite error %d)", path,
                          db ? sqlite3_errmsg(db) : sqlite3_errstr(rc),
                          db ? sqlite3_extended_errcode(db) : rc);
    }
}

static tl_err set_back(const char *path, const char *cause, tl_why *why)
{
    return tl_why_set(why, TL_ERR_REPLAY,
                      "E_STORE_SET_BACK: %.200s %s. Put the newer file back. If it is lost: remove "
                      "%.180s.mark; then this copy is taken, and its open invites are withdrawn",
                      path, cause, path);
}

/* --- a connection --- */

static tl_err run(sqlite3 *db, const char *path, const char *sql, tl_why *why)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc ? failed(db, path, rc, why) : TL_OK;
}

static tl_err connect_to(const char *path, int busy_ms, sqlite3 **ret, tl_why *why)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(
        path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (!rc)
        rc = sqlite3_extended_result_codes(db, 1);
    if (!rc)
        rc = sqlite3_busy_timeout(db, busy_ms);
    if (!rc)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (!rc) /* a statement stays prepared, whatever values it gets: else one whose values might make
              * another index fit is planned anew each time */
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
    if (!rc) /* until the file is accepted, closing it must not change it */
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    tl_err e = rc ? failed(db, path, rc, why) : run(db, path, SETUP, why);
    if (e)
        sqlite3_close(db);
    else
        *ret = db;
    return e;
}

static tl_err accept(sqlite3 *db, const char *path, tl_why *why)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "PRAGMA query_only = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
             "PRAGMA journal_size_limit = %d;",
             WAL_KEPT_MAX);
    int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return rc ? failed(db, path, rc, why) : run(db, path, sql, why);
}

/* The first row of a query: its number, and its text. */
static tl_err ask(sqlite3 *db, const char *path, const char *sql, long long *ret_number,
                  char ret_text[160], bool *ret_row, tl_why *why)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    if (rc)
        return failed(db, path, rc, why);
    rc = sqlite3_step(s);
    *ret_row = rc == SQLITE_ROW;
    if (*ret_row) {
        const char *text = (const char *)sqlite3_column_text(s, 0);
        *ret_number = sqlite3_column_int64(s, 0);
        snprintf(ret_text, 160, "%s", text ? text : "");
    }
    tl_err e = rc == SQLITE_ROW || rc == SQLITE_DONE ? TL_OK : failed(db, path, rc, why);
    sqlite3_finalize(s);
    return e;
}

static tl_err ask_number(sqlite3 *db, const char *path, const char *sql, long long *ret,
                         tl_why *why)
{
    char text[160];
    bool row = false;
    *ret = 0;
    return ask(db, path, sql, ret, text, &row, why);
}

static tl_err read_mark(sqlite3 *db, const char *path, tl_mark *ret, tl_why *why)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, "SELECT id, commits FROM store", -1, &s, NULL))
        return corrupt(path, sqlite3_errmsg(db), why);
    tl_err e = TL_OK;
    if (sqlite3_step(s) != SQLITE_ROW || sqlite3_column_bytes(s, 0) != TL_MARK_ID) {
        e = corrupt(path, "it does not say which database it is", why);
    } else {
        memcpy(ret->id, sqlite3_column_blob(s, 0), TL_MARK_ID);
        ret->commits = (uint64_t)sqlite3_column_int64(s, 1);
    }
    sqlite3_finalize(s);
    return e;
}

/* --- checks, which change nothing --- */

static tl_err check_version(sqlite3 *db, const tl_store_place *at, long long *ret_version,
                            tl_why *why)
{
    long long application = 0;
    tl_err e = ask_number(db, at->path, "PRAGMA application_id", &application, why);
    if (!e)
        e = ask_number(db, at->path, "PRAGMA user_version", ret_version, why);
    if (e)
        return e;
    if (application != TL_STORE_APPLICATION)
        return corrupt(at->path, "it is the database of another program", why);
    if (*ret_version > (long long)at->steps_n)
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          "E_STORE_NEWER: %.300s is of version %lld, and this program knows "
                          "versions up to %zu. It was left as it is: use the newer teale",
                          at->path, *ret_version, at->steps_n);
    if (*ret_version < 1)
        return corrupt(at->path, "it has no version", why);
    return TL_OK;
}

static tl_err check_content(sqlite3 *db, const tl_store_place *at, tl_why *why)
{
    const char *path = at->path;
    long long number;
    char text[160];
    bool row = false;
    const char *sql =
        size_of(path) > at->full_check_max ? "PRAGMA quick_check(1)" : "PRAGMA integrity_check(1)";
    tl_err e = ask(db, path, sql, &number, text, &row, why);
    if (!e && (!row || strcmp(text, "ok") != 0))
        e = corrupt(path, row ? text : "it cannot be checked", why);
    if (!e)
        e = ask(db, path, "PRAGMA foreign_key_check", &number, text, &row, why);
    if (!e && row)
        e = corrupt(path, "a row belongs to another that is not there", why);
    return e;
}

/* Opens the file as it is without its log, for one look. */
static int open_bare(const char *path, sqlite3 **ret)
{
    char uri[3 * PATH_MAX + 32];
    size_t n = (size_t)snprintf(uri, sizeof uri, "file:");
    for (const char *p = path; *p; p++)
        n += (size_t)snprintf(uri + n, sizeof uri - n, strchr("%?#", *p) ? "%%%02X" : "%c",
                              (unsigned char)*p);
    snprintf(uri + n, sizeof uri - n, "?immutable=1");
    return sqlite3_open_v2(uri, ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                           NULL);
}

/* Is the log of this very file? Where the file alone cannot be read, SQLite died while it wrote the
 * log back: only then is there nothing to compare. */
static tl_err check_log(const char *path, tl_store_file *f, tl_why *why)
{
    name log = beside(path, "-wal");
    tl_mark bare = {.commits = 0};
    uint64_t in_log;
    tl_err e = tl_wal_commits(log.text, &in_log);
    if (e)
        return e == TL_ERR_IO ? tl_why_file(why, "read", log.text, errno) : e;
    if (!in_log || open_bare(path, &f->bare) || read_mark(f->bare, path, &bare, NULL))
        return TL_OK;
    if (!memcmp(bare.id, f->mark.id, TL_MARK_ID) &&
        tl_wal_fits(bare.commits, in_log, f->mark.commits))
        return TL_OK;
    return tl_why_set(
        why, TL_ERR_REPLAY,
        "E_STORE_SET_BACK: %.150s is an older copy, and its -wal is of the newer file. "
        "Both were left as they are. Put the newer file back. If it is lost: remove "
        "the -wal and the .mark; then this copy is taken, and its open invites are "
        "withdrawn",
        path);
}

static tl_err check_mark(const char *path, tl_store_file *f, tl_why *why)
{
    tl_mark mark;
    name at = beside(path, ".mark");
    tl_err e = tl_mark_read(at.text, &mark, why);
    if (e == TL_ERR_PROTO)
        return set_back(path, "may be an older copy: its mark is damaged", why);
    if (e && e != TL_ERR_NOT_FOUND)
        return e;
    switch (tl_mark_judge(e ? NULL : &mark, &f->mark)) {
    case TL_MARK_FITS: break;
    case TL_MARK_MISSING: f->restored = true; break;
    case TL_MARK_SET_BACK:
        return set_back(path, "is an older copy, or another: this node has committed more", why);
    }
    return TL_OK;
}

/* --- to the newest version --- */

static tl_err transact(sqlite3 *db, const char *path, const char *sql, const char *more,
                       tl_why *why)
{
    tl_err e = run(db, path, "BEGIN IMMEDIATE", why);
    if (e)
        return e;
    e = run(db, path, sql, why);
    if (!e && more)
        e = run(db, path, more, why);
    if (!e)
        e = run(db, path, "UPDATE store SET commits = commits + 1; COMMIT", why);
    if (e && !sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

static tl_err migrate(sqlite3 *db, const tl_store_place *at, long long from, tl_why *why)
{
    for (size_t i = (size_t)from; i < at->steps_n; i++) {
        char version[48];
        snprintf(version, sizeof version, "PRAGMA user_version = %zu", i + 1);
        tl_err e = transact(db, at->path, at->steps[i], version, why);
        if (e)
            return e;
    }
    return TL_OK;
}

static tl_err set_journal(sqlite3 *db, const char *path, const char *mode, tl_why *why)
{
    char sql[48], now[160];
    long long number;
    bool row;
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", mode);
    tl_err e = ask(db, path, sql, &number, now, &row, why);
    return e || strcmp(now, mode) == 0 ? e : failed(db, path, SQLITE_BUSY, why);
}

/* A new identity, so that the mark of the lost file never fits this one. It is written into the file itself, for
 * a file and a log of two identities are taken for a mistake (check_log). Whatever ends this in the middle, there is
 * no mark yet: the next start does it again. */
static tl_err take_restored(sqlite3 *db, const char *path, tl_why *why)
{
    tl_err e = set_journal(db, path, "delete", why);
    if (!e)
        e = transact(db, path, tl_store_restored_sql, "UPDATE store SET id = randomblob(16)", why);
    return e ? e : set_journal(db, path, "wal", why);
}

/* --- making it --- */

static void remove_beside(const char *path)
{
    static const char *const suffixes[] = {"-journal", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        (void)unlink(beside(path, suffixes[i]).text);
}

/* Fills PATH.new, which is ours alone. */
static tl_err fill(const char *path, const tl_store_place *at, tl_mark *ret, tl_why *why)
{
    tl_store_place new_place = *at;
    sqlite3 *db = NULL;
    char sql[64];
    new_place.path = path;
    tl_err e = connect_to(path, at->busy_ms, &db, why);
    if (e)
        return e;
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d", TL_STORE_APPLICATION);
    e = accept(db, path, why);
    if (!e)
        e = run(db, path, sql, why);
    if (!e)
        e = migrate(db, &new_place, 0, why);
    if (!e)
        e = read_mark(db, path, ret, why);
    int rc = sqlite3_close(db); /* writes the log back, and waits for the disk */
    return !e && rc ? failed(NULL, path, rc, why) : e;
}

/* Takes PATH.new for this process, empty. */
static tl_err take_new(const char *path, int *ret_fd, tl_why *why)
{
    struct stat here, there;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0)
        return tl_why_file(why, "make", path, errno);
    if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &here) || lstat(path, &there) ||
        here.st_ino != there.st_ino) {
        close(fd);
        return tl_why_set(why, TL_ERR_BUSY, "E_STORE_LOCKED: another process is making %.300s",
                          path);
    }
    remove_beside(path); /* left by a process that died */
    if (ftruncate(fd, 0)) {
        int error = errno;
        close(fd);
        return tl_why_file(why, "make", path, error);
    }
    *ret_fd = fd;
    return TL_OK;
}

static tl_err check_nothing_lost(const char *path, tl_why *why)
{
    tl_mark mark;
    name at = beside(path, ".mark"), wal = beside(path, "-wal");
    tl_err e = tl_mark_read(at.text, &mark, why);
    if (e == TL_ERR_PROTO && size_of(at.text) == 0)
        e = TL_ERR_NOT_FOUND; /* a first start was killed before it wrote the mark */
    if (e == TL_ERR_PROTO)
        return set_back(path, "is missing, and its mark is damaged", why);
    if (e && e != TL_ERR_NOT_FOUND)
        return e;
    if (!e && mark.commits)
        return set_back(path, "is missing, and this node had committed to it", why);
    /* SQLite would play the log of the lost file into the new one. */
    if (size_of(wal.text) >= 0)
        return corrupt(path, "it is missing, and its -wal is there", why);
    return TL_OK;
}

/* Gives the file its name, which no file has. Some file systems (NFS) know no such rename: there the
 * lock of PATH.new must do. */
static bool publish(const char *made, const char *path)
{
    int rc = renameat2(AT_FDCWD, made, AT_FDCWD, path, RENAME_NOREPLACE);
    if (rc && (errno == EINVAL || errno == ENOSYS) && size_of(path) < 0)
        rc = rename(made, path);
    return !rc && sync_directory(path);
}

/* The mark comes first, with no commits: where it is there, and PATH is not, nothing was lost. */
static tl_err create(const tl_store_place *at, tl_why *why)
{
    name made = beside(at->path, ".new"), mark_name = beside(at->path, ".mark");
    tl_mark mark = {.commits = 0};
    int fd = -1, mark_fd = -1;
    tl_err e = check_nothing_lost(at->path, why);
    if (!e)
        e = take_new(made.text, &fd, why);
    if (e)
        return e;
    e = fill(made.text, at, &mark, why);
    mark.commits = 0;
    if (!e)
        e = tl_mark_open(mark_name.text, &mark, &mark_fd, why);
    if (!e)
        close(mark_fd);
    if (!e && !publish(made.text, at->path))
        e = tl_why_file(why, "make", at->path, errno);
    if (e) {
        (void)unlink(made.text);
        remove_beside(made.text);
    }
    close(fd);
    return e;
}

/* --- opening --- */

static tl_err check_place(const char *path, bool *ret_there, tl_why *why)
{
    struct stat st;
    name dir = directory_of(path);
    *ret_there = false;
    if (strlen(path) + sizeof ".new-journal" > PATH_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "the path %.64s... is too long", path);
    if (faccessat(AT_FDCWD, dir.text, W_OK | X_OK, AT_EACCESS))
        return tl_why_file(why, "write into", dir.text, errno);
    if (lstat(path, &st))
        return errno == ENOENT ? TL_OK : tl_why_file(why, "open", path, errno);
    *ret_there = true;
    if (!S_ISREG(st.st_mode))
        return corrupt(path, "it is not a regular file", why);
    if (st.st_size == 0) /* SQLite would take it for a new one, and drop its log */
        return corrupt(path, "it is empty", why);
    if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS))
        return tl_why_file(why, "write", path, errno);
    if ((st.st_mode & 077) && chmod(path, 0600))
        return tl_why_file(why, "close to others", path, errno);
    return TL_OK;
}

static tl_err check_all(const tl_store_place *at, tl_store_file *f, long long *ret_version,
                        tl_why *why)
{
    tl_err e = run(f->sqlite, at->path, "PRAGMA query_only = ON", why);
    if (!e)
        e = check_version(f->sqlite, at, ret_version, why);
    if (!e)
        e = read_mark(f->sqlite, at->path, &f->mark, why);
    if (!e)
        e = check_log(at->path, f, why);
    if (!e)
        e = check_content(f->sqlite, at, why);
    return e ? e : check_mark(at->path, f, why);
}

static tl_err put_into_use(const tl_store_place *at, tl_store_file *f, long long version,
                           tl_why *why)
{
    tl_err e = accept(f->sqlite, at->path, why);
    if (!e)
        e = migrate(f->sqlite, at, version, why);
    if (!e && f->restored)
        e = take_restored(f->sqlite, at->path, why);
    if (!e)
        e = read_mark(f->sqlite, at->path, &f->mark, why);
    return e ? e : tl_mark_open(beside(at->path, ".mark").text, &f->mark, &f->mark_fd, why);
}

tl_err tl_store_file_open(const tl_store_place *at, tl_store_file *ret_file, tl_why *why)
{
    tl_store_file f = {.mark_fd = -1};
    long long version = 0;
    bool there;
    tl_err e = check_place(at->path, &there, why);
    if (!e && !there)
        e = create(at, why);
    if (e)
        return e;
    f.created = !there;
    name wal = beside(at->path, "-wal");
    bool had_wal = size_of(wal.text) >= 0;
    e = connect_to(at->path, at->busy_ms, &f.sqlite, why);
    if (e)
        return e;
    e = check_all(at, &f, &version, why);
    if (!e)
        e = put_into_use(at, &f, version, why);
    if (e) {
        sqlite3_close(f.sqlite);
        sqlite3_close(f.bare);
        if (!had_wal && size_of(wal.text) == 0)
            (void)unlink(wal.text); /* SQLite made it to look into the file */
        return e;
    }
    *ret_file = f;
    return TL_OK;
}

void tl_store_file_close(tl_store_file *f)
{
    (void)sqlite3_close(f->sqlite);
    (void)sqlite3_close(f->bare);
    (void)fsync(f->mark_fd);
    close(f->mark_fd);
}
