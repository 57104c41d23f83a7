#include "cli/boot.h"

#include "cli/commands.h"
#include "cli/keyhome.h"
#include "cli/overrides.h"
#include "cli/owner.h"
#include "cli/presence.h"
#include "cli/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Beside the data: lingering was switched on for the node, and goes with it. */
#define LINGER_MARK "boot.linger"

static int fail(const tl_why *why, int code)
{
    tl_out_error("%s", why->text);
    return code;
}

/* --- which node --- */

/* A service knows none of the variables that this shell has. */
static bool fits_service(const tl_paths *p)
{
    tl_paths plain;
    tl_why why;
    const char *config = getenv("XDG_CONFIG_HOME"), *data = getenv("XDG_DATA_HOME");
    char *kept[2] = {config ? strdup(config) : NULL, data ? strdup(data) : NULL};
    (void)unsetenv("XDG_CONFIG_HOME");
    (void)unsetenv("XDG_DATA_HOME");
    bool same = !tl_paths_find(NULL, &plain, &why) && !strcmp(plain.config, p->config) &&
                !strcmp(plain.data, p->data);
    if (kept[0])
        (void)setenv("XDG_CONFIG_HOME", kept[0], 1);
    if (kept[1])
        (void)setenv("XDG_DATA_HOME", kept[1], 1);
    free(kept[0]);
    free(kept[1]);
    return same;
}

/* Sets cli->paths to those of the service's node. Returns an exit code. */
static int choose(tl_cli *cli, tl_service s)
{
    tl_why why;
    if (s.system) {
        if (*cli->paths.home && strcmp(cli->paths.home, TL_BOOT_HOME) != 0)
            return tl_cli_usage(cli,
                                "the system's service has its node in " TL_BOOT_HOME ", not in %s",
                                cli->paths.home);
        return tl_paths_find(TL_BOOT_HOME, &cli->paths, &why) ? fail(&why, TL_EXIT_FAILED)
                                                              : TL_EXIT_OK;
    }
    if (*cli->paths.home)
        return tl_cli_usage(
            cli,
            "--boot is for the node in your own directories, not in %s: use it without --home and "
            "TEALE_HOME, or run `teale --home DIR serve` from a unit of your own",
            cli->paths.home);
    if (!fits_service(&cli->paths))
        return tl_cli_usage(
            cli,
            "XDG_CONFIG_HOME or XDG_DATA_HOME of this shell leads elsewhere than where a service "
            "looks: set it for services, too, in ~/.config/environment.d/");
    return TL_EXIT_OK;
}

/* --- settings --- */

static int save_as_owner(const tl_cli *cli, const tl_args *args)
{
    tl_why why;
    tl_err e = tl_owner_become(cli->paths.data, &why);
    if (!e)
        e = tl_paths_make_config(&cli->paths, &why);
    if (!e)
        e = tl_overrides_save(cli->paths.config, args, &why);
    return e ? fail(&why, TL_EXIT_FAILED) : TL_EXIT_OK;
}

/* In a process of its own, since root becomes the owner of the files there. */
static int save_settings(const tl_cli *cli, const tl_args *args)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        int code = save_as_owner(cli, args);
        fflush(NULL);
        _exit(code);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (pid < 0 || !WIFEXITED(status)) {
        tl_out_error("cannot save the settings: %s", strerror(errno));
        return TL_EXIT_FAILED;
    }
    if (!WEXITSTATUS(status) && tl_overrides_any(args))
        tl_out_note("the options are saved as settings (%s)", cli->paths.config);
    return WEXITSTATUS(status);
}

/* --- lingering --- */

static void mark_path(const tl_cli *cli, char path[TL_PATH_MAX + sizeof LINGER_MARK])
{
    snprintf(path, TL_PATH_MAX + sizeof LINGER_MARK, "%s/%s", cli->paths.data, LINGER_MARK);
}

