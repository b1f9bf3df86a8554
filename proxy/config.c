#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/config_ini.h"
#include "proxy/config_table.h"
#include "proxy/config_value.h"

enum { LARGEST_FILE = 1 << 20, LARGEST_PASSWORD_FILE = 4096, MOST_ERRORS = 20 };

struct loader {
    const struct config_sources *from; /* borrowed */
    int n_errors;
    struct err first; /* of the errors */
    struct config_draft draft;
    const char *file;             /* borrowed */
    int lines[CONFIG_N_KEYS];     /* where the file sets a key; 0 = it does not */
    char *origins[CONFIG_N_KEYS]; /* owned; what set a key last, for errors; NULL = default */
};

static size_t index_of(const struct config_key *key)
{
    return (size_t)(key - config_table_keys);
}

static void loader_fini(struct loader *l)
{
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        config_value_fini(&config_table_keys[i], &l->draft);
        free(l->origins[i]);
    }
}

/* True: the rest is looked at, too, for the errors in it. */
static bool note(struct loader *l, const struct err *err)
{
    if (l->n_errors == 0) {
        l->first = *err;
    }
    l->n_errors++;
    if (l->from->each_error == NULL) {
        return false;
    }
    l->from->each_error(err);
    if (l->n_errors == MOST_ERRORS) {
        struct err last = {0};
        (void)err_say(&last, "these are the first %d errors; mend them and look again",
                      MOST_ERRORS);
        l->from->each_error(&last);
    }
    return l->n_errors < MOST_ERRORS;
}

/* Takes ownership of `origin`, which errors begin with. */
static bool set_value(struct loader *l, const struct config_key *key, struct span text,
                      char *origin, struct err *err)
{
    size_t i = index_of(key);
    free(l->origins[i]);
    l->origins[i] = origin;
    return config_value_set(key, text, &l->draft, err) || err_prefix(err, "%s: ", origin);
}

static void set_defaults(struct loader *l)
{
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        struct err err;
        const struct config_key *key = &config_table_keys[i];
        bool is_set = config_value_set(key, span_of(key->preset), &l->draft, &err);
        assert(is_set); /* the table is ours; a unit test reads every default */
    }
}

static bool say_unknown_entry(const struct loader *l, const struct config_ini_entry *e,
                              struct err *err)
{
    const struct config_key *guess = config_table_guess(e->section, e->name);
    if (e->section.n == 0) {
        return err_say(err, "%s:%d: %.*s stands before the first [section]", l->file, e->line,
                       SPAN_ARG(e->name));
    }
    if (guess != NULL) {
        return err_say(err, "%s:%d: %.*s.%.*s: there is no such key; did you mean %s.%s?", l->file,
                       e->line, SPAN_ARG(e->section), SPAN_ARG(e->name), guess->section,
                       guess->name);
    }
    return err_say(err,
                   "%s:%d: %.*s.%.*s: there is no such key; sluice --print-config lists them all",
                   l->file, e->line, SPAN_ARG(e->section), SPAN_ARG(e->name));
}

static bool apply_entry(struct loader *l, const struct config_ini_entry *e, struct err *err)
{
    const struct config_key *key = config_table_find(e->section, e->name);
    if (key == NULL) {
        return say_unknown_entry(l, e, err);
    }
    int *line = &l->lines[index_of(key)];
    char *origin = xasprintf("%s:%d: %s.%s", l->file, e->line, key->section, key->name);
    if (e->is_continued) {
        _cleanup_free_ char *where = origin;
        return config_value_extend(key, e->value, &l->draft, err) || err_prefix(err, "%s: ", where);
    }
    if (*line != 0) {
        _cleanup_free_ char *where = origin;
        return err_say(err, "%s: is set twice, first in line %d", where, *line);
    }
    *line = e->line;
    if (key->type == CONFIG_SECRET && e->has_comment) {
        _cleanup_free_ char *where = origin;
        return err_say(err,
                       "%s: a ';' after a blank begins a comment; when it belongs to the password, "
                       "use doris.password_file",
                       where);
    }
    return set_value(l, key, e->value, origin, err);
}

static bool on_entry(const struct config_ini_entry *e, void *arg)
{
    struct loader *l = arg;
    struct err err = {0};
    return apply_entry(l, e, &err) || note(l, &err);
}

