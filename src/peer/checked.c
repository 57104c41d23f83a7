#include "peer/checked.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64
#define PLACES_MAX (2 * TL_CHECKED_MAX) /* half of the places stay free: a search is short */
#define NEAR_MAX                                                                                   \
    8 /* places that one ID may be in: the table is no list for a node that chooses its IDs */

/* Public keys are as good as random. Somebody may make keys that meet in one place. Then these keys
 * are checked again, and the few whose places they took. */
static size_t place(const tl_checked *t, const tl_node_id *id)
{
    uint64_t word;
    memcpy(&word, id->key + 8, sizeof word);
    return word & (t->size - 1);
}

static tl_checked_key *at(const tl_checked *t, size_t first, size_t i)
{
    return &t->slots[(first + i) & (t->size - 1)];
}

static bool is_free(const tl_checked_key *k)
{
    static const tl_node_id none;
    return tl_node_id_eq(&k->id, &none);
}

const uint8_t *tl_checked_image(const tl_checked *t, const tl_node_id *id)
{
    if (!t->size)
        return NULL;
    size_t first = place(t, id);
    for (size_t i = 0; i < NEAR_MAX; i++)
        if (tl_node_id_eq(&at(t, first, i)->id, id))
            return at(t, first, i)->image;
    return NULL;
}

/* Of the places that the ID may be in, a free one; else one that the image chooses. */
static void put(tl_checked *t, const tl_checked_key *k)
{
    size_t first = place(t, &k->id);
    tl_checked_key *to = at(t, first, k->image[0] % NEAR_MAX);
    for (size_t i = 0; i < NEAR_MAX; i++)
        if (is_free(at(t, first, i))) {
            to = at(t, first, i);
            break;
        }
    t->n += is_free(to);
    *to = *k;
}

static void grow(tl_checked *t)
{
    tl_checked old = *t;
    size_t size = old.size ? 2 * old.size : FIRST_SIZE;
    tl_checked_key *slots = calloc(size, sizeof *slots);
    if (!slots)
        return;
    *t = (tl_checked){.slots = slots, .size = size};
    for (size_t i = 0; i < old.size; i++)
        if (!is_free(&old.slots[i]))
            put(t, &old.slots[i]);
    free(old.slots);
}

void tl_checked_add(tl_checked *t, const tl_node_id *id, const uint8_t image[32])
{
    tl_checked_key k = {.id = *id};
    memcpy(k.image, image, sizeof k.image);
    if (is_free(&k) || tl_checked_image(t, id))
        return;
    if (2 * (t->n + 1) > t->size && t->size < PLACES_MAX)
        grow(t);
    if (t->size)
        put(t, &k);
}

void tl_checked_clear(tl_checked *t)
{
    free(t->slots);
    *t = (tl_checked){0};
}
