/* keeper.h - this node's own backup over time: when the database is copied anew, which pointer the DHT
 * gets, and whether another machine has taken the backup over. Sans-IO: copies, rows, fragments and the
 * DHT are the world's.
 *
 *   NONE --create--> KEPT --a pointer of another machine is found--> ELSEWHERE --take over--> KEPT
 *     ^                | \--create (new words)--> KEPT
 *     \---forget-- WITHDRAWN <--withdraw
 *
 * A copy is made when the words are made, TL_KEEPER_SETTLE after this node's networks have changed, and
 * TL_KEEPER_RENEW after the last one, for the ledger. One at a time.
 *
 * A pointer has sequence = max(Unix seconds, newest known + 1). It is written when the map of fragments has
 * changed, and never before the DHT was asked, within TL_KEEPER_AGAIN, which one is the newest: a node that
 * runs from an older copy of its database must not write below what it wrote before, and two machines with
 * one identity must notice each other. Who has been restored takes over: it writes a pointer with an
 * instance of its own, once, and the other machine, which finds it, writes no more.
 *
 * Two machines with one identity would act twice: answer, ask, and sign for money and networks. So a node
 * whose backup may have been restored elsewhere shows itself to nobody before it has looked once
 * (tl_keeper_is_sure), and whoever is ELSEWHERE stands aside. It leaves a notice in the DHT, by which the
 * restored machine learns of it (tl_keeper_on_noticed).
 *
 * A backup that is withdrawn is overwritten in the DHT with a notice, until its holders have been told. */
#ifndef TL_BACKUP_KEEPER_H
#define TL_BACKUP_KEEPER_H

#include "backup/pointer.h"
#include "base/env.h"
#include "store/recovery.h"

/* Somebody who makes a network makes invites next; several changes are one copy. */
#define TL_KEEPER_SETTLE (30 * TL_SEC)
#define TL_KEEPER_RENEW  (24 * 3600 * TL_SEC)
/* The first copy of a node that starts: what it missed is seen by then. */
#define TL_KEEPER_START  (20 * TL_SEC)
/* How often the DHT is asked for the newest pointer. Below the two hours that the DHT keeps it. */
#define TL_KEEPER_LOOK   (3600 * TL_SEC)
/* The same, where no node of the DHT answered, or what was to be done failed. */
#define TL_KEEPER_AGAIN  (60 * TL_SEC)

/* The furthest that a sequence which was found may be ahead of the clock, to be continued. */
#define TL_KEEPER_AHEAD (24 * 3600) /* seconds */

typedef struct tl_keeper tl_keeper;

/* A node that starts waits so long for its first look: the DHT of the internet answers in 1 to 5 s. */
#define TL_KEEPER_UNSURE (5 * TL_SEC)
#define TL_KEEPER_SOON   (1 * TL_SEC) /* between looks meanwhile */
/* Between looks where something hints at another machine. It may be about to write its pointer. */
#define TL_KEEPER_DOUBT  (8 * TL_SEC)
#define TL_KEEPER_DOUBTS 3
#define TL_KEEPER_WATCH                                                                            \
    8 /* looks after a restore: the machine before may run, and leave a notice */
/* Of a withdrawn backup the notice is kept so long at least: the DHT forgets the pointer before it in two
 * hours. */
#define TL_KEEPER_NOTICE (3 * 3600) /* seconds */

typedef enum {
    TL_KEEPER_NONE,
    TL_KEEPER_KEPT,
    TL_KEEPER_ELSEWHERE,
    TL_KEEPER_WITHDRAWN,
} tl_keeper_state;

