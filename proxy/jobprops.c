#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "proxy/jobprops.h"

#define DETAIL "errCode = 2, detailMessage = "

/* The integer properties: StreamingJobProperties.java. */
static const struct int_property {
    const char *key;
    int64_t min;
    int64_t max;
    const char *message;     /* takes the value as text */
    const char *old_message; /* what 4.0 says, and Doris's regression tests look for */
} int_properties[] = {
    {"max_interval", 1, INT64_C(1000000000),
     DETAIL "max_interval must be at least 1 second, but was ", "max_interval should > 1"},
    {"s3.max_batch_files", 1, INT64_C(1000000000),
     DETAIL "s3.max_batch_files must be at least 1, but was ", "s3.max_batch_files should >=1"},
    {"s3.max_batch_bytes", INT64_C(104857600), INT64_C(10737418240),
     DETAIL "s3.max_batch_bytes must be between 100 MB and 10 GB, but was ",
     "s3.max_batch_bytes should between 100MB and 10GB"},
};

enum { MAX_CHOICES = 4 };

/* Those that take one word of several, in any letter case. */
static const struct choice_property {
    const char *key;
    const char *choices[MAX_CHOICES]; /* the first is the default */
    const char *advice;
    bool is_rule; /* see jobprops.h */
} choice_properties[] = {
    {"guarantee",
     {"label", "transactional"},
     "label asks Doris what became of a task's label; transactional writes the offset in the "
     "transaction of the data, and wants Doris 3.0 or later",
     true},
    {"s3.discovery",
     {"ordered", "tracked"},
     "ordered loads the files behind the last key, as Doris does; tracked remembers each file, so "
     "that late ones are loaded, too",
     true},
    {"s3.overwritten",
     {"ignore", "reload", "error"},
     "it says what to do with a file that was loaded and has another content since",
     false},
    {"s3.bad_files",
     {"quarantine", "pause"},
     "quarantine sets a file aside that Doris cannot load, and the job goes on; pause pauses it",
     false},
    {"s3.ingestion_mode", {"ORDERED_LIST", "ONE_TIME"}, NULL, true},
};

/* In the order in which errors list them; and session.*, which the FE knows. */
static const char *const known_keys[] = {
    "max_interval", "s3.max_batch_files", "s3.max_batch_bytes", "s3.discovery", "s3.overwritten",
    "s3.bad_files", "s3.ingestion_mode",  "guarantee",          "offset",
};

/* The properties are kept as JSON, which has no place for anything else. */
static bool check_utf8(const char *key, const char *value, struct err *err)
{
    json_t *pair = json_pack("[s, s]", key, value);
    json_decref(pair);
    return pair != NULL ||
           err_say(err, DETAIL "The properties have a key or a value that is not UTF-8 text");
}

/*
 * What would have the FE read another statement than we did: with NO_BACKSLASH_ESCAPES (1 << 20) a
 * string ends where it does not for us, and what is a text to us may name tables to the FE.
 */
static bool check_session(const char *key, const char *variable, const char *value, struct err *err)
{
    if (variable[0] == '\0') {
        return err_say(err,
                       DETAIL "Invalid session variable, []: property \"%s\" names none. Write "
                              "'session.' and a variable of Doris, as in session.insert_timeout",
                       key);
    }
    bool is_mode = strcasecmp(variable, "sql_mode") == 0;
    bool is_dialect = strcasecmp(variable, "sql_dialect") == 0;
    bool is_number = value[strcspn(value, "0123456789")] != '\0';
    if ((is_mode && (strcasestr(value, "BACKSLASH") != NULL || is_number)) ||
        (is_dialect && strcasecmp(value, "doris") != 0)) {
        return err_say(err,
                       DETAIL "Variable %s can't be set to the value of %s: a job's tasks need the "
                              "INSERT read as Sluice read it. Leave out property \"%s\"%s",
                       variable, value, key,
                       is_mode ? ", or give it the names of other modes" : "");
    }
    return true;
}

static const struct choice_property *find_choice(const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(choice_properties); i++) {
        if (strcasecmp(key, choice_properties[i].key) == 0) {
            return &choice_properties[i];
        }
    }
    return NULL;
}

/* The word as we spell it; NULL: it is none of them. */
static const char *choice_of(const struct choice_property *p, const char *value)
{
    for (size_t i = 0; i < MAX_CHOICES && p->choices[i] != NULL; i++) {
        if (strcasecmp(value, p->choices[i]) == 0) {
            return p->choices[i];
        }
    }
    return NULL;
}

/* Nothing would not be seen in a sentence. */
static const char *shown(const char *value)
{
    return value[0] != '\0' ? value : "''";
}

