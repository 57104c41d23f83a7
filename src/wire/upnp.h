/* upnp.h - the questions to a UPnP Internet Gateway Device and its answers: SSDP searches, the
 * device's description, SOAP calls of WANIPConnection. miniupnpc's parsers read the XML; nothing
 * here touches a socket. */
#ifndef TL_WIRE_UPNP_H
#define TL_WIRE_UPNP_H

#include "base/addr.h"

#define TL_SSDP_PORT       1900
#define TL_UPNP_URL_MAX    256 /* location and control URLs of routers are under 100 */
#define TL_UPNP_TYPE_MAX   128
#define TL_UPNP_BODY_MAX   (64u << 10) /* descriptions are 3 to 20 KiB, SOAP answers under 1 KiB */
#define TL_SSDP_SEARCH_MAX 256

/* --- SSDP (UPnP Device Architecture 1.1, 1.3) --- */

#define TL_SSDP_TARGETS 2 /* the device and its service: some routers answer to only one of them */
/* An M-SEARCH to 239.255.255.250:1900; `target` below TL_SSDP_TARGETS. Returns its length. */
size_t tl_ssdp_search_write(char ret_pkt[TL_SSDP_SEARCH_MAX], unsigned target);
/* The LOCATION of an answer, checked to be printable and to begin with http://. TL_ERR_PROTO: not a
 * 200 answer, or no such location. TL_ERR_TOO_LARGE: the location is too long. */
TL_CHECK tl_err tl_ssdp_answer_parse(tl_slice pkt, char ret_location[TL_UPNP_URL_MAX]);

/* True if the URL is http:// with the literal address `ip` as its host. */
bool tl_upnp_url_is_at(const char *url, const tl_addr *ip);

/* --- the description --- */

typedef struct {
    char control_url[TL_UPNP_URL_MAX]; /* absolute */
    char type[TL_UPNP_TYPE_MAX]; /* urn:schemas-upnp-org:service:WAN...Connection:N, safe in XML */
} tl_upnp_service;

#define TL_UPNP_SERVICES_MAX 2 /* WANIPConnection and WANPPPConnection */
/* Services that map ports, in their order of preference. `location` is where the description came
 * from. TL_ERR_NOT_FOUND: none. TL_ERR_TOO_LARGE. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_upnp_description_parse(tl_slice xml, const char *location,
                                          tl_upnp_service ret_services[TL_UPNP_SERVICES_MAX],
                                          size_t *ret_n);

/* --- SOAP --- */

typedef struct {
    const char *name, *value; /* neither needs escaping */
} tl_upnp_argument;

/* The body of a call. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_upnp_call_write(tl_buf *ret_body, const char *type, const char *action,
                                   const tl_upnp_argument *arguments, size_t n);

typedef enum { /* UPnP errors that are told apart (WANIPConnection:2, 2.5) */
               TL_UPNP_ACTION_FAILED = 501,
               TL_UPNP_NOT_AUTHORIZED = 606,
               TL_UPNP_NO_SUCH_ENTRY = 714,
               TL_UPNP_CONFLICT = 718,
               TL_UPNP_SAME_PORT_ONLY = 724,
               TL_UPNP_PERMANENT_ONLY = 725,
               TL_UPNP_NO_PORTS_LEFT = 728,
               TL_UPNP_CONFLICT_ELSEWHERE = 729,
} tl_upnp_error;

typedef struct {
    int error;               /* 0: no error code in the answer */
    tl_addr external_ip;     /* NewExternalIPAddress; family NONE: not in the answer, or not IPv4 */
    tl_addr internal_client; /* NewInternalClient, likewise */
    uint16_t internal_port;  /* NewInternalPort; 0: not in the answer */
} tl_upnp_answer;

/* Copies. TL_ERR_TOO_LARGE, TL_ERR_NOMEM. Anything else that is not understood is just missing from
 * the answer. */
TL_CHECK tl_err tl_upnp_answer_parse(tl_slice xml, tl_upnp_answer *ret_answer);

#endif
