/* mailbox.h - letters from one loop of this process to another. Any thread may put them in; the loop
 * that owns the box is woken once for all that wait. Knows nothing of what is in them. */
#ifndef TL_RELAYD_MAILBOX_H
#define TL_RELAYD_MAILBOX_H

#include "base/slice.h"
#include "io/loop.h"

typedef struct tl_mailbox tl_mailbox;

/* What is lent and waits, in bytes. Strangers decide how much is lent, so there is a bound: 3 ms of
 * datagrams at 10 Gbit/s. */
#define TL_MAILBOX_LENT_MAX (4u << 20)

/* `on_letter` gets the letters in the order in which each sender put them in, and then `on_read` is
 * called once. The bytes of a letter may be borrowed until `on_read` returns. TL_ERR_NOMEM, TL_ERR_IO. */
TL_CHECK tl_err tl_mailbox_new(tl_loop *loop, void (*on_letter)(void *user, tl_slice bytes),
                               void (*on_read)(void *user), void *user, tl_mailbox **ret_box);
/* The loop does not run any more, and no thread puts anything in. What is left is dropped. */
void tl_mailbox_free(tl_mailbox *b);

/* --- from any thread --- */
/* Copies. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_mailbox_put(tl_mailbox *b, tl_slice bytes);
/* Calls `fn` on the loop of the box, in order with the letters. Never called: the box was freed
 * before; then `drop` (may be NULL) is. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_mailbox_call(tl_mailbox *b, void (*fn)(void *arg), void (*drop)(void *arg),
                                void *arg);
/* Calls `fn` as above, and `release` (free, say) when `on_read` has returned, or when the box is freed:
 * so what hangs on `arg`, `n` bytes, may be borrowed until then. TL_ERR_BUSY: TL_MAILBOX_LENT_MAX are
 * lent already; TL_ERR_NOMEM. */
TL_CHECK tl_err tl_mailbox_lend(tl_mailbox *b, void (*fn)(void *arg), void (*release)(void *arg),
                                void *arg, size_t n);
/* Bytes of letters that wait in it. */
size_t tl_mailbox_bytes(const tl_mailbox *b);

#endif
