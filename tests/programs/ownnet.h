/* ownnet.h - what a test needs of its machine: a network of its own, and a way to say what is missing. */
#ifndef OWNNET_H
#define OWNNET_H

#include <stdbool.h>

/* Moves the calling process into an empty network namespace, where it is root; the kernel takes it away with the
 * process. An ordinary user gets there by a user namespace. False: none is to be had here. */
bool own_network(void);

/* Puts `lo` of that namespace into use. */
bool own_loopback(void);

/* Leaves a cmocka test, and tells tools/run-tests why. */
#define skip_because(why)                                                                          \
    do {                                                                                           \
        print_message("skipped: %s\n", why);                                                       \
        skip();                                                                                    \
    } while (0)

#endif
