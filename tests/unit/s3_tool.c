/*
 * Drives the S3 source from the command line, for tests/integration/test_s3_source.py:
 *
 *     s3_tool check|plan|all|pages FE_VERSION key=value …
 *
 * Keys are properties of S3(); "job.x" is the job's property x; "offset" is where plan begins. One
 * JSON object a line: check {"empty":…}, plan the next range, all every range up to the end, with
 * {"aside":…} for what Doris cannot read, pages {"keys":[…]} for each page of PAGE_KEYS keys behind
 * the pattern's prefix. An error is {"error":…} and status 1.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "scheduler/source.h"
#include "sources/s3_client.h"
#include "sources/s3_source.h"

enum { PAGE_KEYS = 7 }; /* few, so that a test needs few objects for many pages */

static const int64_t TIME_LIMIT_US = INT64_C(20) * 1000000;

static void add_prop(struct spec_prop **props, size_t *n, const char *key, const char *value)
{
    *props = xrealloc_array(*props, *n + 1, sizeof(**props));
    (*props)[(*n)++] = (struct spec_prop){.key = xstrdup(key), .value = xstrdup(value)};
}

/* INSERT INTO d.t SELECT * FROM S3("uri" = "…"), with the places of label and uri. */
static struct job_spec *make_spec(int argc, char **argv, const char **ret_offset)
{
    struct job_spec *spec = xcalloc(1, sizeof(*spec));
    struct insert_spec *insert = &spec->insert;
    static const char HEAD[] = "INSERT INTO d.t SELECT * FROM S3(\"uri\" = ";
    for (int i = 0; i < argc; i++) {
        char *equal = strchr(argv[i], '=');
        _cleanup_free_ char *key = xmemdup0(argv[i], equal != NULL ? (size_t)(equal - argv[i]) : 0);
        if (equal == NULL) {
            continue;
        }
        if (strcmp(key, "offset") == 0) {
            *ret_offset = equal + 1;
        } else if (strncmp(key, "job.", 4) == 0) {
            add_prop(&spec->props, &spec->n_props, key + 4, equal + 1);
        } else {
            add_prop(&insert->tvf_props, &insert->n_tvf_props, key, equal + 1);
        }
    }
    insert->sql = xasprintf("%s\"\")", HEAD);
    insert->sql_len = strlen(insert->sql);
    insert->label_at = insert->label_end = strlen("INSERT INTO d.t");
    for (size_t i = 0; i < insert->n_tvf_props; i++) {
        insert->tvf_props[i].value_at = sizeof(HEAD) - 1;
        insert->tvf_props[i].value_end = sizeof(HEAD) + 1;
    }
    return spec;
}

static void print(json_t *owned)
{
    char *text = json_dumps(owned, JSON_COMPACT);
    (void)puts(text);
    free(text);
    json_decref(owned);
}

static int print_error(const struct err *err)
{
    print(json_pack("{s:s}", "error", err->msg));
    return 1;
}

static int print_plan(const struct source *s, const struct plan *plan, struct err *err)
{
    json_t *out = json_object();
    char *sql = s3_source_ops.rewrite(s, plan->range, "l_1", err);
    if (sql == NULL) {
        json_decref(out);
        return print_error(err);
    }
    (void)json_object_set_new(out, "range", json_loads(plan->range, 0, NULL));
    (void)json_object_set_new(out, "after", json_loads(plan->offset_after, 0, NULL));
    (void)json_object_set_new(out, "running", json_loads(plan->running_offset, 0, NULL));
    (void)json_object_set_new(out, "end", json_loads(plan->end_offset, 0, NULL));
    (void)json_object_set_new(out, "files", json_integer(plan->n_files));
    (void)json_object_set_new(out, "bytes", json_integer(plan->n_bytes));
    (void)json_object_set_new(out, "more", json_boolean(plan->has_more));
    (void)json_object_set_new(out, "sql", json_string(sql));
    print(out);
    free(sql);
    return 0;
}

static void print_aside(const struct plan *plan)
{
    json_t *files = json_array();
    for (size_t i = 0; i < plan->n_bad; i++) {
        const struct bad_file *b = &plan->bad[i];
        (void)json_array_append_new(files, json_pack("{s:s, s:s, s:s, s:I}", "key", b->key,
                                                     "reason", b->reason, "etag", b->etag, "size",
                                                     (json_int_t)b->size));
    }
    print(json_pack("{s:o, s:o, s:b}", "aside", files, "after",
                    json_loads(plan->offset_after, 0, NULL), "more", plan->has_more));
}

