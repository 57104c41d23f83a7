/* whole_credit.h - accounts of whole nodes: credit/ over a real store on disk, whose operations are
 * carried out at once, on virtual time. */
#ifndef TEALE_SIM_WHOLE_CREDIT_H
#define TEALE_SIM_WHOLE_CREDIT_H

#include "store/ledger.h"
#include "whole_node.h"

/* The node keeps accounts in this file from now on, over whole_node_restart, too. */
void whole_node_keep_accounts(whole_node *n, const char *path);
/* What this node says that the peer owes it. */
int64_t whole_node_balance(const whole_node *n, const whole_node *peer);
/* {ok, transactions, receipts, unsigned, problems}; the caller frees it. */
json_t *whole_node_audit(whole_node *n);

/* Of whole_node.c; for a node that keeps none they do nothing. */
void whole_credit_start(whole_node *n);
void whole_credit_stop(whole_node *n); /* as a kill: what is not on the disk is gone */
/* True: something was done. */
bool whole_credit_step(whole_node *n);
void whole_node_close_accounts(whole_node *n);
void whole_credit_on_timer(whole_node *n);
tl_time whole_credit_expiry(const whole_node *n);
void whole_credit_on_hello(whole_node *n, const tl_node_id *peer);
void whole_credit_on_told(whole_node *n, const tl_node_id *peer, const char *name,
                          const json_t *payload);

#endif
