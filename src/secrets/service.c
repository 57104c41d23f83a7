#include "secrets/service.h"

#include <errno.h>
#include <libsecret/secret.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE       "org.freedesktop.secrets"
#define SESSION_ONLY  "/collection/session" /* GNOME Keyring's, which is in memory alone */
#define NEW_KEYRING   "Default keyring"
#define DEFAULT_ALIAS "default"
#define BUS_ADDRESS   "DBUS_SESSION_BUS_ADDRESS"

static const SecretSchema schema = {
    .name = "com.teale.NodeKey",
    .flags = SECRET_SCHEMA_NONE,
    .attributes = {{"node", SECRET_SCHEMA_ATTRIBUTE_STRING},
                   {"home", SECRET_SCHEMA_ATTRIBUTE_STRING},
                   {NULL, 0}},
};

/* One request under way. */
typedef struct {
    const tl_secret_request *request;
    tl_secret_answer *answer;
    SecretService *service;
    GHashTable *attributes;
} task;

static void fail(task *t, tl_secret_outcome o, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
static void fail(task *t, tl_secret_outcome o, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    t->answer->outcome = o;
    vsnprintf(t->answer->text, sizeof t->answer->text, fmt, args);
    va_end(args);
}

/* What an error of libsecret or of the bus means. Frees it. */
static void fail_as(task *t, GError *error)
{
    tl_secret_outcome o = TL_SECRET_FAILED;
    if (g_error_matches(error, SECRET_ERROR, SECRET_ERROR_IS_LOCKED))
        o = TL_SECRET_LOCKED;
    else if (g_error_matches(error, SECRET_ERROR, SECRET_ERROR_PROTOCOL) ||
             g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT) ||
             g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA) ||
             g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_SIGNATURE) ||
             g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD))
        o = TL_SECRET_GARBAGE;
    else if (g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
             g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
             (error && error->domain == G_DBUS_ERROR &&
              error->code >= G_DBUS_ERROR_SPAWN_EXEC_FAILED &&
              error->code <= G_DBUS_ERROR_SPAWN_NO_MEMORY))
        o = TL_SECRET_NO_SERVICE;
    if (error)
        g_dbus_error_strip_remote_error(error);
    fail(t, o, "%s", error ? error->message : "no reason given");
    g_clear_error(&error);
}

/* --- the bus --- */

/* Without a variable GLib would start a bus of its own. What systemd and dbus-user-session use is there
 * for a cron job, too. */
static bool find_bus(task *t)
{
    const char *address = g_getenv(BUS_ADDRESS), *runtime = g_getenv("XDG_RUNTIME_DIR");
    char path[200];
    struct stat st;
    if (address && *address && strncmp(address, "autolaunch:", 11) != 0)
        return true;
    for (int i = 0; i < 2; i++) {
        if (i == 0 && (!runtime || *runtime != '/'))
            continue;
        if (i == 0)
            snprintf(path, sizeof path, "%s/bus", runtime);
        else
            snprintf(path, sizeof path, "/run/user/%u/bus", (unsigned)geteuid());
        if (stat(path, &st) || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
            continue;
        char *escaped = g_dbus_address_escape_value(path), *whole;
        whole = g_strconcat("unix:path=", escaped, NULL);
        g_setenv(BUS_ADDRESS, whole, TRUE);
        g_free(escaped);
        g_free(whole);
        return true;
    }
    fail(t, TL_SECRET_NO_BUS, "%s is not set, and /run/user/%u/bus is not there", BUS_ADDRESS,
         (unsigned)geteuid());
    return false;
}

/* Root may enter anybody's bus, and would leave its key in that user's keychain. */
static bool is_our_bus(task *t)
{
    const char *address = g_getenv(BUS_ADDRESS), *at = strstr(address, "unix:path=");
    struct stat st;
    if (strncmp(address, "unix:", 5) != 0) {
        fail(t, TL_SECRET_NO_BUS, "%.100s is no socket of this machine", address);
        return false;
    }
    if (!at)
        return true;
    at += strlen("unix:path=");
    char *path = g_uri_unescape_segment(at, at + strcspn(at, ",;"), NULL);
    bool seen = path && !stat(path, &st), denied = !seen && errno == EACCES;
    g_free(path);
    if (denied)
        fail(t, TL_SECRET_NOT_OURS, "%.100s is closed to user %u", address, (unsigned)geteuid());
    else if (seen && st.st_uid != geteuid())
        fail(t, TL_SECRET_NOT_OURS, "user %u's, not user %u's", (unsigned)st.st_uid,
             (unsigned)geteuid());
    return !denied && (!seen || st.st_uid == geteuid());
}

/* The same of a socket without a file: who listens there? */
static bool is_our_connection(task *t, GDBusConnection *bus)
{
    GIOStream *stream = g_dbus_connection_get_stream(bus);
    struct ucred who;
    socklen_t n = sizeof who;
    if (!G_IS_SOCKET_CONNECTION(stream))
        return true;
    int fd = g_socket_get_fd(g_socket_connection_get_socket(G_SOCKET_CONNECTION(stream)));
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) || who.uid == geteuid())
        return true;
    fail(t, TL_SECRET_NOT_OURS, "user %u's, not user %u's", (unsigned)who.uid, (unsigned)geteuid());
    return false;
}