static int run_check(struct source *s, struct err *err)
{
    bool is_empty = false;
    if (!s3_source_ops.check(s, clock_mono_us() + TIME_LIMIT_US, NULL, &is_empty, err)) {
        return print_error(err);
    }
    print(json_pack("{s:b}", "empty", is_empty));
    return 0;
}

static int run_plans(struct source *s, const char *offset, const struct fe_traits *fe, bool is_all,
                     struct err *err)
{
    char *at = offset != NULL ? xstrdup(offset) : NULL;
    int rc = 0;
    bool is_over = false;
    while (rc == 0 && !is_over) {
        struct plan plan = {0};
        struct plan_request request = {
            .offset = at, .fe = fe, .deadline_us = clock_mono_us() + TIME_LIMIT_US};
        switch (s3_source_ops.plan(s, &request, &plan, err)) {
        case PLAN_ASIDE:
            print_aside(&plan);
            free(at);
            at = xstrdup(plan.offset_after);
            is_over = !is_all;
            break;
        case PLAN_REFUSED:
        case PLAN_FAIL: rc = print_error(err); break;
        case PLAN_EMPTY:
        case PLAN_END:
            print(json_pack("{s:b}", "empty", 1));
            is_over = true;
            break;
        case PLAN_RANGE:
            rc = print_plan(s, &plan, err);
            free(at);
            at = xstrdup(plan.offset_after);
            is_over = !is_all;
            break;
        }
        plan_fini(&plan);
    }
    free(at);
    return rc;
}

static void print_page(const struct s3_page *page)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < page->n_objects; i++) {
        (void)json_array_append_new(keys, json_string(page->objects[i].key));
    }
    print(json_pack("{s:o}", "keys", keys));
}

static int run_pages(const struct job_spec *spec, struct err *err)
{
    const struct insert_spec *insert = &spec->insert;
    _cleanup_s3_config_ struct s3_config config = {0};
    char *start_after = NULL;
    bool is_ok = s3_config_read(insert->tvf_props, insert->n_tvf_props, &config, err);
    struct s3_client *client = is_ok ? s3_client_create(&config) : NULL;
    bool has_more = client != NULL;
    is_ok = has_more;
    while (is_ok && has_more) {
        struct s3_page page = {0};
        struct span pattern = s3_config_pattern(&config);
        struct s3_list_request request = {.prefix = {pattern.p, strcspn(pattern.p, "*[{\\")},
                                          .start_after = start_after,
                                          .max_keys = PAGE_KEYS,
                                          .deadline_us = clock_mono_us() + TIME_LIMIT_US};
        is_ok = s3_client_list(client, &request, &page, err);
        if (is_ok) {
            print_page(&page);
            has_more = page.is_truncated;
        }
        if (page.n_objects > 0) {
            free(start_after);
            start_after = xstrdup(page.objects[page.n_objects - 1].key);
        }
        s3_page_fini(&page);
    }
    free(start_after);
    s3_client_destroy(client);
    return is_ok ? 0 : print_error(err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    const char *offset = NULL;
    int64_t version = 0;
    if (argc < 3 || !span_to_int64(span_of(argv[2]), 0, 9999, &version)) {
        (void)fputs("usage: s3_tool check|plan|all|pages FE_VERSION key=value ...\n", stderr);
        return 2;
    }
    struct fe_traits fe = {.version = (int)version};
    struct job_spec *spec = make_spec(argc - 3, argv + 3, &offset);
    struct source *s = s3_source_ops.create(spec, &err);
    int rc = 0;
    if (s == NULL) {
        rc = print_error(&err);
    } else if (strcmp(argv[1], "pages") == 0) {
        rc = run_pages(spec, &err);
    } else if (strcmp(argv[1], "check") == 0) {
        rc = run_check(s, &err);
    } else {
        rc = run_plans(s, offset, &fe, strcmp(argv[1], "all") == 0, &err);
    }
    s3_source_ops.destroy(s);
    job_spec_destroy(spec);
    return rc;
}
