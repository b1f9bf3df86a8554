#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sources/s3_config.h"

/* The properties that mean something here. Spellings: an optional prefix and one of the names. */
enum property {
    P_URI,
    P_ENDPOINT,
    P_REGION,
    P_ACCESS_KEY,
    P_SECRET_KEY,
    P_SESSION_TOKEN,
    P_PATH_STYLE,
    P_STANDARD_URI,
    P_RESOURCE,
    P_ROLE,
    P_PROVIDER,
    N_PROPERTIES,
};

static const struct {
    enum property property;
    const char *name;
} SPELLINGS[] = {
    {P_URI, "uri"},
    {P_ENDPOINT, "endpoint"},
    {P_REGION, "region"},
    {P_REGION, "client.region"},
    {P_REGION, "signing-region"},
    {P_ACCESS_KEY, "access_key"},
    {P_ACCESS_KEY, "access-key"},
    {P_ACCESS_KEY, "access-key-id"},
    {P_ACCESS_KEY, "access_key_id"},
    {P_SECRET_KEY, "secret_key"},
    {P_SECRET_KEY, "secret-key"},
    {P_SECRET_KEY, "secret-access-key"},
    {P_SECRET_KEY, "secret_access_key"},
    {P_SESSION_TOKEN, "session_token"},
    {P_SESSION_TOKEN, "session-token"},
    {P_SESSION_TOKEN, "token"},
    {P_PATH_STYLE, "use_path_style"},
    {P_PATH_STYLE, "path-style-access"},
    {P_PATH_STYLE, "path_style_access"},
    {P_STANDARD_URI, "force_parsing_by_standard_uri"},
    {P_STANDARD_URI, "force_parsing_by_standard_url"},
    {P_RESOURCE, "resource"},
    {P_ROLE, "role_arn"},
    {P_ROLE, "iam_role"},
    {P_ROLE, "iam-role"},
    {P_PROVIDER, "provider"},
};

static const char *const PREFIXES[] = {"s3.",  "aws_", "oss.",   "cos.", "obs.",
                                       "bos.", "gs.",  "minio.", "aws.", "ozone."};

/* Schemes whose authority is the bucket (the others: http and https). */
static const char *const OBJECT_SCHEMES[] = {"s3",  "s3a",  "s3n", "bos", "oss",
                                             "cos", "cosn", "obs", "gs"};

/* What Doris alone has a use for: how files are read, and how its own nodes reach the store. */
static const char *const PASSED_ON[] = {
    "format",
    "csv_schema",
    "column_separator",
    "line_delimiter",
    "enclose",
    "escape",
    "skip_lines",
    "trim_double_quotes",
    "empty_field_as_null",
    "compress_type",
    "path_partition_keys",
    "strip_outer_array",
    "jsonpaths",
    "json_root",
    "read_json_by_line",
    "num_as_string",
    "fuzzy_parse",
    "table_id",
    "enable_text_validate_utf8",
    "enable_mapping_varbinary",
    "enable_mapping_timestamp_tz",
    "connection.maximum",
    "connection.request.timeout",
    "connection.timeout",
    "max_connections",
    "request_timeout_ms",
    "connection_timeout_ms",
    "root.path",
    "bucket",
    "external_id",
    "credentials_provider_type",
    "virtual.bucket",
    "test_connectivity",
};

/* Of Hadoop's client, on which older versions of Doris read. */
static const char *const PASSED_ON_BEFORE[] = {"fs.", "hadoop.", "dfs."};

struct given {
    const struct spec_prop *of[N_PROPERTIES]; /* borrowed; NULL when absent */
};

/* The pieces of a uri; spans of its text. */
struct uri_parts {
    struct span scheme;
    struct span authority;
    struct span path; /* behind the '/' that ends the authority */
    bool is_http;
};

static struct span without_prefix(struct span name)
{
    for (size_t i = 0; i < ARRAY_SIZE(PREFIXES); i++) {
        if (span_istarts_with(name, PREFIXES[i])) {
            name.p += strlen(PREFIXES[i]);
            name.n -= strlen(PREFIXES[i]);
            break;
        }
    }
    return name;
}

static bool find_property(const char *key, enum property *ret)
{
    struct span name = without_prefix(span_trim(span_of(key)));
    for (size_t i = 0; i < ARRAY_SIZE(SPELLINGS); i++) {
        if (span_ieq_text(name, SPELLINGS[i].name)) {
            *ret = SPELLINGS[i].property;
            return true;
        }
    }
    return false;
}

