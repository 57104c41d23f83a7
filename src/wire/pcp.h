/* pcp.h - Port Control Protocol (RFC 6887), the client's half: MAP requests, answers to them and
 * ANNOUNCE. Pure codec: no heap, clock or socket.
 *
 *    0               1               2               3
 *   +---------------+-+-------------+-------------------------------+
 *   | version = 2   |R| opcode      | reserved      | result (in R) |   request: R = 0, lifetime,
 *   +---------------+-+-------------+-------------------------------+   then our own address (16)
 *   | lifetime, seconds                                             |   answer: R = 1, lifetime,
 *   +---------------------------------------------------------------+   epoch (4), reserved (12)
 *   | ... 16 bytes                                                  |
 *   +---------------------------------------------------------------+
 *   | MAP: nonce (12)                                               |
 *   +---------------+-----------------------------------------------+
 *   | protocol = 17 | reserved                                      |
 *   +---------------+---------------+-------------------------------+
 *   | internal port                 | external port                 |
 *   +-------------------------------+-------------------------------+
 *   | external address (16; IPv4 as ::ffff:a.b.c.d)                 |
 *   +---------------------------------------------------------------+
 *   | options: code, reserved, length (2), data padded to 4 ...     |                           */
#ifndef TL_WIRE_PCP_H
#define TL_WIRE_PCP_H

#include "base/addr.h"

#define TL_PCP_PORT          5351 /* the gateway's; NAT-PMP's as well */
#define TL_PCP_ANNOUNCE_PORT 5350 /* ours, of 224.0.0.1: gateways tell of a restart there */
#define TL_PCP_MAX           1100 /* RFC 6887 7 */
#define TL_PCP_NONCE_SIZE    12
#define TL_PCP_MAP_SIZE      60
#define TL_PCP_VERSION       2

typedef enum { TL_PCP_ANNOUNCE = 0, TL_PCP_MAP = 1 } tl_pcp_opcode;

typedef enum { /* RFC 6887 7.4 */
               TL_PCP_SUCCESS = 0,
               TL_PCP_UNSUPP_VERSION = 1,
               TL_PCP_NOT_AUTHORIZED = 2,
               TL_PCP_NETWORK_FAILURE = 7,
               TL_PCP_NO_RESOURCES = 8,
               TL_PCP_USER_EX_QUOTA = 10,
               TL_PCP_CANNOT_PROVIDE_EXTERNAL = 11,
               TL_PCP_ADDRESS_MISMATCH = 12,
} tl_pcp_result;
/* In words, for a person; static storage. Any number is taken. */
const char *tl_pcp_result_text(unsigned result);

typedef struct {
    tl_addr client; /* the address we send from, IPv4; the port counts for nothing */
    uint8_t nonce[TL_PCP_NONCE_SIZE];
    uint32_t lifetime_s; /* 0: remove the mapping */
    uint16_t internal_port;
    tl_addr external; /* suggested; family NONE: any address, port 0: any port */
} tl_pcp_map;

/* A MAP request for UDP. */
void tl_pcp_map_write(uint8_t ret_pkt[TL_PCP_MAP_SIZE], const tl_pcp_map *map);

typedef struct {
    uint8_t opcode;
    uint8_t result;
    uint32_t lifetime_s; /* of the mapping; with an error: how long the error is expected to last */
    uint32_t epoch_s;
    bool has_map; /* always with opcode MAP and success; with an error perhaps */
    uint8_t nonce[TL_PCP_NONCE_SIZE];
    uint8_t protocol;
    uint16_t internal_port;
    tl_addr external;
} tl_pcp_answer;

/* Copies. Options are checked for their framing and passed over. TL_ERR_SHORT: truncated.
 * TL_ERR_TOO_LARGE. TL_ERR_PROTO: not an answer of version 2, not a multiple of four bytes, an
 * option that overruns. */
TL_CHECK tl_err tl_pcp_answer_parse(tl_slice pkt, tl_pcp_answer *ret_answer);

#endif
