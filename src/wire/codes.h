/* codes.h - numbers and sizes that two nodes must agree on and that belong to no one message. Holds
 * constants alone. */
#ifndef TL_WIRE_CODES_H
#define TL_WIRE_CODES_H

/* Application error codes of CONNECTION_CLOSE, RESET_STREAM and STOP_SENDING (RFC 9000 20.2). Their
 * numbers never change: an older node tells a person what they mean. */
typedef enum {
    TL_CODE_NONE,      /* nothing to say: an attempt given up, or no memory */
    TL_CODE_GOODBYE,   /* orderly: idle, or the node goes down */
    TL_CODE_PROTOCOL,  /* the peer spoke nonsense */
    TL_CODE_DUPLICATE, /* another connection to the same peer stays */
    TL_CODE_OUTAGE,    /* nothing passed for too long */
    TL_CODE_CANCELLED, /* nobody wants this answer any more */
} tl_code;

#define TL_MODEL_MAX 256 /* bytes of a model's name with its NUL */

#endif
