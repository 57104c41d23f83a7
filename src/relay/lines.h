/* lines.h - what waits for one connection that reads too slowly: a line for each sender, and whose
 * turn it is. Touches no connection, and decides nothing about limits.
 *
 * Turns are a deficit round robin by bytes, on two floors. First it is the turn of a group: all
 * senders of one address, or all strangers. Within the group it is the turn of a line. So neither a
 * sender with many sessions nor an address with many senders gets more than its share. */
#ifndef TL_RELAY_LINES_H
#define TL_RELAY_LINES_H

#include "base/table.h"
#include "relay/output.h"

/* Bytes of one turn: a few datagrams. All strangers together get an eighth of what one address
 * gets: they only ask for sessions. A relayOpen is small, so among them it goes before all that is
 * long. */
#define TL_RELAY_TURN           (16u << 10)
#define TL_RELAY_STRANGERS_TURN (2u << 10)
#define TL_RELAY_STRANGERS      UINT64_MAX /* the number of their group; no address has it */

struct tl_relay_member;
typedef struct tl_relay_group tl_relay_group;

/* What waits of one sender. Exists only while something waits. */
typedef struct tl_relay_line {
    tl_relay_group *group;
    uint64_t sender;
    size_t bytes, credit;
    tl_relay_chunk *first, *last;
    struct tl_relay_member *blocked; /* utlist of those that wait for room in it (route.c) */
    struct tl_relay_line *prev, *next;
    UT_hash_handle hh;
} tl_relay_line;

struct tl_relay_group {
    uint64_t number;
    size_t bytes, credit;
    tl_relay_line *lines, *turn; /* the same lines: as table; as utlist, the next turn first */
    struct tl_relay_group *prev, *next;
    UT_hash_handle hh;
};

/* Begins zero-initialised. */
typedef struct {
    tl_relay_group *groups, *turn; /* as above */
    size_t bytes;
    size_t memory; /* about the bytes that all of it takes */
} tl_relay_lines;

/* NULL: nothing waits of this sender. `group` is the number of its address, or
 * TL_RELAY_STRANGERS. */
tl_relay_line *tl_relay_lines_find(const tl_relay_lines *l, uint64_t group, uint64_t sender);
/* How many bytes wait of one group. */
size_t tl_relay_lines_of_group(const tl_relay_lines *l, uint64_t group);
/* Appends the chunk to its sender's line. Takes over the reference, even when the call fails.
 * TL_ERR_NOMEM: nothing changed. */
TL_CHECK tl_err tl_relay_lines_add(tl_relay_lines *l, uint64_t group, uint64_t sender,
                                   tl_relay_chunk *chunk, tl_relay_line **ret_line);
/* The line whose turn it is: its first chunk goes next. NULL: nothing waits. */
tl_relay_line *tl_relay_lines_turn(tl_relay_lines *l);
/* Takes the first chunk out of the line of which tl_relay_lines_turn told. The caller gets the
 * reference. Frees the line with its last chunk; nobody may be blocked in it then. */
tl_relay_chunk *tl_relay_lines_take(tl_relay_lines *l, tl_relay_line *line);
/* The longest line of the longest group; strangers are not looked at. NULL: there is none. */
tl_relay_line *tl_relay_lines_longest(const tl_relay_lines *l);
/* Drops what waits in the line, and frees it; nobody may be blocked in it. */
void tl_relay_lines_drop(tl_relay_lines *l, tl_relay_line *line);
void tl_relay_lines_clear(tl_relay_lines *l);

#endif
