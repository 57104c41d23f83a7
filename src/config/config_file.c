/* config_file.c - the file of config.h: it is read whole, and replaced whole or not at all. Knows
 * no syntax. */
#include "config/config.h"

#include "config/config_text.h"

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

static tl_err write_all(int fd, tl_slice text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return TL_ERR_IO;
        text = tl_slice_of(text.p + n, text.n - (size_t)n);
    }
    return TL_OK;
}

/* Writes a file beside the old one, syncs it, renames it over the old one, and syncs the directory.
 * So after a crash or on a full disk there is either the old file or the new one. */
static tl_err replace_file(int dir, const char *name, const char *path, tl_slice text, tl_why *why)
{
    char beside[NAME_MAX + 1];
    snprintf(beside, sizeof beside, ".%.200s.%ld", name, (long)getpid());
    int fd = openat(dir, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST && !unlinkat(dir, beside, 0))
        fd = openat(dir, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed("write beside", path, why);
    tl_err e = write_all(fd, text);
    if (!e && fsync(fd))
        e = TL_ERR_IO;
    if (e)
        e = tl_why_set(why, e, "cannot write %s: %s; it is unchanged", path, strerror(errno));
    if (close(fd) && !e)
        e = failed("write", path, why);
    if (!e && renameat(dir, beside, dir, name))
        e = failed("replace", path, why);
    if (e)
        unlinkat(dir, beside, 0);
    else if (fsync(dir))
        e = failed("sync the directory of", path, why);
    return e;
}

static tl_err edit_file(int dir, const char *name, const char *path, const tl_setting_def *def,
                        const json_t *value, tl_why *why)
{
    tl_buf text = {0}, edited = {0};
    tl_settings s = tl_settings_default();
    tl_err e = read_file(path, &text, why);
    if (!e)
        e = tl_config_text_read(tl_buf_slice(&text), path, &s, why);
    if (!e && tl_config_text_edit(tl_buf_slice(&text), def, value, &edited))
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    if (!e) {
        s = tl_settings_default();
        e = tl_config_text_read(tl_buf_slice(&edited), path, &s, why);
    }
    if (!e)
        e = replace_file(dir, name, path, tl_buf_slice(&edited), why);
    tl_buf_clear(&text);
    tl_buf_clear(&edited);
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

tl_err tl_settings_save(const char *path, const char *key, const char *text, tl_why *why)
{
    const tl_setting_def *def;
    tl_err e = tl_setting_find(key, &def, why);
    if (e)
        return e;
    tl_settings scratch = tl_settings_default();
    e = tl_settings_set(&scratch, key, text, why);
    if (e)
        return e;
    json_t *value = NULL;
    char real[PATH_MAX];
    const char *name = real;
    int dir = -1;
    e = tl_setting_value_of_text(def, text, &value, why);
    if (!e)
        e = open_place(path, real, &dir, &name, why);
    if (!e)
        e = edit_file(dir, name, real, def, value, why);
    if (dir >= 0)
        close(dir);
    json_decref(value);
    return e;
}
