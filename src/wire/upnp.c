#include "wire/upnp.h"

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpreplyparse.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* miniupnpc's parser looks a byte beyond the end of a text that is cut off at certain places. */
#define PADDING 16

/* --- SSDP --- */

size_t tl_ssdp_search_write(char ret_pkt[TL_SSDP_SEARCH_MAX], unsigned target)
{
    static const char *const targets[TL_SSDP_TARGETS] = {
        "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
        "urn:schemas-upnp-org:service:WANIPConnection:1",
    };
    int n = snprintf(ret_pkt, TL_SSDP_SEARCH_MAX,
                     "M-SEARCH * HTTP/1.1\r\n"
                     "HOST: 239.255.255.250:1900\r\n"
                     "ST: %s\r\n"
                     "MAN: \"ssdp:discover\"\r\n"
                     "MX: 1\r\n\r\n", /* answer within this many seconds: the least there is */
                     targets[target % TL_SSDP_TARGETS]);
    return (size_t)n;
}

static bool is_url_text(tl_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7F || strchr("\"<>\\^`{|}", s.p[i]))
            return false;
    return s.n > 7 && strncasecmp((const char *)s.p, "http://", 7) == 0;
}

/* The line at the front of *rest, which then begins after it. Routers end lines in several ways. */
static tl_slice next_line(tl_slice *rest)
{
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    tl_slice line = tl_slice_of(rest->p, n);
    n += end ? 1 : 0;
    *rest = tl_slice_of(rest->p + n, rest->n - n);
    while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
        line.n--;
    return line;
}

tl_err tl_ssdp_answer_parse(tl_slice pkt, char ret_location[TL_UPNP_URL_MAX])
{
    static const char name[] = "location:";
    if (pkt.n == 0)
        return TL_ERR_PROTO;
    tl_slice status = next_line(&pkt);
    bool ok = status.n >= 12 && memcmp(status.p, "HTTP/1.", 7) == 0 &&
              memcmp(status.p + 8, " 200", 4) == 0 && (status.n == 12 || status.p[12] == ' ');
    if (!ok)
        return TL_ERR_PROTO;
    while (pkt.n) {
        tl_slice line = next_line(&pkt);
        if (line.n < sizeof name - 1 ||
            strncasecmp((const char *)line.p, name, sizeof name - 1) != 0)
            continue;
        line = tl_slice_of(line.p + sizeof name - 1, line.n - (sizeof name - 1));
        while (line.n && (*line.p == ' ' || *line.p == '\t'))
            line = tl_slice_of(line.p + 1, line.n - 1);
        if (line.n >= TL_UPNP_URL_MAX)
            return TL_ERR_TOO_LARGE;
        if (!is_url_text(line))
            return TL_ERR_PROTO;
        memcpy(ret_location, line.p, line.n);
        ret_location[line.n] = 0;
        return TL_OK;
    }
    return TL_ERR_PROTO;
}

bool tl_upnp_url_is_at(const char *url, const tl_addr *ip)
{
    if (!is_url_text(tl_slice_str(url)))
        return false;
    const char *authority = url + 7;
    char host[TL_HOST_MAX];
    uint16_t port;
    tl_addr a;
    tl_slice text = tl_slice_of(authority, strcspn(authority, "/?#"));
    return tl_hostport_parse(text, 80, host, &port) == TL_OK && port != 0 &&
           tl_addr_parse_ip(tl_slice_str(host), &a) == TL_OK && tl_addr_same_ip(&a, ip);
}

/* --- the description --- */

static bool is_mapping_service(const char *type)
{
    static const char *const kinds[] = {"urn:schemas-upnp-org:service:WANIPConnection:",
                                        "urn:schemas-upnp-org:service:WANPPPConnection:"};
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(type, kinds[i], n) == 0)
            return type[n] && type[n + strspn(type + n, "0123456789")] == 0;
    }
    return false;
}

/* The caller's, to free; NULL without memory. */
static char *padded(tl_slice xml)
{
    char *copy = calloc(1, xml.n + PADDING);
    if (copy && xml.n)
        memcpy(copy, xml.p, xml.n);
    return copy;
}