/* One call of the bus itself about the keychain's name. NULL: *ret_error is set. */
static GVariant *ask_bus(GDBusConnection *bus, const char *method, GVariant *args,
                         const char *answer, GError **ret_error)
{
    return g_dbus_connection_call_sync(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", method, args, G_VARIANT_TYPE(answer),
                                       G_DBUS_CALL_FLAGS_NONE, -1, NULL, ret_error);
}

/* Is a keychain on the bus? Starts it where the bus knows how. */
static bool have_service(task *t, GDBusConnection *bus)
{
    GError *error = NULL;
    gboolean owned = FALSE;
    GVariant *r = ask_bus(bus, "NameHasOwner", g_variant_new("(s)", SERVICE), "(b)", &error);
    if (r) {
        g_variant_get(r, "(b)", &owned);
        g_variant_unref(r);
    }
    if (r && !owned) { /* 0: no flags */
        r = ask_bus(bus, "StartServiceByName", g_variant_new("(su)", SERVICE, 0), "(u)", &error);
        if (r)
            g_variant_unref(r);
    }
    if (!r)
        fail_as(t, error);
    return r != NULL;
}

static bool open_bus(task *t)
{
    GError *error = NULL;
    if (!find_bus(t) || !is_our_bus(t))
        return false;
    GDBusConnection *bus = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, &error);
    if (!bus) {
        g_dbus_error_strip_remote_error(error);
        fail(t, TL_SECRET_NO_BUS, "%s", error->message);
        g_clear_error(&error);
        return false;
    }
    g_dbus_connection_set_exit_on_close(bus, FALSE);
    return is_our_connection(t, bus) && have_service(t, bus);
}

static bool open_service(task *t)
{
    GError *error = NULL;
    if (!open_bus(t))
        return false;
    t->service = secret_service_get_sync(SECRET_SERVICE_OPEN_SESSION, NULL, &error);
    if (!t->service)
        fail_as(t, error);
    return t->service != NULL;
}

/* --- locks --- */

/* Unlocks one object if that is allowed. True: it is open. */
static bool unlock(task *t, void *object)
{
    GError *error = NULL;
    GList *unlocked = NULL, *objects;
    if (!t->request->prompt) {
        fail(t, TL_SECRET_LOCKED, "%s", "");
        return false;
    }
    objects = g_list_append(NULL, object);
    int n = secret_service_unlock_sync(t->service, objects, NULL, &unlocked, &error);
    g_list_free(objects);
    g_list_free_full(unlocked, g_object_unref);
    if (error)
        fail_as(t, error);
    else if (n < 1)
        fail(t, TL_SECRET_DISMISSED, "%s", "");
    return !error && n >= 1;
}

/* The keyring that is used where nobody names one; NULL: there is none that lasts, or *ret_failed. */
static SecretCollection *default_collection(task *t, bool *ret_failed)
{
    GError *error = NULL;
    SecretCollection *c = secret_collection_for_alias_sync(t->service, DEFAULT_ALIAS,
                                                           SECRET_COLLECTION_NONE, NULL, &error);
    *ret_failed = error != NULL;
    if (error)
        fail_as(t, error);
    if (c && g_str_has_suffix(g_dbus_proxy_get_object_path(G_DBUS_PROXY(c)), SESSION_ONLY))
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro is GLib's */
        g_clear_object(&c);
    return c;
}

/* The same, open; made where a person may be asked for its password. NULL: the answer says why. */
static SecretCollection *open_collection(task *t)
{
    GError *error = NULL;
    bool failed;
    SecretCollection *c = default_collection(t, &failed);
    if (failed)
        return NULL;
    if (!c && t->request->prompt && t->request->op == TL_SECRET_STORE) {
        c = secret_collection_create_sync(t->service, NEW_KEYRING, DEFAULT_ALIAS,
                                          SECRET_COLLECTION_CREATE_NONE, NULL, &error);
        if (!c && error)
            fail_as(t, error);
        else if (!c)
            fail(t, TL_SECRET_DISMISSED, "%s", "");
        return c;
    }
    if (!c)
        fail(t, TL_SECRET_NO_COLLECTION, "%s", "");
    else if (secret_collection_get_locked(c) && !unlock(t, c))
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro is GLib's */
        g_clear_object(&c);
    return c;
}

/* --- items --- */