bool s3_config_knows(const char *key)
{
    enum property ignored = P_URI;
    struct span whole = span_trim(span_of(key));
    struct span name = without_prefix(whole);
    for (size_t i = 0; i < ARRAY_SIZE(PASSED_ON); i++) {
        if (span_ieq_text(name, PASSED_ON[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(PASSED_ON_BEFORE); i++) {
        if (span_istarts_with(whole, PASSED_ON_BEFORE[i])) {
            return true;
        }
    }
    return find_property(key, &ignored);
}

static bool collect(const struct spec_prop *props, size_t n, struct given *ret, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        enum property which = P_URI;
        if (!find_property(props[i].key, &which)) {
            continue; /* format, csv_schema, …: Doris's business */
        }
        const struct spec_prop *earlier = ret->of[which];
        if (earlier != NULL && (which == P_URI || strcmp(earlier->value, props[i].value) != 0)) {
            return err_say(err,
                           "the S3 properties \"%s\" and \"%s\" contradict each other; "
                           "give one of them",
                           earlier->key, props[i].key);
        }
        ret->of[which] = &props[i];
    }
    return true;
}

static const char *value_of(const struct given *given, enum property which)
{
    const struct spec_prop *p = given->of[which];
    return p != NULL && span_trim(span_of(p->value)).n > 0 ? p->value : NULL;
}

static bool is_true(const struct given *given, enum property which)
{
    const char *value = value_of(given, which);
    return value != NULL && span_ieq_text(span_trim(span_of(value)), "true");
}

static bool refuse_foreign(const struct given *given, struct err *err)
{
    const char *provider = value_of(given, P_PROVIDER);
    if (value_of(given, P_RESOURCE) != NULL) {
        return err_say(err,
                       "the S3 property \"resource\" cannot be used in a streaming job: the "
                       "credentials of resource \"%s\" are kept inside Doris, and the bucket "
                       "is listed from outside. Give s3.endpoint, s3.region, s3.access_key "
                       "and s3.secret_key instead",
                       value_of(given, P_RESOURCE));
    }
    if (value_of(given, P_ROLE) != NULL) {
        return err_say(err,
                       "the S3 property \"%s\" cannot be used in a streaming job: the role is "
                       "assumed by Doris's own nodes, and the bucket is listed from outside. "
                       "Give s3.access_key and s3.secret_key (and s3.session_token) instead",
                       given->of[P_ROLE]->key);
    }
    if (provider != NULL && span_ieq_text(span_trim(span_of(provider)), "azure")) {
        return err_say(err, "the S3 property \"provider\" is \"azure\": Azure Blob Storage does "
                            "not speak the S3 protocol, so a streaming job cannot list it");
    }
    return true;
}

static bool is_object_scheme(struct span scheme)
{
    for (size_t i = 0; i < ARRAY_SIZE(OBJECT_SCHEMES); i++) {
        if (span_ieq_text(scheme, OBJECT_SCHEMES[i])) {
            return true;
        }
    }
    return false;
}

static bool split_uri(const char *uri, struct uri_parts *ret, struct err *err)
{
    const char *colon = strstr(uri, "://");
    if (colon == NULL) {
        return err_say(err,
                       "Invalid uri: \"%s\": it must begin with s3://bucket/ or "
                       "https://endpoint/bucket/",
                       uri);
    }
    const char *rest = colon + 3;
    const char *slash = strchr(rest, '/');
    if (slash == NULL) {
        slash = rest + strlen(rest);
    }
    ret->scheme = span_between(uri, colon);
    ret->authority = span_between(rest, slash);
    ret->path = span_of(*slash != '\0' ? slash + 1 : slash);
    ret->is_http = span_ieq_text(ret->scheme, "http") || span_ieq_text(ret->scheme, "https");
    if (!ret->is_http && !is_object_scheme(ret->scheme)) {
        return err_say(err,
                       "Invalid uri: \"%s\": the scheme \"%.*s\" is not one of s3, s3a, s3n, "
                       "oss, cos, cosn, obs, bos, gs, http and https",
                       uri, SPAN_ARG(ret->scheme));
    }
    return true;
}

/* Doris's FE normalises the path and cuts it at ? and #; the uri would then mean something else. */
static bool check_path(const char *uri, struct span path, struct err *err)
{
    struct span rest = path;
    assert(path.p != NULL);
    if (memchr(path.p, '?', path.n) != NULL || memchr(path.p, '#', path.n) != NULL) {
        return err_say(err,
                       "Invalid uri: \"%s\": Doris cuts a uri at '?' and '#', so neither can "
                       "be used in it; for one arbitrary character write [!/] or *",
                       uri);
    }
    while (rest.n > 0) {
        const char *slash = memchr(rest.p, '/', rest.n);
        struct span part = {rest.p, slash != NULL ? (size_t)(slash - rest.p) : rest.n};
        bool is_last = slash == NULL;
        if ((part.n == 0 && !is_last) || span_eq_text(part, ".") || span_eq_text(part, "..")) {
            return err_say(err,
                           "Invalid uri: \"%s\": Doris removes empty parts, \".\" and \"..\" "
                           "from the path, so objects with such names cannot be read",
                           uri);
        }
        rest.p += part.n + (is_last ? 0 : 1);
        rest.n -= part.n + (is_last ? 0 : 1);
    }
    return true;
}

static bool check_bucket(const char *uri, struct span bucket, struct err *err)
{
    bool is_valid = bucket.n > 0;
    for (size_t i = 0; is_valid && i < bucket.n; i++) {
        char c = bucket.p[i];
        is_valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '-' || c == '.' || c == '_';
    }
    const char *at = memchr(bucket.p, '@', bucket.n);
    if (at != NULL) { /* what stands before it may be a secret, and is not repeated */
        struct span name = {at + 1, bucket.n - (size_t)(at + 1 - bucket.p)};
        return err_say(err,
                       "Invalid uri of bucket %.*s: keys in front of an @ are not a bucket name; "
                       "give them as \"s3.access_key\" and \"s3.secret_key\"",
                       SPAN_ARG(name));
    }
    if (!is_valid) {
        return err_say(err, "Invalid uri: \"%s\": \"%.*s\" is not a bucket name", uri,
                       SPAN_ARG(bucket));
    }
    return true;
}

static bool is_ip(struct span host)
{
    size_t n_dots = 0;
    if (host.n > 0 && host.p[0] == '[') {
        return true;
    }
    for (size_t i = 0; i < host.n; i++) {
        n_dots += host.p[i] == '.';
        if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9')) {
            return false;
        }
    }
    return n_dots == 3;
}

/* The authority without its port. */
static struct span host_of(struct span authority)
{
    const char *colon = authority.n > 0 ? memchr(authority.p, ':', authority.n) : NULL;
    bool has_port = colon != NULL && authority.p[0] != '[';
    return has_port ? span_between(authority.p, colon) : authority;
}

/*
 * Which part of the uri is the bucket, the endpoint and the key, as Doris's S3URI reads it:
 *
 *     s3://bucket/key                              endpoint from s3.endpoint
 *     https://endpoint/bucket/key                  with path style
 *     https://bucket.endpoint/key                  without
 *     s3:// like https:// above                    with force_parsing_by_standard_uri
 */
static bool place_uri(struct s3_config *c, const struct uri_parts *parts, bool is_standard,
                      bool wants_path_style, struct span *ret_endpoint, struct err *err)
{
    struct span bucket = parts->authority;
    struct span key = parts->path;
    struct span endpoint = {.p = NULL, .n = 0};
    if (is_standard && wants_path_style) {
        const char *slash = memchr(key.p, '/', key.n);
        bucket = (struct span){key.p, slash != NULL ? (size_t)(slash - key.p) : key.n};
        key = slash != NULL ? span_of(slash + 1) : span_of(key.p + key.n);
        endpoint = parts->authority;
    } else if (is_standard) {
        const char *dot = memchr(bucket.p, '.', bucket.n);
        if (dot == NULL || is_ip(host_of(bucket))) {
            return err_say(err,
                           "Invalid uri: \"%s\": its host must be bucket.endpoint; for "
                           "endpoint/bucket/key set \"use_path_style\" = \"true\"",
                           c->uri);
        }
        endpoint = span_between(dot + 1, bucket.p + bucket.n);
        bucket.n = (size_t)(dot - bucket.p);
    }
    if (!check_bucket(c->uri, bucket, err)) {
        return false;
    }
    if (key.n == 0) {
        return err_say(err,
                       "Invalid uri: \"%s\": it names no object; to load a whole bucket end "
                       "it with /** (every object) or /* (objects without '/')",
                       c->uri);
    }
    if (key.p[key.n - 1] == '/') {
        return err_say(err,
                       "Invalid uri: \"%s\": it ends with '/' and so names no object; to load "
                       "what is below write /* (this level) or /** (all levels)",
                       c->uri);
    }
    c->bucket = span_dup(bucket);
    c->key_at = (size_t)(key.p - c->uri);
    *ret_endpoint = endpoint;
    return true;
}

struct endpoint {
    bool is_https;
    struct span host; /* an IPv6 address keeps its brackets */
    struct span port; /* empty: the scheme's own */
};

static bool has_only_host_chars(struct span host)
{
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("@/\\?#%\"<>{}|^`", c) != NULL) {
            return false;
        }
    }
    return host.n > 0;
}

