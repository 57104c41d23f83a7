/* whole_model.h - the scripted model server of a whole_node, which is the `user` of all of these. */
#ifndef TEALE_SIM_WHOLE_MODEL_H
#define TEALE_SIM_WHOLE_MODEL_H

#include "whole_node.h"

tl_err whole_model_ask(void *user, const tl_ask *ask, const tl_exchange_sink *sink, void *sink_user,
                       tl_exchange **ret_exchange);
/* Does what is due. */
void whole_model_run(whole_node *n);
tl_time whole_model_expiry(const whole_node *n);
/* All exchanges end without a word. */
void whole_model_stop(whole_node *n);

#endif
