#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/config_value.h"
#include "proxy/networks.h"

enum { LONGEST_HOST = 253, LONGEST_DESCRIPTION = 512, SHOWN_BYTES = 64 };

struct unit {
    const char *name;
    int64_t ms;
};

/* The longest first. */
static const struct unit units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

/* A list is a pointer with the number of items in the member behind it. */
struct address_list {
    struct host_port *items;
    int64_t n;
};

static_assert(offsetof(struct config, n_backends) ==
                  offsetof(struct config, backends) + offsetof(struct address_list, n),
              "CONFIG_ADDRESS_LIST writes both");

static void *member_of(const struct config_key *key, struct config_draft *draft)
{
    return (char *)draft + key->offset;
}

/* What a user wrote, fit for one line of an error. */
static void append_shown(struct buf *b, struct span text)
{
    buf_append_char(b, '"');
    for (size_t i = 0; i < text.n && i < SHOWN_BYTES; i++) {
        buf_append_char(b, iscntrl((unsigned char)text.p[i]) ? '?' : text.p[i]);
    }
    buf_append_text(b, text.n > SHOWN_BYTES ? "...\"" : "\"");
}

static bool refuse(const struct config_key *key, struct span text, const char *why, struct err *err)
{
    _cleanup_buf_ struct buf b = buf_with_max(LONGEST_DESCRIPTION);
    if (key->type == CONFIG_SECRET) {
        buf_append_text(&b, "the value");
    } else {
        append_shown(&b, text);
    }
    buf_printf(&b, " %s; accepted is ", why);
    config_value_describe(key, &b);
    return err_say(err, "%s", buf_text(&b));
}

static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (iscntrl((unsigned char)text.p[i])) {
            return true;
        }
    }
    return false;
}

static bool begins_with_choice(const struct config_key *key, struct span text)
{
    for (const char *const *c = key->choices; *c != NULL; c++) {
        if (span_starts_with(text, *c) && text.n > strlen(*c)) {
            return true;
        }
    }
    return false;
}

static bool are_networks(const struct config_key *key, struct span text, struct err *err)
{
    _cleanup_(networks_fini) struct networks ignored = {0};
    _cleanup_buf_ struct buf accepted = buf_with_max(LONGEST_DESCRIPTION);
    struct err why = {0};
    if (networks_parse(text, &ignored, &why)) {
        return true;
    }
    config_value_describe(key, &accepted);
    return err_say(err, "%s; accepted is %s", why.msg, buf_text(&accepted));
}

static bool set_text(const struct config_key *key, struct span text, char **ret, struct err *err)
{
    if ((int64_t)text.n < key->min) {
        return refuse(key, text, "is too short", err);
    }
    if ((int64_t)text.n > key->max) {
        return refuse(key, text, "is too long", err);
    }
    if (has_control(text)) {
        return refuse(key, text, "has a control character in it", err);
    }
    if (key->type == CONFIG_URL && !begins_with_choice(key, text)) {
        return refuse(key, text, "is of no known kind", err);
    }
    if (key->type == CONFIG_NETWORKS && !are_networks(key, text, err)) {
        return false;
    }
    free(*ret);
    *ret = span_dup(text);
    return true;
}

static bool set_int(const struct config_key *key, struct span text, int64_t *ret, struct err *err)
{
    int64_t value = 0;
    if (!span_to_int64(text, INT64_MIN, INT64_MAX, &value)) {
        return refuse(key, text, "is not a whole number", err);
    }
    if (value < key->min || value > key->max) {
        return refuse(key, text, "is out of bounds", err);
    }
    *ret = value;
    return true;
}

/* Takes the letters at the end; false when they are no unit. */
static bool take_unit(struct span *text, int64_t *ret_ms)
{
    size_t n = 0;
    while (n < text->n && isalpha((unsigned char)text->p[text->n - n - 1])) {
        n++;
    }
    struct span tail = {.p = text->p + text->n - n, .n = n};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (span_eq_text(tail, units[i].name)) {
            *text = span_trim((struct span){.p = text->p, .n = text->n - n});
            *ret_ms = units[i].ms;
            return true;
        }
    }
    return n == 0;
}