static bool fail_choice(const struct choice_property *p, const char *value, struct err *err)
{
    if (p->advice == NULL) { /* Doris's words */
        return err_say(err,
                       DETAIL "Unsupported %s: %s. Sluice knows %s, which waits for new files for "
                              "ever, and %s, which ends with those that are there",
                       p->key, shown(value), p->choices[0], p->choices[1]);
    }
    bool has_third = p->choices[2] != NULL;
    return err_say(err, DETAIL "%s must be one of [%s, %s%s%s], but was %s: %s", p->key,
                   p->choices[0], p->choices[1], has_third ? ", " : "",
                   has_third ? p->choices[2] : "", shown(value), p->advice);
}

static bool is_same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Are they the same but for two letters at most that stand side by side? */
static bool is_near(const char *wrong, const char *right)
{
    size_t n_wrong = strlen(wrong);
    size_t n_right = strlen(right);
    while (n_wrong > 0 && n_right > 0 && is_same(wrong[0], right[0])) {
        wrong++;
        right++;
        n_wrong--;
        n_right--;
    }
    while (n_wrong > 0 && n_right > 0 && is_same(wrong[n_wrong - 1], right[n_right - 1])) {
        n_wrong--;
        n_right--;
    }
    return n_wrong <= 2 && n_right <= 2;
}

/* What was meant, with or without its "s3."; NULL: nobody knows. */
static const char *guess(const char *wrong)
{
    for (size_t i = 0; i < ARRAY_SIZE(known_keys); i++) {
        const char *key = known_keys[i];
        if (is_near(wrong, key) || (strncmp(key, "s3.", 3) == 0 && is_near(wrong, key + 3))) {
            return key;
        }
    }
    return NULL;
}

static bool fail_unknown(const char *key, struct err *err)
{
    struct buf keys = buf_with_max(SIZE_MAX / 2); /* of ours alone */
    for (size_t i = 0; i < ARRAY_SIZE(known_keys); i++) {
        buf_append_text(&keys, i > 0 ? ", " : "");
        buf_append_text(&keys, known_keys[i]);
    }
    _cleanup_free_ char *listed = buf_take_text(&keys);
    const char *meant = guess(key);
    return err_say(err,
                   DETAIL "Invalid properties: [%s].%s%s%s Supported keys are [%s] or any key "
                          "starting with 'session.'.",
                   key, meant != NULL ? " Did you mean \"" : "", meant != NULL ? meant : "",
                   meant != NULL ? "\"?" : "", listed);
}

static bool check_property(const char *key, const char *value, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(int_properties); i++) {
        const struct int_property *p = &int_properties[i];
        int64_t n = 0;
        if (strcasecmp(key, p->key) == 0) {
            return span_to_int64(span_of(value), p->min, p->max, &n) ||
                   err_say(err,
                           "%s%s (%s). Give a plain number without a unit, at least %" PRId64
                           " and at most %" PRId64,
                           p->message, shown(value), p->old_message, p->min, p->max);
        }
    }
    const struct choice_property *choice = find_choice(key);
    if (choice != NULL) {
        return choice_of(choice, value) != NULL || fail_choice(choice, value, err);
    }
    if (strcasecmp(key, "offset") == 0) {
        return true; /* the source knows its own offsets */
    }
    if (strncasecmp(key, "session.", 8) == 0) {
        return check_session(key, key + 8, value, err);
    }
    if (strcasecmp(key, "compute_group") == 0) {
        return err_say(err, DETAIL "compute_group is only supported in cloud mode, which Sluice "
                                   "does not know: leave it out, the tasks of all jobs run in the "
                                   "compute group of doris.user");
    }
    return fail_unknown(key, err);
}

/* A statement that SHOW CREATE JOB printed has no secrets left: it would load nothing. */
bool jobprops_check_mask(const char *key, const char *value, struct err *err)
{
    return strcmp(value, SECRET_MASK) != 0 || !secret_is_key(span_of(key)) ||
           err_say(err,
                   DETAIL "The property \"%s\" is " SECRET_MASK
                          ", which is the mask that SHOW CREATE "
                          "JOB prints; put the real value there",
                   key);
}

bool jobprops_check(const struct stmt_props *props, struct err *err)
{
    for (size_t i = 0; i < props->n; i++) {
        const struct stmt_prop *p = &props->items[i];
        if (!check_utf8(p->key, p->value, err) || !check_property(p->key, p->value, err) ||
            !jobprops_check_mask(p->key, p->value, err)) {
            return false;
        }
    }
    return true;
}

struct stmt_prop *jobprops_find(const struct stmt_props *props, const char *key)
{
    for (size_t i = 0; i < props->n; i++) {
        if (strcasecmp(props->items[i].key, key) == 0) {
            return &props->items[i];
        }
    }
    return NULL;
}

