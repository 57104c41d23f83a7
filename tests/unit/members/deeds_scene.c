/* What the tables of deeds of the scene's nodes need. */
#include "members_scene.h"

void note_deeds(void *user, const tl_deeds *d)
{
    (void)d;
    ((node *)user)->saved_deeds++;
}

static bool is_fellow(void *user, const tl_node_id *peer, tl_unix at)
{
    return tl_networks_is_member(((node *)user)->book, peer, at);
}

static void on_forgotten(void *user, const tl_node_id *signer)
{
    (void)user, (void)signer;
}

const tl_reciprocity_world deeds_world = {is_fellow, on_forgotten};