static bool set_duration(const struct config_key *key, struct span text, int64_t *ret,
                         struct err *err)
{
    int64_t value = 0;
    struct span number = text;
    int64_t unit = key->unit_ms;
    if (!take_unit(&number, &unit) || !span_to_int64(number, 0, INT64_MAX, &value)) {
        return refuse(key, text, "is not a time", err);
    }
    if (__builtin_mul_overflow(value, unit, &value) || value / key->unit_ms > key->max ||
        value < key->min * key->unit_ms) {
        return refuse(key, text, "is out of bounds", err);
    }
    if (value % key->unit_ms != 0) {
        return refuse(key, text, "is not a whole number of seconds", err);
    }
    *ret = value / key->unit_ms;
    return true;
}

static bool is_host_name(struct span host)
{
    for (size_t i = 0; i < host.n; i++) {
        if (!isalnum((unsigned char)host.p[i]) && strchr("-._", host.p[i]) == NULL) {
            return false;
        }
    }
    return host.n > 0 && host.n <= LONGEST_HOST;
}

static bool is_ipv6(struct span host)
{
    char text[LONGEST_HOST + 1];
    struct in6_addr ignored;
    if (host.n > LONGEST_HOST) {
        return false;
    }
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(AF_INET6, text, &ignored) == 1;
}

/* The host of "host:port" or "[host]:port"; what follows it stays in *text. NULL when it is none. */
static const char *take_host(struct span *text, struct span *ret_host)
{
    const char *end = text->p + text->n;
    const char *stop = NULL;
    bool is_bracketed = text->n > 0 && text->p[0] == '[';
    if (is_bracketed) {
        stop = memchr(text->p, ']', text->n);
        *ret_host = stop != NULL ? span_between(text->p + 1, stop) : *text;
        stop = stop != NULL ? stop + 1 : NULL;
    } else {
        stop = text->n > 0 ? memchr(text->p, ':', text->n) : NULL;
        *ret_host = stop != NULL ? span_between(text->p, stop) : *text;
    }
    if (stop == NULL || !(is_bracketed ? is_ipv6(*ret_host) : is_host_name(*ret_host))) {
        return NULL;
    }
    *text = span_between(stop, end);
    return stop;
}

static bool read_address(const struct config_key *key, struct span text, struct host_port *ret,
                         struct err *err)
{
    struct span host;
    struct span rest = text;
    int64_t port = 0;
    if (take_host(&rest, &host) == NULL || rest.n == 0 || rest.p[0] != ':') {
        return refuse(key, text, "is not an address with a port", err);
    }
    if (!span_to_int64((struct span){rest.p + 1, rest.n - 1}, key->min, key->max, &port)) {
        return refuse(key, text, "has no valid port", err);
    }
    *ret = (struct host_port){.host = span_dup(host), .port = (int)port};
    return true;
}

static bool set_address(const struct config_key *key, struct span text, struct host_port *ret,
                        struct err *err)
{
    struct host_port address = {0};
    if (text.n == 0 && key->is_optional) {
        free(ret->host);
        *ret = address;
        return true;
    }
    if (!read_address(key, text, &address, err)) {
        return false;
    }
    free(ret->host);
    *ret = address;
    return true;
}

static void address_list_fini(struct address_list *list)
{
    for (int64_t i = 0; i < list->n; i++) {
        free(list->items[i].host);
    }
    free(list->items);
    *list = (struct address_list){0};
}