/* What holds: the value as we spell it, or the default. */
static const char *choice_in(const struct stmt_props *props, const struct choice_property *p)
{
    const struct stmt_prop *given = jobprops_find(props, p->key);
    const char *word = given != NULL ? choice_of(p, given->value) : NULL;
    return word != NULL ? word : p->choices[0];
}

static bool is_tracked(const struct stmt_props *props)
{
    return strcmp(choice_in(props, find_choice("s3.discovery")), "tracked") == 0;
}

static bool has_choice(const struct stmt_props *props, const char *key, const char *word)
{
    return strcmp(choice_in(props, find_choice(key)), word) == 0;
}

const struct stmt_prop *jobprops_find_misplaced(const struct stmt_props *props, struct err *err)
{
    const struct stmt_prop *overwritten = jobprops_find(props, "s3.overwritten");
    const struct stmt_prop *offset = jobprops_find(props, "offset");
    if (overwritten != NULL && !is_tracked(props)) {
        (void)err_say(err,
                      DETAIL "s3.overwritten = %s wants \"s3.discovery\" = \"tracked\": without it "
                             "nobody remembers what a file was when it was loaded. Add that "
                             "property, or leave out s3.overwritten",
                      overwritten->value);
        return overwritten;
    }
    if (has_choice(props, "s3.overwritten", "error") &&
        has_choice(props, "s3.bad_files", "pause")) {
        (void)err_say(err, DETAIL "s3.overwritten = error sets the file aside until RETRY FILE or "
                                  "SKIP FILE decides about it, so it cannot be used with "
                                  "s3.bad_files = pause. Leave out one of them");
        return overwritten;
    }
    if (offset != NULL && has_choice(props, "s3.ingestion_mode", "ONE_TIME")) {
        (void)err_say(err,
                      DETAIL "offset is not supported when s3.ingestion_mode is ONE_TIME. Give "
                             "a uri that has the wanted files only, or leave out one of them");
        return offset;
    }
    return NULL;
}

bool jobprops_check_together(const struct stmt_props *props, struct err *err)
{
    return jobprops_find_misplaced(props, err) == NULL;
}

void jobprops_normalize(struct spec_prop *prop)
{
    const struct choice_property *p = find_choice(prop->key);
    const char *word = p != NULL ? choice_of(p, prop->value) : NULL;
    if (word != NULL) {
        free(prop->value);
        prop->value = xstrdup(word);
    }
}

bool jobprops_is_pace(const char *key)
{
    static const char *const keys[] = {"max_interval", "s3.max_batch_files", "s3.max_batch_bytes",
                                       "s3.overwritten", "s3.bad_files"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcasecmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_changed(const struct choice_property *p, const struct stmt_props *from,
                       const struct stmt_props *to)
{
    return p->is_rule && strcmp(choice_in(from, p), choice_in(to, p)) != 0;
}

bool jobprops_change_rules(const struct stmt_props *from, const struct stmt_props *to)
{
    for (size_t i = 0; i < ARRAY_SIZE(choice_properties); i++) {
        if (is_changed(&choice_properties[i], from, to)) {
            return true;
        }
    }
    return false;
}

/* What a job that has begun cannot be changed into, and what to do instead. */
static const struct fixed_rule {
    const char *key;
    const char *instead;
} fixed_rules[] = {
    {"s3.discovery", "DROP the job and CREATE it with \"offset\" = its CurrentOffset"},
    {"s3.ingestion_mode", "CREATE another job whose uri has only the files that are yet to be "
                          "loaded, and DROP this one"},
};

static bool has_begun(const struct job_record *base)
{
    return base->committed_task_id > 0 || base->n_succeeded > 0 || base->offset != NULL;
}

bool jobprops_may_change(const struct job_record *base, const struct stmt_props *from,
                         const struct stmt_props *to, struct err *err)
{
    for (size_t i = 0; has_begun(base) && i < ARRAY_SIZE(fixed_rules); i++) {
        const struct choice_property *p = find_choice(fixed_rules[i].key);
        if (is_changed(p, from, to)) {
            return err_say(err,
                           DETAIL
                           "The %s property cannot be modified in ALTER JOB once the job has "
                           "loaded files: job %s has %s, and what it has loaded so far was "
                           "found that way, so that files would come twice or never. %s",
                           p->key, base->name, choice_in(from, p), fixed_rules[i].instead);
        }
    }
    return true;
}

bool jobprops_may_move(const struct job_record *base, const struct stmt_props *to, struct err *err)
{
    return !has_begun(base) || !is_tracked(to) ||
           err_say(err,
                   DETAIL "The offset cannot be modified in ALTER JOB with \"s3.discovery\" = "
                          "\"tracked\" once the job has loaded files: job %s knows each of them by "
                          "its name, and loads what it does not know, wherever the offset is. To "
                          "load files again, CREATE another job for them",
                   base->name);
}
