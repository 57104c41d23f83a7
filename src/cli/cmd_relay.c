/* cmd_relay.c - `teale relay ...` runs teale-relay in its place: the one beside this program, else
 * the one on PATH. */
#include "cli/commands.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int tl_cmd_relay(tl_cli *cli, const tl_args *args)
{
    static const char name[] = "teale-relay";
    char beside[PATH_MAX];
    const char *argv[TL_ARGS_MAX + 2] = {name};
    (void)cli;
    memcpy(argv + 1, args->operand, args->operand_n * sizeof *argv);
    ssize_t n = readlink("/proc/self/exe", beside, sizeof beside - sizeof name);
    char *slash = n > 0 ? memrchr(beside, '/', (size_t)n) : NULL;
    if (slash) {
        memcpy(slash + 1, name, sizeof name);
        execv(beside, (char *const *)(void *)argv);
    }
    if (!slash || errno == ENOENT)
        execvp(name, (char *const *)(void *)argv);
    tl_out_error("cannot run teale-relay: %s. Is it installed beside teale?", strerror(errno));
    return TL_EXIT_FAILED;
}
