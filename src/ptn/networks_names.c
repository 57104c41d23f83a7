/* What this node calls its networks, and what it called them before. */
#include "ptn/networks_state.h"

#include <stdio.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

bool tl_network_digits_are(tl_slice text)
{
    size_t n = 0;
    while (n < text.n &&
           ((text.p[n] >= '0' && text.p[n] <= '9') || (text.p[n] >= 'a' && text.p[n] <= 'f')))
        n++;
    return n == text.n && n >= TL_NETWORK_PREFIX_MIN && n <= TL_NODE_ID_HEX;
}

/* A name that looks like the digits of an ID could hide the network that has that ID. */
bool tl_network_name_is(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= TL_PTN_NAME_MAX && *name != '-' && strspn(name, NAME_LETTERS) == n &&
           !tl_network_digits_are(tl_slice_str(name));
}

void tl_network_name_make(const char *wish, char ret[TL_PTN_NAME_MAX + 1])
{
    snprintf(ret, TL_PTN_NAME_MAX + 1,
             tl_network_digits_are(tl_slice_str(wish)) ? "net-%.60s" : "%.64s", wish);
    for (char *c = ret; *c; c++)
        if (!strchr(NAME_LETTERS, *c))
            *c = '-';
    if (*ret == '-')
        *ret = '_'; /* a command would read it as an option */
}

/* --- the book --- */

tl_membership *tl_networks_named(const tl_networks *b, const char *name,
                                 const tl_membership *except)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->ours[i] != except && !b->ours[i]->left && strcmp(b->ours[i]->name, name) == 0)
            return b->ours[i];
    return NULL;
}

static void forget_old_name(tl_membership *n, size_t i)
{
    n->old.n--;
    memmove(n->old.names[i], n->old.names[i + 1], (n->old.n - i) * sizeof n->old.names[0]);
}

void tl_networks_add_old_name(tl_membership *n, const char *name)
{
    for (size_t i = 0; i < n->old.n; i++)
        if (strcmp(n->old.names[i], name) == 0)
            forget_old_name(n, i--);
    if (strcmp(n->name, name) == 0)
        return;
    if (n->old.n == TL_NETWORK_OLD_NAMES)
        forget_old_name(n, 0);
    snprintf(n->old.names[n->old.n++], sizeof n->old.names[0], "%s", name);
}

tl_err tl_networks_rename(tl_networks *b, tl_membership *n, const char *name)
{
    char before[TL_PTN_NAME_MAX + 1];
    if (!tl_network_name_is(name))
        return TL_ERR_INVALID;
    memcpy(before, n->name, sizeof before);
    if (name != n->name)
        snprintf(n->name, sizeof n->name, "%s", name);
    tl_networks_add_old_name(n, n->name); /* it is no old one any more */
    tl_networks_add_old_name(n, before);
    b->version++;
    return TL_OK;
}

void tl_networks_rename_back(tl_networks *b, tl_membership *n, const char *name,
                             const tl_old_names *old)
{
    snprintf(n->name, sizeof n->name, "%s", name);
    n->old = *old;
    b->version++;
}

static bool fits(const tl_membership *n, tl_slice text)
{
    char hex[TL_NODE_ID_HEX + 1];
    if (!tl_network_digits_are(text))
        return tl_slice_eq(text, tl_slice_str(n->name));
    tl_node_id_write(hex, &n->id);
    return memcmp(text.p, hex, text.n) == 0;
}

size_t tl_networks_find(const tl_networks *b, tl_slice text, tl_membership *ret_found[2])
{
    for (int left = 0; left < 2; left++) {
        size_t count = 0;
        for (size_t i = 0; i < b->n; i++) {
            if (b->ours[i]->left != (left == 1) || !fits(b->ours[i], text))
                continue;
            if (count < 2)
                ret_found[count] = b->ours[i];
            count++;
        }
        if (count)
            return count;
    }
    return 0;
}

const tl_membership *tl_networks_once_called(const tl_networks *b, tl_slice name)
{
    const tl_membership *left = NULL;
    for (size_t i = 0; i < b->n; i++) {
        const tl_membership *n = b->ours[i];
        for (size_t k = 0; k < n->old.n; k++) {
            if (!tl_slice_eq(name, tl_slice_str(n->old.names[k])))
                continue;
            if (!n->left)
                return n;
            left = n;
        }
    }
    return left;
}
