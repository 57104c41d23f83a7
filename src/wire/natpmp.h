/* natpmp.h - NAT Port Mapping Protocol (RFC 6886), the client's half: requests, and answers to
 * them. Pure codec: no heap, clock or socket.
 *
 *   request                        answer
 *   | 0 | op |                     | 0 | 128 + op | result (2) | epoch, seconds (4) |
 *   op 0, external address: -      | address (4) |
 *   op 1, map UDP:                 | internal port (2) | external port (2) | lifetime (4) |
 *   | reserved (2) | internal port (2) | wished external port (2) | lifetime (4) |         */
#ifndef TL_WIRE_NATPMP_H
#define TL_WIRE_NATPMP_H

#include "base/addr.h"

#define TL_NATPMP_ADDRESS_SIZE 2
#define TL_NATPMP_MAP_SIZE     12

typedef enum { TL_NATPMP_ADDRESS = 0, TL_NATPMP_MAP_UDP = 1 } tl_natpmp_op;

typedef enum { /* RFC 6886 3.5 */
               TL_NATPMP_SUCCESS = 0,
               TL_NATPMP_UNSUPP_VERSION = 1,
               TL_NATPMP_NOT_AUTHORIZED = 2,
               TL_NATPMP_NETWORK_FAILURE = 3,
               TL_NATPMP_NO_RESOURCES = 4,
               TL_NATPMP_UNSUPP_OPCODE = 5,
} tl_natpmp_result;
/* In words, for a person; static storage. Any number is taken. */
const char *tl_natpmp_result_text(unsigned result);

void tl_natpmp_address_write(uint8_t ret_pkt[TL_NATPMP_ADDRESS_SIZE]);
/* Lifetime 0 (then external_port 0) removes the mapping of the internal port. */
void tl_natpmp_map_write(uint8_t ret_pkt[TL_NATPMP_MAP_SIZE], uint16_t internal_port,
                         uint16_t external_port, uint32_t lifetime_s);

typedef struct {
    uint8_t op;
    uint16_t result;
    uint32_t epoch_s;
    tl_addr address;        /* with success of ADDRESS; port 0 */
    uint16_t internal_port; /* from here on: with success of MAP_UDP */
    uint16_t external_port;
    uint32_t lifetime_s;
} tl_natpmp_answer;

/* True for any packet of version 0. Its speaker answers PCP's version 2 with one, too. */
bool tl_natpmp_is(tl_slice pkt);
/* Copies. TL_ERR_SHORT: truncated. TL_ERR_PROTO: not an answer of version 0 to one of our two
 * requests, or too long. */
TL_CHECK tl_err tl_natpmp_answer_parse(tl_slice pkt, tl_natpmp_answer *ret_answer);

#endif