/* Adds `service` if it maps ports and its URL can be made absolute. */
static tl_err add_service(const struct IGDdatas *data, const struct IGDdatas_service *service,
                          const char *location, tl_upnp_service *services, size_t *n)
{
    if (!is_mapping_service(service->servicetype) || !service->controlurl[0])
        return TL_OK;
    struct IGDdatas one = *data;
    one.first = *service; /* the library makes an absolute URL of the first alone */
    struct UPNPUrls urls = {0};
    GetUPNPUrls(&urls, &one, location, 0);
    tl_err e = urls.controlURL ? TL_OK : TL_ERR_NOMEM;
    if (e == TL_OK && strlen(urls.controlURL) < TL_UPNP_URL_MAX &&
        is_url_text(tl_slice_str(urls.controlURL))) {
        tl_upnp_service *s = &services[(*n)++];
        snprintf(s->control_url, sizeof s->control_url, "%s", urls.controlURL);
        snprintf(s->type, sizeof s->type, "%s", service->servicetype);
    }
    FreeUPNPUrls(&urls);
    return e;
}

tl_err tl_upnp_description_parse(tl_slice xml, const char *location,
                                 tl_upnp_service ret_services[TL_UPNP_SERVICES_MAX], size_t *ret_n)
{
    if (xml.n > TL_UPNP_BODY_MAX)
        return TL_ERR_TOO_LARGE;
    if (xml.n == 0)
        return TL_ERR_NOT_FOUND;
    struct IGDdatas *data = calloc(1, sizeof *data);
    char *text = padded(xml);
    size_t n = 0;
    tl_err e = data && text ? TL_OK : TL_ERR_NOMEM;
    if (e == TL_OK) {
        parserootdesc(text, (int)xml.n, data);
        e = add_service(data, &data->first, location, ret_services, &n);
    }
    if (e == TL_OK)
        e = add_service(data, &data->second, location, ret_services, &n);
    free(text);
    free(data);
    if (e)
        return e;
    *ret_n = n;
    return n ? TL_OK : TL_ERR_NOT_FOUND;
}

/* --- SOAP --- */

tl_err tl_upnp_call_write(tl_buf *ret_body, const char *type, const char *action,
                          const tl_upnp_argument *arguments, size_t n)
{
    tl_err e = tl_buf_printf(ret_body,
                             "<?xml version=\"1.0\"?>\r\n"
                             "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
                             "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\">"
                             "<s:Body><u:%s xmlns:u=\"%s\">",
                             action, type);
    for (size_t i = 0; i < n && e == TL_OK; i++)
        e = tl_buf_printf(ret_body, "<%s>%s</%s>", arguments[i].name, arguments[i].value,
                          arguments[i].name);
    return e ? e : tl_buf_printf(ret_body, "</u:%s></s:Body></s:Envelope>\r\n", action);
}

static const char *value_of(struct NameValueParserData *data, const char *name)
{
    const char *value = GetValueFromNameValueList(data, name);
    return value ? value : "";
}

static tl_addr ip_of(const char *text)
{
    tl_addr a = {.family = TL_ADDR_NONE};
    if (tl_addr_parse_ip(tl_slice_str(text), &a) != TL_OK || a.family != TL_ADDR_V4)
        return (tl_addr){.family = TL_ADDR_NONE};
    return a;
}

/* 0 for what is not a whole number up to `max`. */
static unsigned number_of(const char *text, unsigned max)
{
    unsigned v = 0;
    for (; *text >= '0' && *text <= '9' && v <= max; text++)
        v = v * 10 + (unsigned)(*text - '0');
    return *text || v > max ? 0 : v;
}

tl_err tl_upnp_answer_parse(tl_slice xml, tl_upnp_answer *ret_answer)
{
    if (xml.n > TL_UPNP_BODY_MAX)
        return TL_ERR_TOO_LARGE;
    struct NameValueParserData data = {0};
    char *text = padded(xml);
    if (!text)
        return TL_ERR_NOMEM;
    ParseNameValue(text, (int)xml.n, &data);
    *ret_answer = (tl_upnp_answer){
        .error = (int)number_of(value_of(&data, "errorCode"), 9999),
        .external_ip = ip_of(value_of(&data, "NewExternalIPAddress")),
        .internal_client = ip_of(value_of(&data, "NewInternalClient")),
        .internal_port = (uint16_t)number_of(value_of(&data, "NewInternalPort"), UINT16_MAX),
    };
    ClearNameValueList(&data);
    free(text);
    return TL_OK;
}
