#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/quote.h"
#include "sources/s3_aside.h"
#include "sources/s3_fill.h"

/* How the reason of an overwritten file begins; a later plan knows it by that. */
static const char OVERWRITTEN[] = "it was loaded, and overwritten since";

static void add_entry(struct plan *ret, const struct bad_file *file)
{
    ret->bad = xrealloc_array(ret->bad, ret->n_bad + 1, sizeof(*ret->bad));
    ret->bad[ret->n_bad++] = *file;
}

static char *unreadable_reason(const struct source *s, const char *why, int fe_version)
{
    return xasprintf("%s%s. Give it another name%s, and it is loaded", why,
                     fe_version == 0 ? " (the version of the FE is not known)" : "",
                     s->options.is_tracked ? "" : ", one that sorts behind the job's offset");
}

void s3_aside_add(const struct source *s, const struct s3_object *object, enum s3_aside_kind kind,
                  const char *why, int fe_version, struct plan *ret)
{
    struct s3_mark_rules rules = s3_fill_rules(s);
    bool is_overwritten = kind == S3_ASIDE_OVERWRITTEN;
    struct bad_file file = {.key = s3_whole_key(span_of(object->key)),
                            .etag = s3_whole_key(span_of(object->etag)),
                            .size = object->size,
                            .at_ms = clock_wall_ms()};
    file.reason = is_overwritten ? xasprintf("%s; its ETag is \"%s\" now", OVERWRITTEN, file.etag)
                                 : unreadable_reason(s, why, fe_version);
    add_entry(ret, &file);
    if (rules.is_tracked) {
        /* What was loaded once and is accepted as it is now by SKIP FILE is not bad any more. */
        s3_marks_add(&ret->marks, &rules,
                     &(struct file_mark){.key = object->key,
                                         .tag = s3_etag_tag(object->etag),
                                         .size = object->size,
                                         .is_bad = !is_overwritten});
    }
}

void s3_aside_tell(const struct source *s, const struct plan *ret, struct err *err)
{
    const struct bad_file *first = &ret->bad[0];
    _cleanup_free_ char *offset = quote_text(ret->offset_after);
    (void)err_say(err, "object \"%s\" cannot be loaded: %s%s%s%s", first->key, first->reason,
                  s->options.is_tracked ? ""
                                        : ". Or move the job's offset behind it: "
                                          "ALTER JOB ... PROPERTIES('offset'=",
                  s->options.is_tracked ? "" : offset, s->options.is_tracked ? "" : ")");
}

const struct bad_file *s3_aside_retried(const struct source *s, const struct plan_request *request)
{
    struct err ignored = {0}; /* the plan behind it says so */
    const char *offset = request->offset != NULL && !s->options.is_tracked ? request->offset : NULL;
    _cleanup_free_ char *passed = offset != NULL ? s3_offset_key(offset, &ignored) : NULL;
    for (size_t i = 0; i < request->n_bad; i++) {
        const struct bad_file *f = &request->bad[i];
        if (f->is_retried && (passed == NULL || strcmp(f->key, passed) <= 0)) {
            return f;
        }
    }
    return NULL;
}

const struct bad_file *s3_aside_undecided(const struct plan_request *request)
{
    for (size_t i = 0; i < request->n_bad; i++) {
        if (span_starts_with(span_of(request->bad[i].reason), OVERWRITTEN)) {
            return &request->bad[i];
        }
    }
    return NULL;
}

void s3_aside_ask(const struct bad_file *file, struct err *err)
{
    _cleanup_free_ char *key = quote_text(file->key);
    (void)err_say(err,
                  "file \"%s\" was loaded, and overwritten since (s3.overwritten is error). Decide "
                  "about it: ALTER JOB ... RETRY FILE %s loads what it is now, besides what was "
                  "loaded of it; ALTER JOB ... SKIP FILE %s accepts it unread. Then RESUME JOB",
                  file->key, key, key);
}

/* As it was set aside before, with another reason. */
static enum plan_result aside_again(struct source *s, const struct plan_request *request,
                                    const struct bad_file *file, char *owned_reason,
                                    struct plan *ret, struct err *err)
{
    struct bad_file again = {0};
    const char *offset = request->offset != NULL ? request->offset : s->first_offset;
    bad_file_copy(file, &again);
    free(again.reason);
    again.reason = owned_reason;
    again.at_ms = clock_wall_ms();
    again.is_retried = false;
    add_entry(ret, &again);
    ret->offset_after = offset != NULL ? xstrdup(offset) : s3_offset_text("");
    ret->is_retry = true;
    ret->has_more = true;
    s3_aside_tell(s, ret, err);
    return PLAN_ASIDE;
}

/* A key lists first below itself as prefix. False: err. *ret_page has it as its only object, or none. */
static bool find_file(struct source *s, const struct plan_request *request, const char *key,
                      struct s3_page *ret_page, struct err *err)
{
    struct s3_list_request list = {.prefix = span_of(key),
                                   .max_keys = 1,
                                   .deadline_us = request->deadline_us,
                                   .cancel = request->cancel};
    return s3_client_list(s->client, &list, ret_page, err);
}

static enum plan_result plan_alone(struct source *s, const struct plan_request *request,
                                   const struct bad_file *file, const struct s3_object *object,
                                   struct plan *ret, struct err *err)
{
    _cleanup_s3_batch_ struct s3_batch batch = {0};
    struct s3_batch_limits limits = s3_fill_limits(s, request);
    const char *why = "";
    s3_batch_init(&batch, &limits);
    if (s3_batch_offer(&batch, object, &why) == S3_OFFER_UNREADABLE) {
        return aside_again(s, request, file, unreadable_reason(s, why, limits.fe_version), ret,
                           err);
    }
    const char *offset = request->offset != NULL ? request->offset : s->first_offset;
    s3_batch_finish(&batch, NULL, ret);
    free(ret->offset_after);
    free(ret->end_offset);
    ret->offset_after = offset != NULL ? xstrdup(offset) : s3_offset_text("");
    ret->end_offset = NULL;
    ret->is_retry = true;
    ret->has_more = true; /* what was under way before it was asked for */
    return PLAN_RANGE;
}

enum plan_result s3_aside_retry(struct source *s, const struct plan_request *request,
                                const struct bad_file *file, struct plan *ret, struct err *err)
{
    _cleanup_s3_page_ struct s3_page page = {0};
    if (!find_file(s, request, file->key, &page, err)) {
        return PLAN_FAIL;
    }
    const struct s3_object *object = page.n_objects > 0 ? &page.objects[0] : NULL;
    if (object == NULL || strcmp(object->key, file->key) != 0 ||
        !glob_match(s->glob, span_of(object->key))) {
        return aside_again(s, request, file,
                           xstrdup("it is gone: the bucket has no object of this name any more. "
                                   "Put it there again, or SKIP FILE"),
                           ret, err);
    }
    if (object->size == 0) {
        return aside_again(s, request, file, xstrdup("it is empty now: there is nothing to load"),
                           ret, err);
    }
    return plan_alone(s, request, file, object, ret, err);
}
