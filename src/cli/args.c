#include "cli/args.h"

#include "base/log.h"
#include "base/suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BEHIND_DASHES " (what begins with - and is no option goes behind --)"

static const tl_option *find_long(const tl_option *const *tables, const char *name, size_t n)
{
    for (; *tables; tables++)
        for (const tl_option *o = *tables; o->name; o++)
            if (strlen(o->name) == n && !memcmp(o->name, name, n))
                return o;
    return NULL;
}

static const tl_option *find_letter(const tl_option *const *tables, char letter)
{
    for (; *tables; tables++)
        for (const tl_option *o = *tables; o->name; o++)
            if (o->letter == letter)
                return o;
    return NULL;
}

static tl_err unknown(const tl_option *const *tables, const char *given, size_t n, tl_why *why)
{
    char name[TL_SUGGEST_WORD_MAX + 2];
    snprintf(name, sizeof name, "%.*s", (int)n, given);
    tl_suggest s = tl_suggest_begin(name);
    for (; *tables; tables++)
        for (const tl_option *o = *tables; o->name; o++)
            tl_suggest_offer(&s, o->name);
    tl_safe safe = tl_log_safe(tl_slice_str(name));
    if (s.best)
        return tl_why_set(why, TL_ERR_INVALID, "unknown option --%s; did you mean --%s?", safe.text,
                          s.best);
    return tl_why_set(why, TL_ERR_INVALID, "unknown option --%s" BEHIND_DASHES, safe.text);
}

static tl_err add(tl_args *a, const tl_option *o, const char *value, tl_why *why)
{
    if (a->option_n == TL_ARGS_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "more than %d options", TL_ARGS_MAX);
    a->option[a->option_n] = o;
    a->value[a->option_n++] = value;
    return TL_OK;
}

/* argv[*i] is `--name`, `--name=value`, or `--name` with its value next. */
static tl_err take_long(int argc, char *const *argv, int *i, const tl_option *const *tables,
                        tl_args *a, tl_why *why)
{
    const char *name = argv[*i] + 2;
    size_t n = strcspn(name, "=");
    const tl_option *o = find_long(tables, name, n);
    if (!o)
        return unknown(tables, name, n, why);
    if (!o->value)
        return name[n] ? tl_why_set(why, TL_ERR_INVALID, "option --%s takes no value", o->name)
                       : add(a, o, NULL, why);
    if (name[n])
        return add(a, o, name + n + 1, why);
    if (*i + 1 >= argc)
        return tl_why_set(why, TL_ERR_INVALID, "option --%s wants a value: --%s %s", o->name,
                          o->name, o->value);
    return add(a, o, argv[++*i], why);
}

/* argv[*i] is `-abc`, `-nvalue`, or `-n` with its value next. */
static tl_err take_short(int argc, char *const *argv, int *i, const tl_option *const *tables,
                         tl_args *a, tl_why *why)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        const tl_option *o = find_letter(tables, *p);
        if (!o) {
            tl_safe safe = tl_log_safe(tl_slice_of(p, 1));
            return tl_why_set(why, TL_ERR_INVALID, "unknown option -%s" BEHIND_DASHES, safe.text);
        }
        tl_err e;
        if (!o->value) {
            e = add(a, o, NULL, why);
            if (e)
                return e;
            continue;
        }
        if (p[1])
            return add(a, o, p + 1, why);
        if (*i + 1 >= argc)
            return tl_why_set(why, TL_ERR_INVALID, "option -%c wants a value: -%c %s", *p, *p,
                              o->value);
        return add(a, o, argv[++*i], why);
    }
    return TL_OK;
}

/* -1 is a number, where no option is a digit. */
static bool is_number(const char *word, const tl_option *const *tables)
{
    return word[0] == '-' && word[1] >= '0' && word[1] <= '9' && !find_letter(tables, word[1]);
}

tl_err tl_args_parse(int argc, char *const *argv, const tl_option *const *tables, tl_args *ret_args,
                     tl_why *why)
{
    tl_args a = {.option_n = 0};
    bool options_end = false;
    for (int i = 0; i < argc; i++) {
        tl_err e = TL_OK;
        if (!options_end && !strcmp(argv[i], "--"))
            options_end = true;
        else if (!options_end && !strncmp(argv[i], "--", 2))
            e = take_long(argc, argv, &i, tables, &a, why);
        else if (!options_end && argv[i][0] == '-' && argv[i][1] && !is_number(argv[i], tables))
            e = take_short(argc, argv, &i, tables, &a, why);
        else if (a.operand_n == TL_ARGS_MAX)
            e = tl_why_set(why, TL_ERR_INVALID, "more than %d words: put them in quotes",
                           TL_ARGS_MAX);
        else
            a.operand[a.operand_n++] = argv[i];
        if (e)
            return e;
    }
    *ret_args = a;
    return TL_OK;
}

bool tl_args_has(const tl_args *args, const char *name)
{
    for (size_t i = 0; i < args->option_n; i++)
        if (!strcmp(args->option[i]->name, name))
            return true;
    return false;
}

const char *tl_args_value(const tl_args *args, const char *name)
{
    for (size_t i = args->option_n; i-- > 0;)
        if (!strcmp(args->option[i]->name, name))
            return args->value[i];
    return NULL;
}

tl_err tl_args_number(const tl_args *args, const char *name, long fallback, long least, long most,
                      long *ret_number, tl_why *why)
{
    const char *text = tl_args_value(args, name);
    if (!text) {
        *ret_number = fallback;
        return TL_OK;
    }
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    bool digits = *text >= '0' && *text <= '9';
    if (!digits || *end || errno || v < least || v > most)
        return tl_why_set(why, TL_ERR_INVALID, "--%s must be a whole number from %ld to %ld", name,
                          least, most);
    *ret_number = v;
    return TL_OK;
}

bool tl_args_whole(const char *text, int64_t least, int64_t most, int64_t *ret_number)
{
    size_t n = strlen(text);
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (!n || strspn(text, "0123456789") != n || errno || v < least || v > most)
        return false;
    *ret_number = v;
    return true;
}
