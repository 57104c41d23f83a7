/* log.h - one line per event, to the sink that the program sets (stderr by default). Untrusted text
 * goes through tl_log_safe, so that a peer can neither forge a line nor move a terminal's cursor.
 * Callers never log secrets, prompts or answers. */
#ifndef TL_BASE_LOG_H
#define TL_BASE_LOG_H

#include "base/slice.h"

typedef enum { TL_LOG_ERROR, TL_LOG_WARN, TL_LOG_INFO, TL_LOG_DEBUG } tl_log_level;

/* Lines above this level are not formatted. Default TL_LOG_INFO. */
void tl_log_set_level(tl_log_level level);
bool tl_log_wants(tl_log_level level);
/* `line` ends without newline and is valid only during the call. NULL restores stderr. */
void tl_log_set_sink(void (*sink)(void *user, tl_log_level level, const char *line), void *user);

void tl_log(tl_log_level level, const char *fmt, ...) TL_PRINTF(2, 3);

#define TL_LOG_SAFE_MAX 128 /* enough for a name or an address; longer text is cut with "..." */
typedef struct {
    char text[TL_LOG_SAFE_MAX + 8];
} tl_safe;
/* Printable ASCII as it is, all else as \xNN; use as tl_log_safe(s).text. */
tl_safe tl_log_safe(tl_slice s);
/* The same for longer text: writes at most `size` bytes with the NUL; `size` is 4 at least. */
void tl_log_safe_write(tl_slice s, char *ret, size_t size);

#endif