/*
 * Without a scheme (and `uri_scheme` NULL): http for what is surely a server of one's own (an
 * address, localhost, or a port other than 443), as Doris does, and https for everything else.
 */
static bool parse_endpoint(const char *text, struct span s, const char *uri_scheme,
                           struct endpoint *ret, struct err *err)
{
    bool has_scheme = true;
    int64_t port = 0;
    s = span_trim(s);
    if (span_istarts_with(s, "https://")) {
        ret->is_https = true;
        s = (struct span){s.p + 8, s.n - 8};
    } else if (span_istarts_with(s, "http://")) {
        ret->is_https = false;
        s = (struct span){s.p + 7, s.n - 7};
    } else if (uri_scheme != NULL) {
        ret->is_https = strcasecmp(uri_scheme, "https") == 0;
    } else {
        has_scheme = false;
    }
    while (s.n > 0 && s.p[s.n - 1] == '/') {
        s.n--;
    }
    const char *bracket = s.n > 0 && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;
    const char *from = bracket != NULL ? bracket : s.p;
    const char *colon = s.n > 0 ? memchr(from, ':', (size_t)(s.p + s.n - from)) : NULL;
    ret->host = colon != NULL ? span_between(s.p, colon) : s;
    ret->port = colon != NULL ? span_between(colon + 1, s.p + s.n) : (struct span){.p = "", .n = 0};
    if (!has_only_host_chars(ret->host) ||
        (colon != NULL && !span_to_int64(ret->port, 1, 65535, &port))) {
        return err_say(err,
                       "the S3 endpoint \"%s\" is not a host or host:port, with or without "
                       "http:// or https://",
                       text);
    }
    if (!has_scheme) {
        ret->is_https = !is_ip(ret->host) && !span_ieq_text(ret->host, "localhost") &&
                        (port == 0 || port == 443);
    }
    if (port == (ret->is_https ? 443 : 80)) {
        ret->port.n = 0; /* HTTP clients leave it out of the Host header */
    }
    return true;
}