static bool has_address(const struct address_list *list, const struct host_port *address)
{
    assert(address->host != NULL);
    for (int64_t i = 0; i < list->n; i++) {
        if (list->items[i].port == address->port &&
            strcasecmp(list->items[i].host, address->host) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_address(const struct config_key *key, struct span text, struct address_list *list,
                        struct err *err)
{
    struct host_port address = {0};
    if (list->n == CONFIG_MAX_ADDRESSES) {
        return refuse(key, text, "is one too many", err);
    }
    if (!read_address(key, text, &address, err)) {
        return false;
    }
    if (has_address(list, &address)) {
        free(address.host);
        return refuse(key, text, "is in the list already", err);
    }
    list->items = xrealloc_array(list->items, (size_t)list->n + 1, sizeof(*list->items));
    list->items[list->n++] = address;
    return true;
}

/* Blank items are skipped, so that a line may end with a comma and the next one go on. */
static bool add_addresses(const struct config_key *key, struct span text, struct address_list *list,
                          struct err *err)
{
    const char *end = text.p + text.n;
    for (const char *p = text.p; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;
        struct span item = span_trim(span_between(p, stop));
        if (item.n > 0 && !add_address(key, item, list, err)) {
            return false;
        }
        p = comma != NULL ? comma + 1 : end;
    }
    return true;
}

static bool set_address_list(const struct config_key *key, struct span text,
                             struct address_list *ret, struct err *err)
{
    _cleanup_(address_list_fini) struct address_list list = {0};
    if (!add_addresses(key, text, &list, err)) {
        return false;
    }
    if (list.n == 0) {
        return refuse(key, text, "names no address", err);
    }
    address_list_fini(ret);
    *ret = list;
    list = (struct address_list){0};
    return true;
}

static bool set_enum(const struct config_key *key, struct span text, int *ret, struct err *err)
{
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (span_ieq_text(text, key->choices[i])) {
            *ret = i;
            return true;
        }
    }
    return refuse(key, text, "is none of the choices", err);
}

bool config_value_set(const struct config_key *key, struct span text, struct config_draft *draft,
                      struct err *err)
{
    void *member = member_of(key, draft);
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_NETWORKS:
    case CONFIG_URL: return set_text(key, text, member, err);
    case CONFIG_INT: return set_int(key, text, member, err);
    case CONFIG_DURATION: return set_duration(key, text, member, err);
    case CONFIG_ADDRESS: return set_address(key, text, member, err);
    case CONFIG_ADDRESS_LIST: return set_address_list(key, text, member, err);
    case CONFIG_ENUM: return set_enum(key, text, member, err);
    }
    assert(!"a type that is not in the list");
    return false;
}

bool config_value_extend(const struct config_key *key, struct span text, struct config_draft *draft,
                         struct err *err)
{
    if (key->type != CONFIG_ADDRESS_LIST) {
        return err_say(err, "a line that begins with a blank continues the one before it, and only "
                            "a list may be continued");
    }
    return add_addresses(key, text, member_of(key, draft), err);
}

static bool is_equal_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_equal_address(const struct host_port *a, const struct host_port *b)
{
    return a->port == b->port && is_equal_text(a->host, b->host);
}

static bool is_equal_list(const struct address_list *a, const struct address_list *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (int64_t i = 0; i < a->n; i++) {
        if (!is_equal_address(&a->items[i], &b->items[i])) {
            return false;
        }
    }
    return true;
}

bool config_value_is_equal(const struct config_key *key, const struct config *a,
                           const struct config *b)
{
    const void *x = (const char *)a + key->offset;
    const void *y = (const char *)b + key->offset;
    assert(key->offset < sizeof(*a));
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_NETWORKS:
    case CONFIG_URL: return is_equal_text(*(char *const *)x, *(char *const *)y);
    case CONFIG_INT:
    case CONFIG_DURATION: return *(const int64_t *)x == *(const int64_t *)y;
    case CONFIG_ADDRESS: return is_equal_address(x, y);
    case CONFIG_ADDRESS_LIST: return is_equal_list(x, y);
    case CONFIG_ENUM: return *(const int *)x == *(const int *)y;
    }
    assert(!"a type that is not in the list");
    return false;
}

static void text_fini(char **text)
{
    if (*text != NULL) {
        explicit_bzero(*text, strlen(*text));
    }
    free(*text);
    *text = NULL;
}

void config_value_fini(const struct config_key *key, struct config_draft *draft)
{
    void *member = member_of(key, draft);
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_NETWORKS:
    case CONFIG_URL: text_fini(member); break;
    case CONFIG_INT:
    case CONFIG_DURATION: *(int64_t *)member = 0; break;
    case CONFIG_ADDRESS: {
        struct host_port *address = member;
        free(address->host);
        *address = (struct host_port){0};
        break;
    }
    case CONFIG_ADDRESS_LIST: address_list_fini(member); break;
    case CONFIG_ENUM: *(int *)member = 0; break;
    }
}

static void append_duration(struct buf *b, int64_t ms)
{
    if (ms == 0) {
        buf_append_char(b, '0');
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        const struct unit *u = &units[i];
        if (ms % u->ms == 0) {
            buf_printf(b, "%" PRId64 "%s", ms / u->ms, u->name);
            return;
        }
    }
}

static void append_choices(struct buf *b, const char *const *choices)
{
    for (int i = 0; choices[i] != NULL; i++) {
        buf_printf(b, "%s%s", i == 0 ? "" : choices[i + 1] != NULL ? ", " : " or ", choices[i]);
    }
}

