/* naming.h - which node a person means: by its ID, its first digits, a local alias or a display name. The one
 * place that decides. Pure memory: never touches a store or a connection.
 *
 * What a person typed is read in this order; the first that fits counts, and no later one can win over it:
 *
 *   64 hex digits        that node, known or not
 *   an alias             the owner's own word, which is no hex digits and looks like no other alias
 *   4 to 63 hex digits   the only known node whose ID begins so. A node that calls itself so is not meant. Anybody
 *                        can make an ID that begins with a few digits: a stranger needs 16. One that is merely
 *                        announced on the local network does not count for fewer
 *   a display name       the only known node that calls itself so. Nodes choose these names themselves, so
 *                        one that looks like another node's name or alias or like digits of an ID, or
 *                        is disguised (base/alike.h), names nobody
 *
 * Letter case of ASCII does not count. */
#ifndef TL_PEER_NAMING_H
#define TL_PEER_NAMING_H

#include "base/table.h"
#include "peer/peer_table.h"

#define TL_ALIAS_MAX          64   /* bytes */
#define TL_ALIASES_MAX        1024 /* a person names a few */
#define TL_NAMING_HEARD_MAX   4096 /* names of members that are remembered while they are away */
#define TL_NAMING_DIGITS_MIN  4
/* Of a stranger: as many as tables show. 4 digits are found in a moment, 8 in an hour, 16 (2^64 keys) by nobody. */
#define TL_NAMING_DIGITS_SAFE 16
#define TL_NAMING_MATCHES_MAX 16 /* that are told apart; more are "many" */

/* What is kept of one node. */
typedef struct {
    tl_node_id id;
    char alias[TL_ALIAS_MAX + 1]; /* "": none */
    char heard[TL_PEER_NAME_MAX]; /* its display name, as it was heard last; "": not kept */
    UT_hash_handle hh;
} tl_naming_entry;

/* Zero-initialise to begin. */
typedef struct {
    tl_naming_entry *entries;
    size_t aliases, heard;
} tl_naming;

/* A node that may be meant. */
typedef struct {
    tl_node_id id;
    const char *name; /* its display name, borrowed; "": not known */
    bool own;         /* this node: it is meant where no other is */
    /* A member of our networks, or one that this node asked: its first digits were seen here. */
    bool familiar;
    /* Nothing but the ID is known, as the local network announces it: TL_NAMING_DIGITS_SAFE digits name it, and it
     * takes no digits and no name away from others. */
    bool announced;
} tl_naming_known;

typedef enum {
    TL_NAMED_BY_ID,
    TL_NAMED_BY_ALIAS,
    TL_NAMED_BY_DIGITS,
    TL_NAMED_BY_NAME
} tl_named_by;
/* "id", "alias", "digits", "name"; static storage. */
const char *tl_named_by_name(tl_named_by by);

void tl_naming_clear(tl_naming *t);

/* 1 to TL_ALIAS_MAX bytes of UTF-8 without blanks, invisible characters and what a shell reads as its own;
 * not hex digits that may be those of an ID; letters of one alphabet. `why` (may be NULL) says what is wrong. */
bool tl_alias_is(const char *alias, tl_why *why);
/* Gives the node an alias, in place of the one before. TL_ERR_INVALID: the form. TL_ERR_EXISTS: another node's
 * alias looks so. TL_ERR_BUSY: TL_ALIASES_MAX. TL_ERR_NOMEM. All but the last with `why`. */
TL_CHECK tl_err tl_naming_set(tl_naming *t, const tl_node_id *id, const char *alias, tl_why *why);
/* No effect where there is none. */
void tl_naming_unset(tl_naming *t, const tl_node_id *id);
/* NULL: the node has none. */
const char *tl_naming_alias(const tl_naming *t, const tl_node_id *id);

/* What is kept of the node; NULL: nothing. */
const tl_naming_entry *tl_naming_kept(const tl_naming *t, const tl_node_id *id);

/* Keeps the display name of a member, if there is room; "" is ignored. */
void tl_naming_hear(tl_naming *t, const tl_node_id *id, const char *name);

/* May a node with this display name be named by it, as far as the name alone tells? */
bool tl_naming_may_name(const char *name);
/* The node that `text` means. `known` holds each node once. TL_ERR_NOT_FOUND: none. TL_ERR_EXISTS: more than
 * one, which `why` names. TL_ERR_INVALID: nothing that names a node. */
TL_CHECK tl_err tl_naming_find(const tl_naming *t, const tl_naming_known *known, size_t n,
                               const char *text, tl_node_id *ret, tl_named_by *ret_by, tl_why *why);
/* ret_named[i]: known[i] may be named by its display name, and no other node is meant by it. Not this node.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_naming_mark(const tl_naming *t, const tl_naming_known *known, size_t n,
                               bool *ret_named);

#endif
