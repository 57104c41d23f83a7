/* cli.h - the teale command: what a command is, the table of commands, and how argv chooses one of
 * them. Never touches the network itself. Every command returns one of the exit codes of teale(1),
 * on which scripts rely. */
#ifndef TL_CLI_CLI_H
#define TL_CLI_CLI_H

#include "cli/args.h"
#include "cli/out.h"
#include "config/dirs.h"

enum {
    TL_EXIT_OK = 0,
    TL_EXIT_FAILED = 1,
    TL_EXIT_USAGE = 2,
    TL_EXIT_NOT_RUNNING = 3, /* no daemon */
    TL_EXIT_UNREACHABLE = 4, /* peer or relay */
    TL_EXIT_DENIED = 5,
    TL_EXIT_TIMEOUT = 6,
};

typedef struct tl_command tl_command;

typedef struct {
    tl_paths paths;
    const tl_command *command;
    bool json; /* --json was given */
} tl_cli;

struct tl_command {
    const char *name;     /* one word, or two such as "config get"; NULL ends the table */
    const char *operands; /* "KEY VALUE", "[PROMPT]", "" */
    size_t operand_min, operand_max;
    const char *summary;      /* one line of `teale help` */
    const char *details;      /* further paragraphs of --help; "" */
    const tl_option *options; /* the command's own options; never NULL */
    bool reads;               /* has --json */
    bool passes_on;           /* hands all its arguments on unread (relay) */
    int (*run)(tl_cli *cli, const tl_args *args);
};

/* NULL: past the end of the table. */
const tl_command *tl_command_at(size_t i);
/* The options that every command has, and --json; for help and completion. */
extern const tl_option tl_options_common[];
extern const tl_option tl_options_json[];

/* The whole program. */
int tl_cli_main(int argc, char **argv);

/* Prints what is wrong with the arguments and where to read on; returns TL_EXIT_USAGE. */
int tl_cli_usage(const tl_cli *cli, const char *fmt, ...) TL_PRINTF(2, 3);
/* The exit code that fits an error of ours. */
int tl_cli_exit_of(tl_err e);

#endif