static bool on_bad_line(const struct err *err, void *arg)
{
    return note(arg, err);
}

/* Up to b->max bytes of a file; more is an error. `what` begins the sentence. */
static bool read_file(int fd, const char *what, struct buf *b, struct err *err)
{
    for (;;) {
        char chunk[4096];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_errno(err, errno, "%s cannot be read", what);
        }
        if (n == 0) {
            return true;
        }
        buf_append(b, chunk, (size_t)n);
        if (!buf_ok(b)) {
            return err_say(err, "%s is larger than %zu bytes; is it the right file?", what, b->max);
        }
    }
}

/* As the others below: false when there is no going on. */
static bool apply_file(struct loader *l, const char *file)
{
    const struct config_ini to = {.each = on_entry, .fail = on_bad_line, .arg = l};
    struct err err = {0};
    _cleanup_buf_ struct buf b = buf_with_max(LARGEST_FILE);
    _cleanup_free_ char *what = xasprintf("configuration file %s", file);
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)err_errno(&err, errno, "%s cannot be opened", what);
        return note(l, &err);
    }
    l->file = file;
    if (!read_file(fd, what, &b, &err)) {
        return note(l, &err);
    }
    return config_ini_parse(buf_span(&b), file, &to);
}

/*
 * Kubernetes sets variables for every service of the namespace, and a service may well be called
 * "sluice": SLUICE_SERVICE_HOST, SLUICE_PORT=tcp://…, SLUICE_PORT_6033_TCP_ADDR, and the same with
 * more words behind SLUICE. No key of ours looks like that.
 */
static bool is_of_kubernetes(struct span name, struct span value)
{
    _cleanup_free_ char *text = span_dup(name);
    struct span tail = {.p = name.p + name.n - 5, .n = 5};
    return strstr(text, "_SERVICE_HOST") != NULL || strstr(text, "_SERVICE_PORT") != NULL ||
           strstr(text, "_PORT_") != NULL ||
           (name.n > 5 && span_eq_text(tail, "_PORT") &&
            (span_starts_with(value, "tcp://") || span_starts_with(value, "udp://")));
}

static bool say_unknown_variable(struct span name, struct err *err)
{
    const struct config_key *guess = config_table_guess_env(name);
    if (guess != NULL) {
        char env_name[CONFIG_ENV_SIZE];
        config_table_env_name(guess, env_name);
        return err_say(err, "environment %.*s: there is no such key; did you mean %s?",
                       SPAN_ARG(name), env_name);
    }
    return err_say(err,
                   "environment %.*s: there is no such key; sluice --print-config lists them all",
                   SPAN_ARG(name));
}

/* Passwords may begin or end with a blank. */
static struct span value_for(const struct config_key *key, const char *text)
{
    return key->type == CONFIG_SECRET ? span_of(text) : span_trim(span_of(text));
}

/* SLUICE_CONFIG names the file and is read by options.c. */
static bool apply_variable(struct loader *l, const char *variable, struct err *err)
{
    const char *equals = strchr(variable, '=');
    if (equals == NULL || strncmp(variable, "SLUICE_", 7) != 0) {
        return true;
    }
    struct span name = span_between(variable, equals);
    struct span value = span_of(equals + 1);
    const struct config_key *key = config_table_find_env(name);
    if (key != NULL) {
        return set_value(l, key, value_for(key, equals + 1),
                         xasprintf("environment %.*s", SPAN_ARG(name)), err);
    }
    return span_eq_text(name, "SLUICE_CONFIG") || is_of_kubernetes(name, value) ||
           say_unknown_variable(name, err);
}

static bool apply_environment(struct loader *l, char *const *env)
{
    for (char *const *v = env; v != NULL && *v != NULL; v++) {
        struct err err = {0};
        if (!apply_variable(l, *v, &err) && !note(l, &err)) {
            return false;
        }
    }
    return true;
}