static GList *search(task *t, bool *ret_failed)
{
    GError *error = NULL;
    GList *found = secret_service_search_sync(t->service, &schema, t->attributes, SECRET_SEARCH_ALL,
                                              NULL, &error);
    *ret_failed = error != NULL;
    if (error)
        fail_as(t, error);
    return found;
}

/* Some keychains show nothing of a locked keyring, so that an item seems absent: looks into the default
 * keyring, and opens it if that is allowed. NULL: the answer says why. */
static GList *find(task *t)
{
    bool failed;
    GList *found = search(t, &failed);
    if (found || failed)
        return found;
    SecretCollection *c = default_collection(t, &failed);
    bool locked = c && secret_collection_get_locked(c);
    if (!failed && locked && unlock(t, c))
        found = search(t, &failed);
    else if (locked)
        failed = true;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro is GLib's */
    g_clear_object(&c);
    if (!found && !failed)
        fail(t, TL_SECRET_ABSENT, "%s", "");
    return found;
}

static bool copy_secret(SecretItem *item, char ret[TL_SECRET_HEX + 1])
{
    SecretValue *value = secret_item_get_secret(item);
    gsize n = 0;
    const char *text = value ? secret_value_get(value, &n) : NULL;
    bool ok = text && n == TL_SECRET_HEX;
    for (gsize i = 0; ok && i < n; i++)
        ok = g_ascii_isdigit(text[i]) || (text[i] >= 'a' && text[i] <= 'f');
    if (ok) {
        memcpy(ret, text, n);
        ret[n] = 0;
    } else {
        ret[0] = 0;
    }
    if (value)
        secret_value_unref(value);
    return ok;
}

static void look_up(task *t)
{
    GError *error = NULL;
    GList *found = find(t);
    bool done = false;
    for (GList *at = found; at && !done; at = at->next) {
        SecretItem *item = at->data;
        if (secret_item_get_locked(item) && !unlock(t, item)) {
            done = t->request->prompt; /* a person is asked once */
            continue;
        }
        if (!secret_item_load_secret_sync(item, NULL, &error)) {
            fail_as(t, error);
            error = NULL;
        } else if (copy_secret(item, t->answer->secret)) {
            fail(t, TL_SECRET_OK, "%s", "");
            done = true;
        } else {
            fail(t, TL_SECRET_GARBAGE, "an item that is not 64 hex digits");
        }
    }
    g_list_free_full(found, g_object_unref);
}

static void store(task *t)
{
    GError *error = NULL;
    SecretCollection *c = open_collection(t);
    if (!c)
        return;
    SecretValue *value = secret_value_new(t->request->secret, TL_SECRET_HEX, "text/plain");
    SecretItem *item = secret_item_create_sync(c, &schema, t->attributes, t->request->label, value,
                                               SECRET_ITEM_CREATE_REPLACE, NULL, &error);
    secret_value_unref(value);
    if (!item && error)
        fail_as(t, error);
    else if (!item)
        fail(t, TL_SECRET_DISMISSED, "%s", "");
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro is GLib's */
    g_clear_object(&item);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro is GLib's */
    g_clear_object(&c);
}

static void erase(task *t)
{
    GError *error = NULL;
    GList *found = find(t);
    if (!found && t->answer->outcome == TL_SECRET_ABSENT)
        fail(t, TL_SECRET_OK, "%s", "");
    for (GList *at = found; at && t->answer->outcome == TL_SECRET_OK; at = at->next) {
        SecretItem *item = at->data;
        if (secret_item_get_locked(item) && !unlock(t, item))
            break;
        if (!secret_item_delete_sync(item, NULL, &error))
            fail_as(t, error);
    }
    g_list_free_full(found, g_object_unref);
}

static void probe(task *t)
{
    SecretCollection *c = open_collection(t);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro is GLib's */
    g_clear_object(&c);
}

/* GLib's complaints are not for the person who runs teale. */
static void swallow(const char *domain, GLogLevelFlags level, const char *text, void *user)
{
    (void)domain, (void)level, (void)text, (void)user;
}

void tl_service_run(const tl_secret_request *request, tl_secret_answer *ret_answer)
{
    task t = {.request = request, .answer = ret_answer};
    g_log_set_default_handler(swallow, NULL);
    *ret_answer = (tl_secret_answer){.outcome = TL_SECRET_OK};
    if (!open_service(&t))
        return;
    t.attributes =
        secret_attributes_build(&schema, "node", request->node, "home", request->home, NULL);
    switch (request->op) {
    case TL_SECRET_PROBE: probe(&t); break;
    case TL_SECRET_LOOKUP: look_up(&t); break;
    case TL_SECRET_STORE: store(&t); break;
    case TL_SECRET_ERASE: erase(&t); break;
    default: fail(&t, TL_SECRET_FAILED, "an unknown request");
    }
    g_hash_table_unref(t.attributes);
    g_object_unref(t.service);
}
