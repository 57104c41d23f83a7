#include "relay/lines.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

static tl_relay_group *find_group(const tl_relay_lines *l, uint64_t number)
{
    tl_relay_group *g;
    HASH_FIND(hh, l->groups, &number, sizeof number, g);
    return g;
}

static tl_relay_line *find_line(const tl_relay_group *g, uint64_t sender)
{
    tl_relay_line *line;
    HASH_FIND(hh, g->lines, &sender, sizeof sender, line);
    return line;
}

tl_relay_line *tl_relay_lines_find(const tl_relay_lines *l, uint64_t group, uint64_t sender)
{
    const tl_relay_group *g = find_group(l, group);
    return g ? find_line(g, sender) : NULL;
}

size_t tl_relay_lines_of_group(const tl_relay_lines *l, uint64_t group)
{
    const tl_relay_group *g = find_group(l, group);
    return g ? g->bytes : 0;
}

static tl_relay_group *make_group(tl_relay_lines *l, uint64_t number)
{
    tl_relay_group *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->number = number;
    if (!TL_TABLE_ADD(hh, l->groups, number, sizeof g->number, g)) {
        free(g);
        return NULL;
    }
    DL_APPEND(l->turn, g);
    l->memory += sizeof *g;
    return g;
}

static tl_relay_line *make_line(tl_relay_lines *l, tl_relay_group *g, uint64_t sender)
{
    tl_relay_line *line = calloc(1, sizeof *line);
    if (!line)
        return NULL;
    line->group = g;
    line->sender = sender;
    if (!TL_TABLE_ADD(hh, g->lines, sender, sizeof line->sender, line)) {
        free(line);
        return NULL;
    }
    DL_APPEND(g->turn, line);
    l->memory += sizeof *line;
    return line;
}

static void free_group_if_empty(tl_relay_lines *l, tl_relay_group *g)
{
    if (g->lines)
        return;
    assert(!g->bytes);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the group is in the table */
    HASH_DELETE(hh, l->groups, g);
    DL_DELETE(l->turn, g);
    l->memory -= sizeof *g;
    free(g);
}

static void free_line(tl_relay_lines *l, tl_relay_line *line)
{
    tl_relay_group *g = line->group;
    assert(!line->bytes && !line->first && !line->blocked);
    HASH_DELETE(hh, g->lines, line);
    DL_DELETE(g->turn, line);
    l->memory -= sizeof *line;
    free(line);
    free_group_if_empty(l, g);
}

static size_t cost_of(const tl_relay_chunk *chunk)
{
    return sizeof *chunk + chunk->n;
}

tl_err tl_relay_lines_add(tl_relay_lines *l, uint64_t group, uint64_t sender, tl_relay_chunk *chunk,
                          tl_relay_line **ret_line)
{
    tl_relay_group *g = find_group(l, group);
    tl_relay_line *line = NULL;
    if (!g)
        g = make_group(l, group);
    if (g && !(line = find_line(g, sender)))
        line = make_line(l, g, sender);
    if (!line) {
        tl_relay_chunk_unref(chunk);
        if (g)
            free_group_if_empty(l, g);
        return TL_ERR_NOMEM;
    }
    chunk->next = NULL;
    if (line->last)
        line->last->next = chunk;
    else
        line->first = chunk;
    line->last = chunk;
    line->bytes += chunk->n;
    g->bytes += chunk->n;
    l->bytes += chunk->n;
    l->memory += cost_of(chunk);
    *ret_line = line;
    return TL_OK;
}

/* --- turns --- */

static size_t turn_of(const tl_relay_group *g)
{
    return g->number == TL_RELAY_STRANGERS ? TL_RELAY_STRANGERS_TURN : TL_RELAY_TURN;
}

static tl_relay_line *turn_in(tl_relay_group *g)
{
    for (;;) {
        tl_relay_line *line = g->turn;
        if (line->credit >= line->first->n)
            return line;
        line->credit += turn_of(g);
        DL_DELETE(g->turn, line);
        DL_APPEND(g->turn, line);
    }
}

tl_relay_line *tl_relay_lines_turn(tl_relay_lines *l)
{
    while (l->turn) {
        tl_relay_group *g = l->turn;
        tl_relay_line *line = turn_in(g);
        if (g->credit >= line->first->n)
            return line;
        g->credit += turn_of(g);
        DL_DELETE(l->turn, g);
        DL_APPEND(l->turn, g);
    }
    return NULL;
}

static tl_relay_chunk *pop(tl_relay_lines *l, tl_relay_line *line)
{
    tl_relay_chunk *chunk = line->first;
    line->first = chunk->next;
    if (!line->first)
        line->last = NULL;
    line->bytes -= chunk->n;
    line->group->bytes -= chunk->n;
    l->bytes -= chunk->n;
    l->memory -= cost_of(chunk);
    return chunk;
}

tl_relay_chunk *tl_relay_lines_take(tl_relay_lines *l, tl_relay_line *line)
{
    tl_relay_chunk *chunk = pop(l, line);
    assert(line->credit >= chunk->n && line->group->credit >= chunk->n);
    line->credit -= chunk->n;
    line->group->credit -= chunk->n;
    if (!line->first)
        free_line(l, line);
    return chunk;
}

/* --- dropping --- */

tl_relay_line *tl_relay_lines_longest(const tl_relay_lines *l)
{
    const tl_relay_group *most = NULL, *g;
    tl_relay_line *longest = NULL, *line;
    DL_FOREACH (l->turn, g)
        if (g->number != TL_RELAY_STRANGERS && (!most || g->bytes > most->bytes))
            most = g;
    if (most)
        DL_FOREACH (most->turn, line)
            if (!longest || line->bytes > longest->bytes)
                longest = line;
    return longest;
}

void tl_relay_lines_drop(tl_relay_lines *l, tl_relay_line *line)
{
    while (line->first)
        tl_relay_chunk_unref(pop(l, line));
    free_line(l, line);
}

void tl_relay_lines_clear(tl_relay_lines *l)
{
    while (l->turn)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a line that was freed left its turn */
        tl_relay_lines_drop(l, l->turn->turn);
    assert(!l->groups && !l->bytes && !l->memory);
}
