#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static struct {
    tl_log_level level;
    void (*sink)(void *user, tl_log_level level, const char *line);
    void *user;
} config = {.level = TL_LOG_INFO};

void tl_log_set_level(tl_log_level level)
{
    config.level = level;
}

bool tl_log_wants(tl_log_level level)
{
    return level <= config.level;
}

void tl_log_set_sink(void (*sink)(void *user, tl_log_level level, const char *line), void *user)
{
    config.sink = sink;
    config.user = user;
}

void tl_log(tl_log_level level, const char *fmt, ...)
{
    static const char *const name[] = {"error", "warn", "info", "debug"};
    if (!tl_log_wants(level))
        return;
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (char *p = line; *p; p++) /* a control byte past tl_log_safe makes no new line */
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
    if (config.sink)
        config.sink(config.user, level, line);
    else
        fprintf(stderr, "teale: %s: %s\n", name[level], line);
}

void tl_log_safe_write(tl_slice s, char *ret, size_t size)
{
    assert(size >= 4);
    size_t o = 0, cut = 0, most = size - 1; /* `cut`: the last place where "..." still fits */
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool plain = c >= 0x20 && c < 0x7F && c != '\\';
        if (o + (plain ? 1 : 4) > most) {
            memcpy(ret + cut, "...", 3);
            o = cut + 3;
            break;
        }
        if (plain)
            ret[o++] = (char)c;
        else
            o += (size_t)snprintf(ret + o, 5, "\\x%02x", c);
        if (o <= most - 3)
            cut = o;
    }
    ret[o] = 0;
}

tl_safe tl_log_safe(tl_slice s)
{
    tl_safe out;
    tl_log_safe_write(s, out.text, TL_LOG_SAFE_MAX + 1);
    return out;
}
