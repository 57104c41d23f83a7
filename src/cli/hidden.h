/* hidden.h - one line from the terminal, which does not show what is typed. Asks the terminal of the
 * process, whatever its input and output are; nothing is kept. */
#ifndef TL_CLI_HIDDEN_H
#define TL_CLI_HIDDEN_H

#include "base/slice.h"

/* `what` is asked for ("the passphrase"), and `otherwise` names the option that gives it without a
 * terminal. The caller closes *ret_fd. TL_ERR_UNREACHABLE: there is no terminal. */
TL_CHECK tl_err tl_hidden_open(const char *what, const char *otherwise, int *ret_fd, tl_why *why);

/* Writes the question, reads one line into `ret` (at most `size` - 1 bytes, with a NUL; the caller wipes
 * it) and ends the line on the terminal. TL_ERR_CANCELLED: Ctrl-C or Ctrl-D. TL_ERR_INVALID: the line is
 * too long. TL_ERR_UNREACHABLE: this is no terminal. */
TL_CHECK tl_err tl_hidden_ask(int fd, const char *question, char *ret, size_t size, tl_why *why);

#endif
