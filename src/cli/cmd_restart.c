/* cmd_restart.c - `teale restart`: stops the node as `down` does, and starts it with the options that it has now. */
#include "cli/commands.h"
#include "cli/lock.h"
#include "cli/presence.h"
#include "cli/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_LINE_MAX (256 * 1024) /* options with values, each far below 4 KiB */

/* What the node was started with; `args` borrows from `text`. */
typedef struct {
    char *text;
    tl_args args;
} started;

/* Reads /proc/PID/NAME whole, with a zero behind it. NULL: it is not to be read, or too long. */
static char *of_process(long pid, const char *name, size_t *ret_n)
{
    char path[64], *text = malloc(COMMAND_LINE_MAX);
    snprintf(path, sizeof path, "/proc/%ld/%s", pid, name);
    FILE *f = text ? fopen(path, "re") : NULL;
    *ret_n = f ? fread(text, 1, COMMAND_LINE_MAX, f) : 0;
    if (f)
        fclose(f);
    if (!*ret_n || *ret_n == COMMAND_LINE_MAX) {
        free(text);
        return NULL;
    }
    text[*ret_n] = 0;
    return text;
}

/* A process of the unit teale.service, the system's or a user's (cgroups(7)). */
static bool is_service(long pid)
{
    size_t n;
    char *groups = of_process(pid, "cgroup", &n);
    bool is = groups && strstr(groups, "/teale.service\n");
    free(groups);
    return is;
}

static const tl_option *options_of(const char *command)
{
    size_t i = 0;
    while (strcmp(tl_command_at(i)->name, command) != 0)
        i++;
    return tl_command_at(i)->options;
}

/* `teale serve OPTION...`, as spawn.c has it. TL_ERR_INVALID: something else started the node. */
static tl_err read_options(long pid, started *ret, tl_why *why)
{
    static char *argv[TL_ARGS_MAX + 2];
    const tl_option *const tables[] = {options_of("serve"), tl_options_common, NULL};
    size_t n;
    int argc = 0;
    *ret = (started){.text = of_process(pid, "cmdline", &n)};
    if (!ret->text)
        return tl_why_set(why, TL_ERR_FORBIDDEN, "the command line of process %ld cannot be read",
                          pid);
    for (size_t at = 0; at < n && argc <= TL_ARGS_MAX + 1; at += strlen(ret->text + at) + 1)
        argv[argc++] = ret->text + at;
    if (argc < 2 || argc > TL_ARGS_MAX + 1 || strcmp(argv[1], "serve") != 0 ||
        getsid((pid_t)pid) != (pid_t)pid)
        return tl_why_set(why, TL_ERR_INVALID,
                          "the node was not started by `teale up` (process %ld): end it where it "
                          "was started, and start it there again",
                          pid);
    return tl_args_parse(argc - 2, argv + 2, tables, &ret->args, why);
}

int tl_cmd_restart(tl_cli *cli, const tl_args *args)
{
    tl_why why;
    json_t *status;
    started with = {.text = NULL};
    tl_presence p = tl_presence_look(cli, &status);
    json_decref(status);
    long pid = p == TL_PRESENCE_NONE ? 0 : tl_lock_holder(cli->paths.lock);
    if (pid && is_service(pid)) {
        if (tl_service_do("restart", tl_service_of_caller(), &why)) {
            tl_out_error("%s", why.text);
            return TL_EXIT_FAILED;
        }
        tl_out_note("the service has started the node again; see it: teale status");
        return TL_EXIT_OK;
    }
    if (pid && read_options(pid, &with, &why)) {
        free(with.text);
        tl_out_error("%s", why.text);
        return TL_EXIT_FAILED;
    }
    int code = tl_cmd_down(cli, args); /* says why where no node is running */
    if (!code)
        code = tl_cmd_up(cli, &with.args);
    free(with.text);
    return code;
}