/* Called from inside tl_keeper_... functions; may not call back. */
typedef struct {
    /* Copy the database, encrypt it with keys->blob_key, and have it kept. tl_keeper_on_copy ends it.
     * Not while one is under way. */
    void (*copy)(void *user, const tl_recovery *keys);
    /* Put the row on the disk. tl_keeper_on_saved ends it. Not while one is under way. */
    void (*save)(void *user, const tl_recovery_row *row);
    /* Ask the DHT for the newest pointer under this key. tl_keeper_on_looked ends it. Not while one is
     * under way. */
    void (*look)(void *user, const tl_node_id *recovery);
    /* This is the pointer now: keep it alive in the DHT, give it to the holders. */
    void (*publish)(void *user, const tl_dht_item *item);
    /* The pointer under this key is not ours to keep alive any more. */
    void (*withdraw)(void *user, const tl_node_id *recovery);
    /* Relays through which this node is reached, into p->relays. */
    void (*relays)(void *user, tl_pointer *p);
} tl_keeper_world;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_keeper_new(tl_rand *rand, const tl_env *env, const tl_keeper_world *world,
                              void *user, tl_keeper **ret_keeper);
/* Wipes. */
void tl_keeper_free(tl_keeper *k);
void tl_keeper_on_timer(tl_keeper *k);
tl_time tl_keeper_expiry(const tl_keeper *k);

/* What an earlier run kept. `restored`: the database is an older copy, so that this node takes over. */
TL_CHECK tl_err tl_keeper_load(tl_keeper *k, const tl_recovery_row *row, bool restored);
/* New words, in place of those before. The row is saved, then a copy is made. TL_ERR_BUSY: a copy or a row
 * is under way. */
TL_CHECK tl_err tl_keeper_create(tl_keeper *k, const uint8_t root[TL_RECOVERY_KEY], uint8_t holders,
                                 bool strangers);
/* A person has been shown the words. */
void tl_keeper_shown(tl_keeper *k);
/* Back to what was before tl_keeper_create, which did not come to its end; `row` NULL: there was none. As
 * tl_keeper_create. */
TL_CHECK tl_err tl_keeper_undo(tl_keeper *k, const tl_recovery_row *row);

/* KEPT --> WITHDRAWN. The DHT gets a notice in place of the pointer. The caller has the holders delete what
 * they hold. TL_ERR_BUSY: as tl_keeper_create. TL_ERR_INVALID: it is not KEPT. */
TL_CHECK tl_err tl_keeper_withdraw(tl_keeper *k);
/* ELSEWHERE --> KEPT, with the same words: this machine is the node again, and the other one is to stand
 * aside. Errors as above. */
TL_CHECK tl_err tl_keeper_take_over(tl_keeper *k);
/* Something hints at another machine with this identity: looks now, and again soon. */
void tl_keeper_doubt(tl_keeper *k);
/* False: a node that has just started does not know yet whether it was restored elsewhere. */
bool tl_keeper_is_sure(const tl_keeper *k);
/* What a machine that stands aside leaves in the DHT. TL_ERR_INVALID: it does not. */
TL_CHECK tl_err tl_keeper_notice(const tl_keeper *k, tl_dht_item *ret_item);
/* The DHT has this notice. True: it tells of another machine that this node did not know of. */
bool tl_keeper_on_noticed(tl_keeper *k, const tl_dht_item *item);
/* When another machine was last noticed to have started as this node, and to stand aside; 0: never. */
tl_unix tl_keeper_other_at(const tl_keeper *k);

/* This node's networks have changed. */
void tl_keeper_changed(tl_keeper *k);

/* The copy was made at this time, and is being kept; or it failed. */
void tl_keeper_on_copy(tl_keeper *k, tl_err e, tl_unix made_at);
void tl_keeper_on_saved(tl_keeper *k, tl_err e);
/* As tl_backup_world.on_map. */
void tl_keeper_on_map(tl_keeper *k, const tl_backup_map *map);
/* `item` NULL: none was found. `answered`: nodes of the DHT; 0 also where there is no DHT. */
void tl_keeper_on_looked(tl_keeper *k, const tl_dht_item *item, unsigned answered);

tl_keeper_state tl_keeper_state_of(const tl_keeper *k);
/* Borrowed. The row is that of the last call; of NONE: zeros. */
const tl_recovery_row *tl_keeper_row(const tl_keeper *k);
const tl_recovery *tl_keeper_keys(const tl_keeper *k);
/* NULL: no pointer was published since the start. */
const tl_dht_item *tl_keeper_item(const tl_keeper *k);
bool tl_keeper_is_copying(const tl_keeper *k);
bool tl_keeper_is_saving(const tl_keeper *k);

#endif