static bool apply_set(struct loader *l, const char *set, struct err *err)
{
    const char *equals = strchr(set, '=');
    const char *dot = equals != NULL ? memchr(set, '.', (size_t)(equals - set)) : NULL;
    if (dot == NULL) {
        /* What follows a '=' may be a secret. */
        return err_say(err, "--set %.*s: write --set section.key=value", (int)strcspn(set, "="),
                       set);
    }
    struct span section = span_trim(span_between(set, dot));
    struct span name = span_trim(span_between(dot + 1, equals));
    const struct config_key *key = config_table_find(section, name);
    if (key != NULL) {
        return set_value(l, key, value_for(key, equals + 1),
                         xasprintf("--set %s.%s", key->section, key->name), err);
    }
    const struct config_key *guess = config_table_guess(section, name);
    if (guess != NULL) {
        return err_say(err, "--set %.*s.%.*s: there is no such key; did you mean %s.%s?",
                       SPAN_ARG(section), SPAN_ARG(name), guess->section, guess->name);
    }
    return err_say(err,
                   "--set %.*s.%.*s: there is no such key; sluice --print-config lists them all",
                   SPAN_ARG(section), SPAN_ARG(name));
}

static bool apply_sets(struct loader *l, const char *const *sets)
{
    for (const char *const *s = sets; s != NULL && *s != NULL; s++) {
        struct err err = {0};
        if (!apply_set(l, *s, &err) && !note(l, &err)) {
            return false;
        }
    }
    return true;
}

static bool check_password_file(int fd, const char *path, struct err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return err_errno(err, errno, "%s cannot be looked at", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return err_say(err, "%s is not a regular file", path);
    }
    return (info.st_mode & S_IROTH) == 0 ||
           err_say(err, "%s can be read by everybody; run: chmod o-rwx %s", path, path);
}

static struct span first_line(struct span text)
{
    const char *newline = text.n > 0 ? memchr(text.p, '\n', text.n) : NULL;
    struct span line = newline != NULL ? span_between(text.p, newline) : text;
    if (line.n > 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static bool read_password(const struct config_key *key, struct loader *l, struct err *err)
{
    _cleanup_buf_ struct buf b = buf_with_max(LARGEST_PASSWORD_FILE);
    const char *path = l->draft.password_file;
    /* NONBLOCK: the path may be that of a pipe nobody writes to. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_errno(err, errno, "%s cannot be opened", path);
    }
    if (!check_password_file(fd, path, err) || !read_file(fd, path, &b, err)) {
        return false;
    }
    struct span line = first_line(buf_span(&b));
    bool is_set = line.n > 0 ? config_value_set(key, line, &l->draft, err)
                             : err_say(err, "the first line of %s is empty", path);
    if (b.data != NULL) {
        explicit_bzero(b.data, b.size);
    }
    return is_set;
}

static bool resolve_password(struct loader *l, struct err *err)
{
    const struct config_key *key = config_table_find(SPAN_LIT("doris"), SPAN_LIT("password"));
    const struct config_key *file_key =
        config_table_find(SPAN_LIT("doris"), SPAN_LIT("password_file"));
    assert(key != NULL && file_key != NULL);
    if (l->draft.password_file[0] == '\0') {
        return true;
    }
    const char *origin = l->origins[index_of(file_key)];
    if (l->draft.config.password[0] != '\0') {
        return err_say(err, "%s: the password is set as well (%s); keep one of the two", origin,
                       l->origins[index_of(key)]);
    }
    return read_password(key, l, err) || err_prefix(err, "%s: ", origin);
}

bool config_load(const struct config_sources *from, struct config *ret, struct err *err)
{
    _cleanup_(loader_fini) struct loader l = {.from = from};
    struct err why = {0};
    set_defaults(&l);
    if ((from->file == NULL || apply_file(&l, from->file)) &&
        apply_environment(&l, from->environ) && apply_sets(&l, from->sets) &&
        !resolve_password(&l, &why)) {
        (void)note(&l, &why);
    }
    if (l.n_errors > 0) {
        *err = l.first;
        return false;
    }
    *ret = l.draft.config;
    l.draft.config = (struct config){0}; /* handed over */
    return true;
}

char *config_store_path(const struct config *c)
{
    const char *colon = strchr(c->store_url, ':');
    const char *path = colon != NULL ? colon + 1 : c->store_url;
    _cleanup_free_ char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    return here != NULL ? xasprintf("%s/%s", here, path) : xstrdup(path);
}

void config_fini(struct config *c)
{
    struct config_draft draft = {.config = *c};
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        config_value_fini(&config_table_keys[i], &draft);
    }
    *c = draft.config;
}
