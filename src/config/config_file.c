/* config_file.c - the file of config.h: it is read whole, and replaced whole or not at all. Knows
 * no syntax. */
#include "config/config.h"

#include "config/config_text.h"
#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static tl_err failed(const char *what, const char *path, tl_why *why)
{
    return tl_why_file(why, what, path, errno);
}

static tl_err read_all(int fd, const char *path, tl_buf *ret_text, tl_why *why)
{
    for (;;) {
        uint8_t *room;
        if (tl_buf_reserve(ret_text, 16384, &room))
            return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
        ssize_t n = read(fd, room, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed("read", path, why);
        if (n == 0)
            return TL_OK;
        tl_buf_added(ret_text, (size_t)n);
        if (ret_text->len > TL_TOML_TEXT_MAX)
            return tl_why_set(why, TL_ERR_TOO_LARGE, "%s: larger than %u bytes", path,
                              TL_TOML_TEXT_MAX);
    }
}

/* Reads the file's text; empty if there is no file. Refuses what is not a plain file: a pipe would
 * hang. */
static tl_err read_file(const char *path, tl_buf *ret_text, tl_why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? TL_OK : failed("open", path, why);
    struct stat st;
    tl_err e = TL_OK;
    if (fstat(fd, &st))
        e = failed("stat", path, why);
    else if (!S_ISREG(st.st_mode))
        e = tl_why_set(why, TL_ERR_IO, "%s is not a plain file", path);
    else
        e = read_all(fd, path, ret_text, why);
    close(fd);
    return e;
}

tl_err tl_settings_load(const char *path, tl_settings *ret_settings, tl_why *why)
{
    tl_buf text = {0};
    tl_settings s = tl_settings_default();
    tl_err e = read_file(path, &text, why);
    if (!e)
        e = tl_config_text_read(tl_buf_slice(&text), path, &s, why);
    tl_buf_clear(&text);
    /* Callers tell only two cases apart: a wrong file, and a file that cannot be read. */
    if (e == TL_ERR_NOT_FOUND || e == TL_ERR_EXISTS || e == TL_ERR_TOO_LARGE)
        e = TL_ERR_INVALID;
    if (!e)
        *ret_settings = s;
    return e;
}

/* Writes a file beside the old one, syncs it, renames it over the old one, and syncs the directory.
 * So after a crash or on a full disk there is either the old file or the new one. */
static tl_err replace_file(int dir, const char *name, const char *path, tl_slice text, tl_why *why)
{
    char beside[NAME_MAX + 1];
    snprintf(beside, sizeof beside, ".%.200s.%ld", name, (long)getpid());
    bool made = tl_disk_make(dir, beside, text);
    if (!made && errno == EEXIST && !unlinkat(dir, beside, 0))
        made = tl_disk_make(dir, beside, text);
    tl_err e = made ? TL_OK : failed("write", path, why);
    if (e && why) {
        size_t n = strlen(why->text);
        snprintf(why->text + n, sizeof why->text - n, ". It is unchanged");
    }
    if (e)
        return e;
    if (renameat(dir, beside, dir, name))
        e = failed("replace", path, why);
    if (e)
        unlinkat(dir, beside, 0);
    else if (fsync(dir))
        e = failed("sync the directory of", path, why);
    return e;
}

static tl_err check_text(const tl_buf *text, const char *path, tl_why *why)
{
    tl_settings s = tl_settings_default();
    return tl_config_text_read(tl_buf_slice(text), path, &s, why);
}

/* One change, in the text alone. */
static tl_err edit_text(tl_buf *text, const tl_setting_text *change, tl_why *why)
{
    const tl_setting_def *def;
    json_t *value = NULL;
    tl_buf edited = {0};
    tl_err e = tl_setting_find(change->key, &def, why);
    if (!e)
        e = tl_setting_value_of_text(def, change->text, &value, why);
    if (!e && tl_config_text_edit(tl_buf_slice(text), def, value, &edited))
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    if (!e) {
        tl_buf_clear(text);
        *text = edited;
    } else {
        tl_buf_clear(&edited);
    }
    json_decref(value);
    return e;
}

/* Follows symbolic links and splits `path` into its directory and its name. The directory is opened
 * and locked, so that the second of two writers sees what the first wrote. */
static tl_err open_place(const char *path, char ret_real[PATH_MAX], int *ret_dir,
                         const char **ret_name, tl_why *why)
{
    if (!realpath(path, ret_real)) {
        if (errno != ENOENT || strlen(path) >= PATH_MAX)
            return failed("find", path, why);
        memcpy(ret_real, path, strlen(path) + 1);
    }
    char *slash = strrchr(ret_real, '/');
    char dir_name[PATH_MAX];
    if (!slash)
        memcpy(dir_name, ".", 2);
    else
        snprintf(dir_name, sizeof dir_name, "%.*s", slash == ret_real ? 1 : (int)(slash - ret_real),
                 ret_real);
    int dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return failed("open", dir_name, why);
    if (flock(dir, LOCK_EX)) {
        close(dir);
        return failed("lock", dir_name, why);
    }
    *ret_dir = dir;
    *ret_name = slash ? slash + 1 : ret_real;
    return TL_OK;
}

static tl_err copy_text(const tl_buf *from, tl_buf *to, tl_why *why)
{
    return tl_buf_append(to, tl_buf_slice(from)) ? tl_why_set(why, TL_ERR_NOMEM, "out of memory")
                                                 : TL_OK;
}

tl_err tl_settings_save_all(const char *path, const tl_setting_text *changes, size_t n,
                            tl_settings_saved *ret_saved, tl_why *why)
{
    tl_settings scratch = tl_settings_default();
    tl_settings_saved saved = {0};
    char real[PATH_MAX];
    const char *name = real;
    int dir = -1;
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < n; i++)
        e = tl_settings_set(&scratch, changes[i].key, changes[i].text, why);
    if (!e)
        e = open_place(path, real, &dir, &name, why);
    if (!e)
        e = read_file(real, &saved.before, why);
    if (!e)
        e = check_text(&saved.before, real, why);
    if (!e)
        e = copy_text(&saved.before, &saved.after, why);
    for (size_t i = 0; !e && i < n; i++)
        e = edit_text(&saved.after, &changes[i], why);
    if (!e)
        e = check_text(&saved.after, real, why);
    if (!e)
        e = replace_file(dir, name, real, tl_buf_slice(&saved.after), why);
    if (dir >= 0)
        close(dir);
    if (!e && ret_saved)
        *ret_saved = saved;
    else
        tl_settings_saved_clear(&saved);
    return e;
}

tl_err tl_settings_save(const char *path, const char *key, const char *text, tl_why *why)
{
    return tl_settings_save_all(path, &(tl_setting_text){key, text}, 1, NULL, why);
}

tl_err tl_settings_unsave(const char *path, const tl_settings_saved *saved, tl_why *why)
{
    char real[PATH_MAX];
    const char *name = real;
    int dir = -1;
    tl_buf now = {0};
    tl_err e = open_place(path, real, &dir, &name, why);
    if (!e)
        e = read_file(real, &now, why);
    if (!e && !tl_slice_eq(tl_buf_slice(&now), tl_buf_slice(&saved->after)))
        e = tl_why_set(why, TL_ERR_EXISTS, "another program has changed %s meanwhile", real);
    if (!e)
        e = replace_file(dir, name, real, tl_buf_slice(&saved->before), why);
    if (dir >= 0)
        close(dir);
    tl_buf_clear(&now);
    return e;
}

void tl_settings_saved_clear(tl_settings_saved *saved)
{
    tl_buf_clear(&saved->before);
    tl_buf_clear(&saved->after);
}