/* False: the user's manager, and so the node, starts only when the user logs in; the caller says so. */
static bool linger(const tl_cli *cli, tl_why *ret_why)
{
    char path[TL_PATH_MAX + sizeof LINGER_MARK];
    if (tl_service_lingers())
        return true;
    if (tl_service_linger(true, ret_why))
        return false;
    mark_path(cli, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        close(fd);
    return true;
}

static void unlinger(const tl_cli *cli)
{
    char path[TL_PATH_MAX + sizeof LINGER_MARK];
    tl_why why;
    mark_path(cli, path);
    if (access(path, F_OK))
        return; /* it was on before, and is for something else */
    if (tl_service_linger(false, &why))
        tl_out_note("lingering stays on: %s", why.text);
    else
        (void)unlink(path);
}

/* --- the two commands --- */

/* A node that `teale up` started without systemd makes room for the service's. */
static int stop_other(tl_cli *cli)
{
    static const tl_args none = {.option_n = 0};
    json_t *status;
    tl_presence p = tl_presence_look(cli, &status);
    json_decref(status);
    if (p == TL_PRESENCE_NONE)
        return TL_EXIT_OK;
    tl_out_note("the node that runs is stopped, to be started again as a service ...");
    return tl_cmd_down(cli, &none);
}

static void tell_up(const tl_cli *cli, tl_service s, bool lingers, const tl_why *why)
{
    if (s.system) {
        tl_out_note("The node starts with the machine, as user " TL_BOOT_USER
                    " (teale.service). Its files: " TL_BOOT_HOME);
        tl_out_note("Commands for it: teale --home " TL_BOOT_HOME
                    " COMMAND    Its log: journalctl -u teale");
    } else if (lingers) {
        tl_out_note(
            "The node starts with the machine, as your own service (teale.service); for that, your "
            "services "
            "run while you are logged out, too (lingering). Its log: journalctl --user -u teale");
    } else {
        tl_out_note("The node starts when you log in, and ends when you log out: only an "
                    "administrator may have it start "
                    "with the machine (%s). For that: sudo loginctl enable-linger %s",
                    why->text, getenv("USER") ? getenv("USER") : "USER");
    }
    if (!s.system && !access(cli->paths.key_note, F_OK))
        tl_out_note(
            "Its key is in the keychain, so it waits until that is unlocked. To have it start "
            "without that: teale key move file");
    tl_out_note("To undo this: teale down --boot");
}

/* The service did not start: the machine shall not try it at each boot. */
static int undo(const tl_cli *cli, tl_service s, const tl_why *why)
{
    tl_why of_undoing;
    tl_out_error("%s", why->text);
    if (tl_service_do("disable", s, &of_undoing) || tl_service_do("stop", s, &of_undoing))
        tl_out_note("%s", of_undoing.text);
    if (!s.system)
        unlinger(cli);
    tl_out_note(
        "No service is enabled now. Why it did not start: journalctl %s-u teale -n 20%s",
        s.system ? "" : "--user ",
        s.system
            ? ""
            : ". Where that says 217 or 226, this kernel keeps users from namespaces: `systemctl "
              "--user cat teale` says what to set");
    return TL_EXIT_FAILED;
}

/* What the service needs: for the system's a user, for a user's a manager that runs. */
static tl_err prepare(const tl_cli *cli, tl_service s, bool *ret_lingers, tl_why *ret_why_not,
                      tl_why *why)
{
    bool systemd = !access("/run/systemd/system", F_OK);
    tl_err e = TL_OK;
    *ret_lingers = false;
    if (s.system)
        e = systemd ? tl_service_make_user(TL_BOOT_USER, TL_BOOT_HOME, why) : TL_OK;
    else
        e = tl_paths_make_data(&cli->paths, why);
    if (!e && !s.system && systemd)
        *ret_lingers = linger(cli, ret_why_not);
    return e ? e : tl_service_find(s, why);
}

/* Something failed before the service was enabled: lingering that was switched on for it now goes again. */
static int give_up(const tl_cli *cli, tl_service s, bool lingered_before, int code)
{
    if (!s.system && !lingered_before)
        unlinger(cli);
    return code;
}

int tl_boot_up(tl_cli *cli, const tl_args *args, const char **ret_new_key)
{
    tl_service s = tl_service_of_caller();
    tl_why why, why_not = {.text = ""};
    tl_settings settings;
    bool lingers;
    int code = choose(cli, s);
    if (code)
        return code;
    if (tl_overrides_load(cli->paths.config, args, &settings, &why) ||
        tl_overrides_check(args, &settings, &why))
        return tl_cli_usage(cli, "%s", why.text);
    bool lingered = !s.system && tl_service_lingers();
    tl_err e = prepare(cli, s, &lingers, &why_not, &why);
    code = e ? fail(&why, TL_EXIT_FAILED) : save_settings(cli, args);
    if (code)
        return give_up(cli, s, lingered, code);
    static char data[TL_PATH_MAX];
    snprintf(data, sizeof data, "%s", cli->paths.data);
    bool is_new = access(cli->paths.key, F_OK) && access(cli->paths.key_note, F_OK);
    *ret_new_key = is_new ? data : NULL;
    bool active = tl_service_is_active(s);
    /* the service would wait for it, and this command for the service */
    if (!s.system && !active && (e = tl_keyhome_unlock(cli, &why)))
        return give_up(cli, s, lingered, fail(&why, tl_keyhome_exit_of(e)));
    if (!active && (code = stop_other(cli)))
        return give_up(cli, s, lingered, code);
    e = tl_service_do("enable", s, &why);
    if (!e && (!active || tl_overrides_any(args)))
        e = tl_service_do(active ? "restart" : "start", s, &why);
    if (e)
        return undo(cli, s, &why);
    /* the first start of a user's manager made the directory of its socket */
    if (!s.system && tl_paths_find(NULL, &cli->paths, &why))
        return fail(&why, TL_EXIT_FAILED);
    if (*ret_new_key && !access(cli->paths.key_note, F_OK))
        *ret_new_key = "the keychain";
    tell_up(cli, s, lingers, &why_not);
    return TL_EXIT_OK;
}

int tl_boot_down(tl_cli *cli)
{
    tl_service s = tl_service_of_caller();
    tl_why why;
    int code = choose(cli, s);
    if (code)
        return code;
    tl_err e = tl_service_find(s, &why);
    if (e)
        return fail(&why, TL_EXIT_FAILED);
    bool was = tl_service_is_enabled(s) || tl_service_is_active(s);
    e = tl_service_do("disable", s, &why);
    if (!e)
        e = tl_service_do("stop", s, &why);
    if (e)
        return fail(&why, TL_EXIT_FAILED);
    if (!s.system)
        unlinger(cli);
    tl_out_note(was ? "stopped; it does not start with the machine any more"
                    : "no service of the node was enabled");
    return TL_EXIT_OK;
}
