#include "config/dirs.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME_MAX (sizeof((struct sockaddr_un *)NULL)->sun_path - 1)

/* Writes DIR/NAME into `ret`; cuts nothing. */
static tl_err join(char ret[TL_PATH_MAX], const char *dir, const char *name, tl_why *why)
{
    int n = snprintf(ret, TL_PATH_MAX, "%s%s%s", dir, *name ? "/" : "", name);
    if (n < 0 || n >= TL_PATH_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "the path %.64s... is too long", dir);
    return TL_OK;
}

/* Finds an XDG directory. The standard says to ignore a value that is not absolute. */
static tl_err xdg(char ret[TL_PATH_MAX], const char *variable, const char *below_home, tl_why *why)
{
    const char *dir = getenv(variable);
    if (dir && *dir == '/')
        return join(ret, dir, "teale", why);
    const char *user = getenv("HOME");
    if (!user || *user != '/')
        return tl_why_set(why, TL_ERR_INVALID,
                          "HOME is not set: give --home DIR, or set TEALE_HOME or %s", variable);
    char base[TL_PATH_MAX];
    tl_err e = join(base, user, below_home, why);
    return e ? e : join(ret, base, "teale", why);
}

static tl_err absolute(char ret[TL_PATH_MAX], const char *dir, tl_why *why)
{
    char here[TL_PATH_MAX];
    size_t n = strlen(dir);
    if (n >= TL_PATH_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "the path %.64s... is too long", dir);
    if (*dir != '/') {
        if (!getcwd(here, sizeof here))
            return tl_why_set(why, TL_ERR_INVALID, "cannot tell the current directory: %s",
                              strerror(errno));
        tl_err e = join(ret, here, dir, why);
        if (e)
            return e;
    } else {
        memcpy(ret, dir, n + 1);
    }
    for (n = strlen(ret); n > 1 && ret[n - 1] == '/'; n--)
        ret[n - 1] = 0;
    return TL_OK;
}

static tl_err find_in_home(const char *home, tl_paths *p, tl_why *why)
{
    tl_err e = absolute(p->home, home, why);
    if (!e)
        e = join(p->data, p->home, "", why);
    if (!e)
        e = join(p->config, p->home, "teale.toml", why);
    return e ? e : join(p->socket, p->home, "teale.sock", why);
}

/* XDG_RUNTIME_DIR must belong to the user. After `su` it is another user's; in a container it may
 * not be there. */
static bool is_own_dir(const char *dir)
{
    struct stat st;
    return *dir == '/' && !stat(dir, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static tl_err find_in_xdg(tl_paths *p, tl_why *why)
{
    char config[TL_PATH_MAX], run[TL_PATH_MAX];
    tl_err e = xdg(config, "XDG_CONFIG_HOME", ".config", why);
    if (!e)
        e = join(p->config, config, "teale.toml", why);
    if (!e)
        e = xdg(p->data, "XDG_DATA_HOME", ".local/share", why);
    if (e)
        return e;
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (!runtime || !is_own_dir(runtime))
        return join(p->socket, p->data, "teale.sock", why);
    e = join(run, runtime, "teale", why);
    if (!e)
        e = join(p->socket, run, "teale.sock", why);
    if (!e)
        e = join(p->socket_beside, p->data, "teale.sock", why);
    if (!e && strlen(p->socket_beside) > SOCKET_NAME_MAX)
        *p->socket_beside = 0;
    return e;
}

tl_err tl_paths_find(const char *home, tl_paths *ret_paths, tl_why *why)
{
    tl_paths p = {.home = ""};
    if (!home)
        home = getenv("TEALE_HOME");
    tl_err e = home && *home ? find_in_home(home, &p, why) : find_in_xdg(&p, why);
    if (!e)
        e = join(p.key, p.data, "wan-identity.key", why);
    if (!e)
        e = join(p.key_note, p.data, "wan-identity.keychain", why);
    if (!e)
        e = join(p.api_key, p.data, "api-key", why);
    if (!e)
        e = join(p.owner_key, p.data, "owner-key", why);
    if (!e)
        e = join(p.db, p.data, "teale.db", why);
    if (!e)
        e = join(p.lock, p.data, "teale.lock", why);
    if (!e)
        e = join(p.port, p.data, "udp-port", why);
    if (!e)
        e = join(p.log, p.data, "teale.log", why);
    if (e)
        return e;
    if (strlen(p.socket) > SOCKET_NAME_MAX)
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s is %zu bytes long, a socket's name holds %zu: use a shorter --home",
                          p.socket, strlen(p.socket), SOCKET_NAME_MAX);
    *ret_paths = p;
    return TL_OK;
}

/* Makes `dir` and the directories above it, like mkdir -p. New ones get mode 0700. */
static tl_err make_dirs(const char *dir, tl_why *why)
{
    char path[TL_PATH_MAX];
    size_t n = strlen(dir);
    memcpy(path, dir, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        char was = path[i];
        path[i] = 0;
        if (mkdir(path, 0700) && errno != EEXIST)
            return tl_why_file(why, "make the directory", path, errno);
        path[i] = was;
    }
    struct stat st;
    if (stat(dir, &st))
        return tl_why_set(why, TL_ERR_IO, "cannot use the directory %s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return tl_why_set(why, TL_ERR_IO, "%s is not a directory", dir);
    return TL_OK;
}

static tl_err make_parent(const char *file, tl_why *why)
{
    char dir[TL_PATH_MAX];
    snprintf(dir, sizeof dir, "%s", file);
    char *slash = strrchr(dir, '/');
    slash[slash == dir] = 0;
    return make_dirs(dir, why);
}

tl_err tl_paths_make_config(const tl_paths *p, tl_why *why)
{
    return make_parent(p->config, why);
}

/* Makes the directory of a socket, and sees that no other user can put a socket there. */
static tl_err make_socket_dir(const char *socket, tl_why *why)
{
    char dir[TL_PATH_MAX];
    tl_err e = make_parent(socket, why);
    if (e)
        return e;
    snprintf(dir, sizeof dir, "%s", socket);
    *strrchr(dir, '/') = 0;
    struct stat st;
    if (stat(dir, &st))
        return tl_why_file(why, "look at", dir, errno);
    if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
        return tl_why_set(
            why, TL_ERR_FORBIDDEN,
            "others may write to %s, and could take the socket's place: chmod go-w it, or "
            "use another --home",
            dir);
    return TL_OK;
}

tl_err tl_paths_make_data(const tl_paths *p, tl_why *why)
{
    tl_err e = make_dirs(p->data, why);
    if (!e)
        e = make_socket_dir(p->socket, why);
    return e || !*p->socket_beside ? e : make_socket_dir(p->socket_beside, why);
}
