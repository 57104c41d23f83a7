/* backend_slots.h - how many questions a model server answers at once, as far as it tells: asks it once
 * over HTTP, reports once, keeps nothing. A server that answers nonsense has told nothing. */
#ifndef TL_BACKEND_BACKEND_SLOTS_H
#define TL_BACKEND_BACKEND_SLOTS_H

#include "io/httpclient.h"

#define TL_BACKEND_SLOTS_MAX   1024         /* a larger number counts as this */
#define TL_BACKEND_SLOTS_BYTES (256u << 10) /* of the answer: chat templates are in it */

typedef struct tl_backend_slots_look tl_backend_slots_look;

/* Reads the answer of a server of this kind. 0: it does not tell. */
unsigned tl_backend_slots_parse(const char *kind, tl_slice json);

/* Servers of this kind can be asked: llama-server, and vLLM where it runs in its development mode. Ollama
 * tells nobody. */
bool tl_backend_slots_askable(const char *kind);
/* Copies what it is given. on_done comes once, never from inside this call, with 1 to
 * TL_BACKEND_SLOTS_MAX, or 0 where the server does not tell; the handle is invalid by then.
 * TL_ERR_INVALID, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_slots_start(tl_http *http, const char *base, const char *key,
                                       const char *kind, tl_time limit,
                                       void (*on_done)(void *user, unsigned slots), void *user,
                                       tl_backend_slots_look **ret_look);
/* Ends the look; on_done does not come. */
void tl_backend_slots_cancel(tl_backend_slots_look *l);

#endif
