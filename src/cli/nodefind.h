/* nodefind.h - the ID of the node that a person means: the running node knows (peer/naming.h). Changes nothing. */
#ifndef TL_CLI_NODEFIND_H
#define TL_CLI_NODEFIND_H

#include "cli/cli.h"

#define TL_NODEFIND_FORMS                                                                          \
    "PEER is a node's alias, its display name where no other node has it, its ID, or the first\n"  \
    "digits of that (4 or more; 16 of a node that this one never asked)."
#define TL_NODEFIND_PEER TL_NODEFIND_FORMS " See: teale peers alias."

/* The whole ID for a typed PEER. Of all 64 digits no node is asked. Prints what is wrong; returns an exit
 * code. */
int tl_nodefind(const tl_cli *cli, const char *typed, char ret_node[65]);
/* Another node than the one that runs here, unless all 64 digits are typed: then the node refuses itself what it is
 * asked for. */
int tl_nodefind_other(const tl_cli *cli, const char *typed, char ret_node[65]);
/* A member of the network comes before others. */
int tl_nodefind_member(const tl_cli *cli, const char *net, const char *typed, char ret_node[65]);
/* The same; a node with which there are accounts comes before others. */
int tl_nodefind_account(const tl_cli *cli, const char *typed, char ret_node[65]);

#endif