static void copy_address(const struct host_port *from, struct host_port *to)
{
    to->host = from->host != NULL ? xstrdup(from->host) : NULL;
    to->port = from->port;
}

static void copy_addresses(const struct address_list *from, struct address_list *to)
{
    to->items = xcalloc((size_t)from->n, sizeof(*to->items));
    to->n = from->n;
    for (int64_t i = 0; i < from->n; i++) {
        copy_address(&from->items[i], &to->items[i]);
    }
}

void config_value_copy(const struct config_key *key, const struct config *from,
                       struct config_draft *to)
{
    const void *value = (const char *)from + key->offset;
    void *member = member_of(key, to);
    config_value_fini(key, to);
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_NETWORKS:
    case CONFIG_URL: {
        const char *text = *(char *const *)value;
        *(char **)member = text != NULL ? xstrdup(text) : NULL;
        break;
    }
    case CONFIG_INT:
    case CONFIG_DURATION: *(int64_t *)member = *(const int64_t *)value; break;
    case CONFIG_ADDRESS: copy_address(value, member); break;
    case CONFIG_ADDRESS_LIST: copy_addresses(value, member); break;
    case CONFIG_ENUM: *(int *)member = *(const int *)value; break;
    }
}

static void append_address(struct buf *b, const struct host_port *a)
{
    bool is_v6 = a->host != NULL && strchr(a->host, ':') != NULL;
    if (a->host != NULL) {
        buf_printf(b, "%s%s%s:%d", is_v6 ? "[" : "", a->host, is_v6 ? "]" : "", a->port);
    }
}

void config_value_show(const struct config_key *key, const struct config *c, struct buf *ret)
{
    const void *value = (const char *)c + key->offset;
    switch (key->type) {
    case CONFIG_SECRET: buf_append_text(ret, "(secret)"); break;
    case CONFIG_TEXT:
    case CONFIG_PATH:
    case CONFIG_NETWORKS:
    case CONFIG_URL: buf_append_text(ret, *(char *const *)value); break;
    case CONFIG_INT: buf_printf(ret, "%" PRId64, *(const int64_t *)value); break;
    case CONFIG_DURATION: append_duration(ret, *(const int64_t *)value * key->unit_ms); break;
    case CONFIG_ADDRESS: append_address(ret, value); break;
    case CONFIG_ADDRESS_LIST: {
        const struct address_list *list = value;
        for (int64_t i = 0; i < list->n; i++) {
            buf_append_text(ret, i > 0 ? " " : "");
            append_address(ret, &list->items[i]);
        }
        break;
    }
    case CONFIG_ENUM: buf_append_text(ret, key->choices[*(const int *)value]); break;
    }
}

void config_value_describe(const struct config_key *key, struct buf *ret)
{
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        buf_printf(ret, "a text of %s%" PRId64 " bytes", key->min > 0 ? "1 to " : "up to ",
                   key->max);
        break;
    case CONFIG_PATH: buf_append_text(ret, "the path of a file"); break;
    case CONFIG_URL:
        append_choices(ret, key->choices);
        buf_append_text(ret, "PATH");
        break;
    case CONFIG_INT:
        buf_printf(ret, "a whole number from %" PRId64 " to %" PRId64, key->min, key->max);
        break;
    case CONFIG_DURATION:
        buf_append_text(ret, "a time from ");
        append_duration(ret, key->min * key->unit_ms);
        buf_append_text(ret, " to ");
        append_duration(ret, key->max * key->unit_ms);
        buf_printf(ret, " (ms, s, m or h; a bare number is %s)", key->unit_ms == 1 ? "ms" : "s");
        break;
    case CONFIG_ADDRESS:
        buf_printf(ret, "HOST:PORT or [IPV6]:PORT%s, port %" PRId64 " to %" PRId64,
                   key->is_optional ? " or nothing" : "", key->min, key->max);
        break;
    case CONFIG_ADDRESS_LIST:
        buf_printf(ret, "a list of up to %d HOST:PORT or [IPV6]:PORT, separated by commas",
                   CONFIG_MAX_ADDRESSES);
        break;
    case CONFIG_NETWORKS:
        buf_append_text(ret, "a list of networks (ADDRESS/BITS) or addresses, separated by commas");
        break;
    case CONFIG_ENUM: append_choices(ret, key->choices); break;
    }
}
