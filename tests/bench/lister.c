/*
 * Lists through the real S3 source, as a job that looks for a key it never finds: every page is
 * asked for, read and matched.
 *
 *     lister ENDPOINT REGION ACCESS SECRET URI       one JSON object: {"ns":…, "cpu_ns":…}
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "scheduler/source.h"
#include "sources/s3_source.h"
#include "tests/bench/net.h"

enum { LONGEST_S = 600 };

static int64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* cannot fail with this clock */
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct spec_prop prop(const char *key, const char *value)
{
    return (struct spec_prop){.key = xstrdup(key), .value = xstrdup(value)};
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        net_die("usage: lister ENDPOINT REGION ACCESS SECRET URI");
    }
    struct spec_prop props[] = {
        prop("uri", argv[5]),           prop("s3.endpoint", argv[1]),   prop("s3.region", argv[2]),
        prop("s3.access_key", argv[3]), prop("s3.secret_key", argv[4]), prop("format", "csv"),
        prop("use_path_style", "true"),
    };
    char sql[] = "";
    struct job_spec spec = {
        .insert = {.sql = sql, .tvf_props = props, .n_tvf_props = ARRAY_SIZE(props)},
    };
    struct err err = {0};
    struct source *s = s3_source_ops.create(&spec, &err);
    if (s == NULL) {
        net_die("%s", err.msg);
    }
    struct fe_traits fe = {.version = 4001};
    struct plan plan = {0};
    int64_t begin_us = clock_mono_us();
    int64_t begin_cpu_ns = cpu_ns();
    struct plan_request request = {
        .fe = &fe,
        .deadline_us = begin_us + LONGEST_S * INT64_C(1000000),
    };
    enum plan_result result = s3_source_ops.plan(s, &request, &plan, &err);
    int64_t ns = (clock_mono_us() - begin_us) * 1000;
    if (result != PLAN_EMPTY) {
        net_die("the listing did not end with nothing found: %s", err.msg);
    }
    (void)printf("{\"ns\":%" PRId64 ",\"cpu_ns\":%" PRId64 "}\n", ns, cpu_ns() - begin_cpu_ns);
    plan_fini(&plan);
    s3_source_ops.destroy(s);
    for (size_t i = 0; i < ARRAY_SIZE(props); i++) {
        free(props[i].key);
        free(props[i].value);
    }
    return 0;
}
