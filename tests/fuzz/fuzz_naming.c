/* Names of nodes: whatever they are called and whatever is typed, an alias and an ID mean their own node. */
#include "base/alike.h"
#include "peer/naming.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line of the input, at most `cap` - 1 bytes. */
static void take(const uint8_t **data, size_t *size, char *ret, size_t cap)
{
    const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
    size_t n = end ? (size_t)(end - *data) : *size, kept = n < cap ? n : cap - 1;
    if (kept)
        memcpy(ret, *data, kept);
    ret[kept] = 0;
    n += end != NULL;
    *data += n;
    *size -= n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tl_node_id ids[NODES];
    tl_naming t = {0};
    tl_naming_known known[NODES];
    char names[NODES][TL_PEER_NAME_MAX], alias[TL_ALIKE_TEXT_MAX + 2], typed[TL_ALIKE_TEXT_MAX + 2];
    bool named[NODES];
    tl_named_by by;
    tl_node_id id;
    tl_why why = {""};
    for (size_t i = 0; i < NODES; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        tl_identity identity;
        if (!ids[i].key[0] && !tl_identity_from_seed(seed, &identity))
            ids[i] = identity.id;
        take(&data, &size, names[i], sizeof names[i]);
        known[i] = (tl_naming_known){.id = ids[i], .name = names[i]};
    }
    take(&data, &size, alias, sizeof alias);
    take(&data, &size, typed, sizeof typed);
    bool has = !tl_naming_set(&t, &ids[0], alias, &why);
    if (has != tl_alias_is(alias, NULL))
        abort();
    if (has && (tl_naming_find(&t, known, NODES, alias, &id, &by, &why) ||
                by != TL_NAMED_BY_ALIAS || memcmp(&id, &ids[0], sizeof id) != 0))
        abort();
    if (!tl_naming_find(&t, known, NODES, typed, &id, &by, &why) && by == TL_NAMED_BY_NAME) {
        char key[TL_ALIKE_KEY_MAX], of_alias[TL_ALIKE_KEY_MAX];
        tl_alike_key(tl_slice_str(typed), key);
        tl_alike_key(tl_slice_str(alias), of_alias);
        if (has && !strcmp(key, of_alias) && memcmp(&id, &ids[0], sizeof id) != 0)
            abort();
    }
    if (tl_naming_mark(&t, known, NODES, named))
        abort();
    for (size_t i = 0; i < NODES; i++)
        if (named[i] && !(has && !strcmp(alias, names[i])) &&
            (tl_naming_find(&t, known, NODES, names[i], &id, &by, &why) ||
             memcmp(&id, &ids[i], sizeof id) != 0))
            abort();
    tl_naming_clear(&t);
    return 0;
}
