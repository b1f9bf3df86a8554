#include <string.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "sources/s3_options.h"

#define DETAIL "errCode = 2, detailMessage = " /* as Doris begins what it says of properties */

enum { MAX_VALUES = 3 };

static const char *const DISCOVERY[MAX_VALUES] = {"ordered", "tracked"};
static const char *const OVERWRITTEN[MAX_VALUES] = {"ignore", "reload", "error"};
static const char *const BAD_FILES[MAX_VALUES] = {"quarantine", "pause"};
static const char *const INGESTION[MAX_VALUES] = {"ORDERED_LIST", "ONE_TIME"};

static const char *given(const struct job_spec *spec, const char *name)
{
    return spec_prop_get(spec->props, spec->n_props, name);
}

/* The place of `value` in `values`, in any letter case; MAX_VALUES when it is not one of them. */
static int place_of(const char *value, const char *const values[MAX_VALUES])
{
    for (int i = 0; i < MAX_VALUES && values[i] != NULL; i++) {
        if (span_ieq_text(span_trim(span_of(value)), values[i])) {
            return i;
        }
    }
    return MAX_VALUES;
}

/* The first value is the default. */
static bool read_choice(const struct job_spec *spec, const char *name,
                        const char *const values[MAX_VALUES], int *ret, struct err *err)
{
    const char *value = given(spec, name);
    *ret = value != NULL ? place_of(value, values) : 0;
    if (*ret < MAX_VALUES) {
        return true;
    }
    return err_say(err, DETAIL "%s must be %s%s%s%s%s, but was %s", name, values[0],
                   values[2] != NULL ? ", " : " or ", values[1], values[2] != NULL ? " or " : "",
                   values[2] != NULL ? values[2] : "", value);
}

static bool check_together(const struct job_spec *spec, const struct s3_options *o, struct err *err)
{
    if (given(spec, "s3.overwritten") != NULL && !o->is_tracked) {
        return err_say(err, DETAIL
                       "s3.overwritten needs \"s3.discovery\" = \"tracked\": only a job that "
                       "remembers its files can tell that one has another content");
    }
    if (o->overwritten == S3_OVERWRITTEN_ERROR && o->is_pausing) {
        return err_say(err, DETAIL
                       "\"s3.overwritten\" = \"error\" cannot be used with \"s3.bad_files\" = "
                       "\"pause\": the overwritten file is set aside until ALTER JOB ... "
                       "RETRY FILE or SKIP FILE decides about it");
    }
    if (o->is_one_time && given(spec, "offset") != NULL) {
        return err_say(err, DETAIL "offset is not supported when s3.ingestion_mode is ONE_TIME");
    }
    return true;
}

bool s3_options_read(const struct job_spec *spec, struct s3_options *ret, struct err *err)
{
    int discovery = 0;
    int overwritten = 0;
    int bad_files = 0;
    const char *mode = given(spec, "s3.ingestion_mode");
    int ingestion = mode != NULL ? place_of(mode, INGESTION) : 0;
    if (!read_choice(spec, "s3.discovery", DISCOVERY, &discovery, err) ||
        !read_choice(spec, "s3.overwritten", OVERWRITTEN, &overwritten, err) ||
        !read_choice(spec, "s3.bad_files", BAD_FILES, &bad_files, err)) {
        return false;
    }
    if (ingestion == MAX_VALUES) { /* Doris's own words, and what may be given here */
        return err_say(err,
                       DETAIL "Unsupported s3.ingestion_mode: %s (supported: ORDERED_LIST, "
                              "ONE_TIME)",
                       mode);
    }
    *ret = (struct s3_options){
        .is_tracked = discovery == 1,
        .overwritten = (enum s3_overwritten)overwritten,
        .is_pausing = bad_files == 1,
        .is_one_time = ingestion == 1,
    };
    return check_together(spec, ret, err);
}
