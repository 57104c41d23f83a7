#include "cli/homerestore.h"

#include "io/putback.h"
#include "node/restore.h"
#include "store/migrations.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the database's file (https://sqlite.org/fileformat2.html). */
#define MAGIC_SIZE     16
#define AT_VERSION     60 /* user_version: store/migrations.h */
#define AT_APPLICATION 68
#define HEAD_SIZE      100

#define DIRECTORY "restore"      /* in the home: what is being put in place */
#define SEEN      "restore.seen" /* the highest sequence that was seen */

enum { SETTINGS, KEPT, DATABASE, KEY, FILES };

typedef struct {
    char text[TL_PATH_MAX + 32];
} name;

static name in_data(const tl_paths *paths, const char *file)
{
    name n;
    snprintf(n.text, sizeof n.text, "%s/%s", paths->data, file);
    return n;
}

/* In the order in which they are moved to their names: a node starts when the key is there. */
static void name_files(const tl_paths *paths, name *kept, tl_putback files[FILES])
{
    *kept = in_data(paths, TL_RESTORED_FILE);
    files[KEPT] = (tl_putback){.path = kept->text, .spare = true};
    files[SETTINGS] = (tl_putback){.path = paths->config, .spare = true};
    files[DATABASE] = (tl_putback){.path = paths->db};
    files[KEY] = (tl_putback){.path = paths->key};
}

tl_err tl_homerestore_check(const tl_paths *paths, tl_why *why)
{
    static const char *const beside[] = {"", "-wal", ".mark"};
    name file;
    if (!access(paths->key, F_OK))
        return tl_why_set(why, TL_ERR_EXISTS,
                          "there is an identity here already, and it is not replaced: %s. Restore "
                          "into another home (--home DIR), or move that file and the database away",
                          paths->key);
    if (!access(paths->key_note, F_OK))
        return tl_why_set(why, TL_ERR_EXISTS,
                          "there is an identity here already, in the keychain, and it is not "
                          "replaced. Restore into another home (--home DIR), or move %s and the "
                          "database away",
                          paths->key_note);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        snprintf(file.text, sizeof file.text, "%s%s", paths->db, beside[i]);
        if (!access(file.text, F_OK))
            return tl_why_set(why, TL_ERR_EXISTS,
                              "there is a database here already, and it is not replaced: %s. "
                              "Restore into another home (--home DIR), or move it away",
                              file.text);
    }
    return TL_OK;
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static tl_err check_database(tl_slice db, tl_why *why)
{
    if (db.n < HEAD_SIZE || memcmp(db.p, "SQLite format 3", MAGIC_SIZE) != 0 ||
        get_u32(db.p + AT_APPLICATION) != TL_STORE_APPLICATION)
        return tl_why_set(why, TL_ERR_PROTO, "the backup holds no database of teale's");
    if (get_u32(db.p + AT_VERSION) > tl_store_steps_n)
        return tl_why_set(why, TL_ERR_INVALID,
                          "the backup is of a newer teale: install that, then restore");
    return TL_OK;
}

tl_err tl_homerestore_write(const tl_paths *paths, const tl_payload *p, tl_slice kept,
                            tl_node_id *ret_node, bool *ret_settings, tl_why *why)
{
    tl_putback files[FILES];
    name kept_name;
    tl_identity identity;
    tl_err e = tl_homerestore_check(paths, why);
    if (!e)
        e = check_database(p->database, why);
    if (!e && tl_identity_from_seed(p->seed, &identity))
        e = tl_why_set(why, TL_ERR_PROTO, "the backup holds no usable identity");
    if (!e)
        e = tl_paths_make_config(paths, why);
    if (e)
        return e;
    bool had_settings = !access(paths->config, F_OK);
    name_files(paths, &kept_name, files);
    files[SETTINGS].bytes = p->settings;
    files[KEPT].bytes = kept;
    files[DATABASE].bytes = p->database;
    files[KEY].bytes = tl_slice_of(p->seed, sizeof p->seed);
    files[SETTINGS].absent = !p->settings.n;
    e = tl_putback_write(in_data(paths, DIRECTORY).text, files, FILES, why);
    *ret_node = identity.id;
    *ret_settings = !e && p->settings.n && !had_settings;
    tl_identity_clear(&identity);
    return e;
}

bool tl_homerestore_is_unfinished(const tl_paths *paths)
{
    return !access(in_data(paths, DIRECTORY).text, F_OK);
}

tl_err tl_homerestore_finish(const tl_paths *paths, bool *ret_done, tl_why *why)
{
    tl_putback files[FILES];
    name kept_name;
    name_files(paths, &kept_name, files);
    return tl_putback_finish(in_data(paths, DIRECTORY).text, files, FILES, ret_done, why);
}

/* --- the highest sequence --- */

int64_t tl_homerestore_seen(const tl_paths *paths, const tl_node_id *recovery)
{
    char text[160] = "", hex[TL_NODE_ID_HEX + 1], *end;
    int fd = open(in_data(paths, SEEN).text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    tl_node_id_write(hex, recovery);
    if (n <= TL_NODE_ID_HEX || memcmp(text, hex, TL_NODE_ID_HEX) != 0 ||
        text[TL_NODE_ID_HEX] != ' ')
        return 0;
    errno = 0;
    long long sequence = strtoll(text + TL_NODE_ID_HEX + 1, &end, 10);
    if (errno || end == text + TL_NODE_ID_HEX + 1)
        return 0;
    return sequence > 0 ? sequence : 0;
}

void tl_homerestore_note(const tl_paths *paths, const tl_node_id *recovery, int64_t sequence)
{
    char hex[TL_NODE_ID_HEX + 1];
    name fresh = in_data(paths, SEEN ".new");
    int fd = open(fresh.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    tl_node_id_write(hex, recovery);
    bool ok = dprintf(fd, "%s %" PRId64 "\n", hex, sequence) > 0 && !fsync(fd);
    close(fd);
    if (!ok || rename(fresh.text, in_data(paths, SEEN).text))
        (void)unlink(fresh.text);
}
