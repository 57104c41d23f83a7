#include "io/owner.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ENDS_MAX    (2 * (32 + 5) + 2) /* two addresses with ports in hex, a blank and NUL */
#define ESTABLISHED 1                  /* TCP_ESTABLISHED of the kernel, as the table has it */
#define LISTENING   10                 /* TCP_LISTEN */

/* "0100007F:2CAB", as the kernel prints it: words of the address in the machine's byte order. */
static size_t write_end(char *ret, size_t cap, const uint8_t *bytes, size_t n, uint16_t port)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word;
        memcpy(&word, bytes + i, sizeof word);
        at += (size_t)snprintf(ret + at, cap - at, "%08X", word);
    }
    return at + (size_t)snprintf(ret + at, cap - at, ":%04X", port);
}

/* Both ends as a line of the table has them, the socket's own end first. `wide`: as of IPv6, in which
 * an IPv4 address is mapped. */
static void write_ends(char ret[ENDS_MAX], const tl_addr *own, const tl_addr *other, bool wide)
{
    const tl_addr *end[2] = {own, other};
    size_t at = 0;
    for (size_t i = 0; i < 2; i++) {
        uint8_t bytes[16] = {[10] = 0xFF, [11] = 0xFF};
        bool mapped = wide && end[i]->family == TL_ADDR_V4;
        memcpy(mapped ? bytes + 12 : bytes, end[i]->bytes, mapped || !wide ? 4 : 16);
        at += write_end(ret + at, ENDS_MAX - at, bytes, wide ? 16 : 4, end[i]->port);
        if (i == 0)
            ret[at++] = ' ';
    }
}

/* What follows the ends in a line. */
enum { STATE, QUEUES, TIMER, RETRIES, USER, TIMEOUT, INODE, FIELDS };

static bool read_fields(const char *rest, unsigned long field[FIELDS])
{
    for (size_t i = 0; i < FIELDS; i++) {
        char *end;
        rest += strspn(rest, " ");
        field[i] = strtoul(rest, &end, i == STATE ? 16 : 10);
        if (end == rest && i != QUEUES && i != TIMER && i != RETRIES) /* those are hexadecimal */
            return false;
        rest += strcspn(rest, " \n");
    }
    return true;
}

/* False: it is no socket that a program holds open. One that its program has closed belongs to nobody, and
 * the kernel shows user 0 for it. */
static bool read_holder(const char *rest, uid_t *ret_user)
{
    unsigned long field[FIELDS];
    if (!read_fields(rest, field))
        return false;
    *ret_user = (uid_t)field[USER];
    return field[STATE] == ESTABLISHED && field[INODE] != 0;
}

/* Two sockets with the same ends, of which one is bound to an interface, may both be there: then
 * only what holds for both is true. TL_ERR_NOT_FOUND: no line has these ends, or not each is of a
 * socket that is held open, by one user. TL_ERR_IO: there is no table. */
static tl_err find_in(const char *path, const char *ends, uid_t *ret_user)
{
    FILE *table = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    tl_err e = table ? TL_ERR_NOT_FOUND : TL_ERR_IO;
    while (table && getline(&line, &cap, table) > 0) {
        const char *found = strstr(line, ends);
        uid_t user;
        if (!found)
            continue;
        if (!read_holder(found + strlen(ends), &user) || (e == TL_OK && user != *ret_user)) {
            e = TL_ERR_NOT_FOUND;
            break;
        }
        *ret_user = user;
        e = TL_OK;
    }
    free(line);
    if (table)
        fclose(table);
    return e;
}

tl_err tl_owner_find(const tl_addr *client, const tl_addr *server, uid_t *ret_user)
{
    tl_addr own = tl_addr_normal(*client), other = tl_addr_normal(*server);
    char ends[ENDS_MAX];
    tl_err e = TL_ERR_NOT_FOUND;
    if (own.family == TL_ADDR_NONE || own.family != other.family)
        return TL_ERR_NOT_FOUND;
    if (own.family == TL_ADDR_V4) {
        write_ends(ends, &own, &other, false);
        e = find_in("/proc/self/net/tcp", ends, ret_user);
    }
    if (e == TL_ERR_NOT_FOUND) { /* a socket of IPv6 may reach IPv4, too */
        write_ends(ends, &own, &other, true);
        e = find_in("/proc/self/net/tcp6", ends, ret_user);
    }
    return e;
}

/* --- who listens --- */

/* An address of the table: loopback, or the one that means all? */
static bool is_here(const char *hex, size_t n)
{
    uint8_t bytes[16];
    for (size_t i = 0; i < n; i += 4) {
        char word[9] = {0};
        memcpy(word, hex + 2 * i, 8);
        uint32_t value = (uint32_t)strtoul(word, NULL, 16);
        memcpy(bytes + i, &value, 4);
    }
    tl_addr a = {.family = n == 4 ? TL_ADDR_V4 : TL_ADDR_V6};
    memcpy(a.bytes, bytes, n);
    a = tl_addr_normal(a);
    static const uint8_t any[16];
    return tl_addr_is_loopback(&a) || memcmp(a.bytes, any, sizeof any) == 0;
}

static bool other_listens_in(const char *path, size_t n, uint16_t port, uid_t *ret_user)
{
    FILE *table = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    bool found = false;
    while (table && !found && getline(&line, &cap, table) > 0) {
        const char *own = strstr(line, ": "), *rest = own ? strchr(own + 2, ' ') : NULL;
        unsigned long field[FIELDS];
        if (!rest || strspn(own += 2, "0123456789ABCDEF") != 2 * n || own[2 * n] != ':')
            continue;
        rest += strspn(rest, " ");
        if (strtoul(own + 2 * n + 1, NULL, 16) == port && is_here(own, n) &&
            read_fields(rest + strcspn(rest, " "), field) && field[STATE] == LISTENING &&
            (uid_t)field[USER] != geteuid()) {
            *ret_user = (uid_t)field[USER];
            found = true;
        }
    }
    free(line);
    if (table)
        fclose(table);
    return found;
}

bool tl_owner_other_listens(uint16_t port, uid_t *ret_user)
{
    return other_listens_in("/proc/self/net/tcp", 4, port, ret_user) ||
           other_listens_in("/proc/self/net/tcp6", 16, port, ret_user);
}

void tl_owner_write(uid_t user, char ret_text[TL_OWNER_TEXT_MAX])
{
    struct passwd entry, *found = NULL;
    char room[4096];
    if (getpwuid_r(user, &entry, room, sizeof room, &found) == 0 && found)
        snprintf(ret_text, TL_OWNER_TEXT_MAX, "%.40s (%lu)", entry.pw_name, (unsigned long)user);
    else
        snprintf(ret_text, TL_OWNER_TEXT_MAX, "%lu", (unsigned long)user);
}

/* --- whose a connection is --- */

static bool end_of(int fd, int (*which)(int, struct sockaddr *, socklen_t *), tl_addr *ret_addr)
{
    struct sockaddr_storage ss = {0};
    socklen_t n = sizeof ss;
    if (which(fd, (struct sockaddr *)&ss, &n))
        return false;
    *ret_addr = tl_addr_from_sockaddr((struct sockaddr *)&ss);
    return true;
}

bool tl_owner_is_us(int fd)
{
    tl_addr client, server;
    uid_t user;
    return end_of(fd, getpeername, &client) && end_of(fd, getsockname, &server) &&
           !tl_owner_find(&client, &server, &user) && (user == geteuid() || user == 0);
}
