/* stun.h - STUN messages (RFC 8489, with CHANGE-REQUEST, RESPONSE-ORIGIN and OTHER-ADDRESS of RFC
 * 5780): one datagram read into a flat view, and written attribute by attribute. Keeps no state and
 * judges nobody: the caller knows which transaction or key it expects. Strict: only the Binding
 * method, exact lengths, at most TL_STUN_ATTRIBUTES_MAX attributes. If FINGERPRINT is there, it is
 * last and right; MESSAGE-INTEGRITY-SHA256 stands before it. */
#ifndef TL_WIRE_STUN_H
#define TL_WIRE_STUN_H

#include "base/addr.h"

#define TL_STUN_COOKIE         0x2112A442u /* seed; RFC 8489 section 5 */
#define TL_STUN_PORT           3478
#define TL_STUN_ID             12  /* bytes of a transaction ID */
#define TL_STUN_MAC            32  /* bytes of MESSAGE-INTEGRITY-SHA256, whole */
#define TL_STUN_MAX            548 /* bytes of a message of ours: RFC 8489 section 6.1, IPv4 */
#define TL_STUN_ATTRIBUTES_MAX 24  /* ours have at most eight */
#define TL_STUN_USERNAME_MAX   64
#define TL_STUN_UNKNOWN_MAX    8 /* comprehension-required types that an error lists */

typedef enum { TL_STUN_REQUEST, TL_STUN_INDICATION, TL_STUN_SUCCESS, TL_STUN_ERROR } tl_stun_class;

typedef struct {
    uint8_t bytes[TL_STUN_ID];
} tl_stun_id;

/* Slices borrow from the datagram. An address that is absent has the family NONE. */
typedef struct {
    tl_stun_class class;
    tl_stun_id id;
    tl_addr mapped; /* XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS (RFC 3489 servers) */
    tl_addr other;  /* OTHER-ADDRESS */
    tl_addr origin; /* RESPONSE-ORIGIN */
    tl_slice username;
    bool has_priority, change_ip, change_port, has_change, fingerprint, use_candidate;
    uint32_t priority;
    uint16_t error; /* 300 to 699; 0: no ERROR-CODE */
    size_t n_unknown;
    uint16_t unknown[TL_STUN_UNKNOWN_MAX]; /* comprehension-required, not understood */
    size_t mac_at;                         /* offset of MESSAGE-INTEGRITY-SHA256; 0: none */
} tl_stun;

/* Is it for the STUN layer? Looks at the first two bits and the cookie; the rest may still be
 * wrong. */
bool tl_stun_is(tl_slice datagram);
/* TL_ERR_PROTO: anything not exactly as described above. */
TL_CHECK tl_err tl_stun_read(tl_slice datagram, tl_stun *ret_stun);
/* Is MESSAGE-INTEGRITY-SHA256 (whole, 32 bytes) there and right? Constant time. TL_ERR_AUTH. */
TL_CHECK tl_err tl_stun_verify(tl_slice datagram, const tl_stun *stun, tl_slice key);

/* Writing: begin, attributes, finish. Fits TL_STUN_MAX by construction (username bounded). */
typedef struct {
    uint8_t bytes[TL_STUN_MAX];
    size_t n;
} tl_stun_writer;

void tl_stun_begin(tl_stun_writer *w, tl_stun_class class, const tl_stun_id *id);
void tl_stun_put_xor_mapped(tl_stun_writer *w, const tl_addr *a);
void tl_stun_put_mapped(tl_stun_writer *w, const tl_addr *a);
void tl_stun_put_origin(tl_stun_writer *w, const tl_addr *a);
void tl_stun_put_other(tl_stun_writer *w, const tl_addr *a);
void tl_stun_put_username(tl_stun_writer *w, tl_slice name); /* at most TL_STUN_USERNAME_MAX */
void tl_stun_put_priority(tl_stun_writer *w, uint32_t priority);
void tl_stun_put_change(tl_stun_writer *w, bool ip, bool port);
void tl_stun_put_software(tl_stun_writer *w);
void tl_stun_put_error(tl_stun_writer *w, uint16_t code, const char *reason);
void tl_stun_put_unknown(tl_stun_writer *w, const uint16_t *types, size_t n);
/* MESSAGE-INTEGRITY-SHA256 over what is there so far. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_stun_put_integrity(tl_stun_writer *w, tl_slice key);
/* FINGERPRINT, last. */
void tl_stun_finish(tl_stun_writer *w);

#endif