/* Can the bucket be a label of the host name, also under a wildcard certificate? */
static bool fits_in_host(const char *bucket, bool is_https)
{
    for (const char *c = bucket; *c != '\0'; c++) {
        if ((*c >= 'A' && *c <= 'Z') || *c == '_' || (*c == '.' && is_https)) {
            return false;
        }
    }
    return true;
}

static void place_endpoint(struct s3_config *c, const struct endpoint *e, bool wants_path_style)
{
    _cleanup_free_ char *port = e->port.n > 0 ? xasprintf(":%.*s", SPAN_ARG(e->port)) : xstrdup("");
    c->is_path_style = wants_path_style || is_ip(e->host) || !fits_in_host(c->bucket, e->is_https);
    c->host = c->is_path_style ? xasprintf("%.*s%s", SPAN_ARG(e->host), port)
                               : xasprintf("%s.%.*s%s", c->bucket, SPAN_ARG(e->host), port);
    c->base_url = xasprintf("%s://%s", e->is_https ? "https" : "http", c->host);
}

/* The region that stands in an endpoint of a known service; NULL when there is none. */
static char *region_of_host(struct span host)
{
    static const struct {
        const char *before;
        const char *after;
    } FORMS[] = {
        {"s3.dualstack.", ".amazonaws.com"},
        {"s3.", ".amazonaws.com"},
        {"s3-", ".amazonaws.com"},
        {"s3.", ".amazonaws.com.cn"},
        {"oss-", "-internal.aliyuncs.com"},
        {"oss-", ".aliyuncs.com"},
        {"cos.", ".myqcloud.com"},
        {"obs.", ".myhuaweicloud.com"},
        {"s3.", ".bcebos.com"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(FORMS); i++) {
        size_t before = strlen(FORMS[i].before);
        size_t after = strlen(FORMS[i].after);
        if (host.n > before + after && span_istarts_with(host, FORMS[i].before) &&
            span_ieq_text((struct span){host.p + host.n - after, after}, FORMS[i].after)) {
            return span_dup((struct span){host.p + before, host.n - before - after});
        }
    }
    return NULL;
}

/* These go into header lines: a line break would begin another header. */
static bool check_header_texts(const struct given *given, struct err *err)
{
    static const enum property IN_HEADERS[] = {P_REGION, P_ACCESS_KEY, P_SESSION_TOKEN};
    for (size_t i = 0; i < ARRAY_SIZE(IN_HEADERS); i++) {
        const char *value = value_of(given, IN_HEADERS[i]);
        for (const char *c = value; c != NULL && *c != '\0'; c++) {
            if ((unsigned char)*c < ' ' || *c == 0x7f) {
                return err_say(err, "the S3 property \"%s\" holds a control character",
                               given->of[IN_HEADERS[i]]->key);
            }
        }
    }
    return true;
}

static bool read_keys(struct s3_config *c, const struct given *given, struct err *err)
{
    const char *access = value_of(given, P_ACCESS_KEY);
    const char *secret = value_of(given, P_SECRET_KEY);
    const char *token = value_of(given, P_SESSION_TOKEN);
    if ((access == NULL) != (secret == NULL)) {
        return err_say(err,
                       "the S3 property \"%s\" is missing: s3.access_key and s3.secret_key "
                       "belong together (leave out both for a public bucket)",
                       access == NULL ? "s3.access_key" : "s3.secret_key");
    }
    if (token != NULL && access == NULL) {
        return err_say(err, "the S3 properties \"s3.access_key\" and \"s3.secret_key\" are "
                            "missing: a session token alone signs nothing");
    }
    if (access != NULL) {
        c->access_key = xstrdup(access);
        c->secret_key = xstrdup(secret);
    }
    c->session_token = token != NULL ? xstrdup(token) : NULL;
    return true;
}

static bool read_place(struct s3_config *c, const struct given *given, struct err *err)
{
    struct uri_parts parts = {0};
    struct span from_uri = {.p = NULL, .n = 0};
    struct endpoint e = {0};
    const char *endpoint = value_of(given, P_ENDPOINT);
    const char *region = value_of(given, P_REGION);
    bool wants_path_style = is_true(given, P_PATH_STYLE);
    if (!split_uri(c->uri, &parts, err) || !check_path(c->uri, parts.path, err)) {
        return false;
    }
    bool is_standard = parts.is_http || is_true(given, P_STANDARD_URI);
    if (!place_uri(c, &parts, is_standard, wants_path_style, &from_uri, err)) {
        return false;
    }
    if (endpoint == NULL && from_uri.p == NULL) {
        return err_say(err,
                       "the S3 property \"s3.endpoint\" is missing: the uri \"%s\" does not "
                       "name the host of the object store",
                       c->uri);
    }
    struct span where = endpoint != NULL ? span_of(endpoint) : from_uri;
    _cleanup_free_ char *where_text = span_dup(where);
    _cleanup_free_ char *scheme = parts.is_http ? span_dup(parts.scheme) : NULL;
    if (!parse_endpoint(where_text, where, scheme, &e, err)) {
        return false;
    }
    place_endpoint(c, &e, wants_path_style);
    c->region = region != NULL ? span_dup(span_trim(span_of(region))) : region_of_host(e.host);
    if (c->region == NULL) {
        c->region = xstrdup("us-east-1"); /* what Doris and most servers of one's own assume */
    }
    return true;
}

bool s3_config_read(const struct spec_prop *props, size_t n_props, struct s3_config *ret,
                    struct err *err)
{
    struct given given = {0};
    struct s3_config c = {0};
    if (!collect(props, n_props, &given, err) || !refuse_foreign(&given, err)) {
        return false;
    }
    if (value_of(&given, P_URI) == NULL) {
        return err_say(err, "the S3 property \"uri\" is missing: say which objects to load, as in "
                            "\"uri\" = \"s3://bucket/folder/*.csv\"");
    }
    c.uri = xstrdup(value_of(&given, P_URI));
    if (!check_header_texts(&given, err) || !read_keys(&c, &given, err) ||
        !read_place(&c, &given, err)) {
        s3_config_fini(&c);
        return false;
    }
    assert(c.host != NULL && c.region != NULL && c.bucket != NULL);
    *ret = c;
    return true;
}

void s3_config_fini(struct s3_config *c)
{
    free(c->access_key);
    free(c->secret_key);
    free(c->session_token);
    free(c->region);
    free(c->base_url);
    free(c->host);
    free(c->bucket);
    free(c->uri);
    *c = (struct s3_config){0};
}
