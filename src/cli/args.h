/* args.h - options and operands of a command, GNU style: `--name=value`, `--name value`, `-n
 * value`, `-nvalue`, options anywhere before `--`; `-1` is an operand. Reads only argv; never prints. */
#ifndef TL_CLI_ARGS_H
#define TL_CLI_ARGS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TL_ARGS_MAX 256 /* options of one command; also the words of a prompt */

typedef struct {
    const char *name;  /* without the dashes; NULL ends a table */
    char letter;       /* 0: only the long form */
    const char *value; /* "URL": the option takes a value, and help shows this; NULL: a switch */
    const char *help;  /* one line */
} tl_option;

typedef struct {
    const tl_option *option[TL_ARGS_MAX]; /* in the order of argv */
    const char *value[TL_ARGS_MAX];       /* the value of the same option; NULL for a switch */
    size_t option_n;
    const char *operand[TL_ARGS_MAX];
    size_t operand_n;
} tl_args;

/* Reads argv[0 .. argc) against the tables (NULL ends the list of them). Borrows argv and the
 * tables. TL_ERR_INVALID, with the option and a suggestion in `why`. */
TL_CHECK tl_err tl_args_parse(int argc, char *const *argv, const tl_option *const *tables,
                              tl_args *ret_args, tl_why *why);

bool tl_args_has(const tl_args *args, const char *name);
/* The last value given; NULL when there is none. */
const char *tl_args_value(const tl_args *args, const char *name);
/* A whole number in [least, most] from an option; the fallback if the option was not given.
 * TL_ERR_INVALID: not such a number. */
TL_CHECK tl_err tl_args_number(const tl_args *args, const char *name, long fallback, long least,
                               long most, long *ret_number, tl_why *why);

/* A whole number in [least, most], written in digits alone. */
bool tl_args_whole(const char *text, int64_t least, int64_t most, int64_t *ret_number);

#endif
