#include "ask/access.h"

bool tl_access_is_member(const tl_access *a, const tl_node_id *peer)
{
    return a->is_member && a->is_member(a->user, peer);
}

static tl_access_verdict for_anyone(const tl_access *a, bool member)
{
    if (!a->sharing)
        return TL_ACCESS_NOT_SHARED;
    if (!a->share_public && !member)
        return TL_ACCESS_NO_MEMBER;
    return a->running ? TL_ACCESS_OK : TL_ACCESS_LEAVING;
}

tl_access_verdict tl_access_for_peer(const tl_access *a, const tl_node_id *peer)
{
    return for_anyone(a, tl_access_is_member(a, peer));
}

tl_access_verdict tl_access_for_strangers(const tl_access *a)
{
    return for_anyone(a, false);
}

tl_access_verdict tl_access_to_peer(const tl_access *a, const tl_node_id *peer)
{
    return a->ask_any || tl_access_is_member(a, peer) ? TL_ACCESS_OK : TL_ACCESS_NO_MEMBER;
}

tl_access_verdict tl_access_for_old(const tl_access *a)
{
    return a->in_clear ? for_anyone(a, false) : TL_ACCESS_ENCRYPTED;
}

tl_access_verdict tl_access_to_old(const tl_access *a, const tl_node_id *peer)
{
    if (!a->in_clear || tl_access_is_member(a, peer)) /* members speak Noise */
        return TL_ACCESS_ENCRYPTED;
    return a->ask_any ? TL_ACCESS_OK : TL_ACCESS_NO_MEMBER;
}

bool tl_access_asks_others(const tl_access *a)
{
    return a->ask_any || a->is_member;
}

const char *tl_access_words(tl_access_verdict v)
{
    switch (v) {
    case TL_ACCESS_OK: break;
    case TL_ACCESS_NOT_SHARED: return "this node shares no model server";
    case TL_ACCESS_LEAVING: return "this node is shutting down";
    case TL_ACCESS_NO_MEMBER: return "this node serves only members of its networks";
    case TL_ACCESS_ENCRYPTED: return "this node speaks only over encrypted connections";
    }
    return "";
}
