/*
 * Signed requests to one bucket. Blocks until the deadline or the cancel flag; a failed link, a
 * cut reply and "slow down" are tried again a few times within it. One thread uses it at a time.
 */
#ifndef SOURCES_S3_CLIENT_H
#define SOURCES_S3_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "scheduler/cancel.h"
#include "sources/s3_config.h"
#include "sources/s3_list.h"

struct s3_client;

struct s3_list_request {
    struct span prefix;
    const char *start_after; /* keys behind this one; NULL: from the first */
    int max_keys;            /* services send at most 1000 */
    int64_t deadline_us;     /* monotonic */
    const struct cancel *cancel;
};

/* `config` is borrowed and outlives the client. Never NULL; an idle client holds no connection. */
struct s3_client *s3_client_create(const struct s3_config *config);
void s3_client_destroy(struct s3_client *c);

/*
 * One page, checked by s3_page_check(); never an error document. False: err names the bucket, the
 * endpoint and the service's error code, and what to do. Never a secret.
 */
bool s3_client_list(struct s3_client *c, const struct s3_list_request *request, struct s3_page *ret,
                    struct err *err);

/*
 * At most so many milliseconds is the service's clock ahead of ours, by the last reply that told;
 * rather too many, by up to a second and the time of a request. False: no reply has told yet.
 */
bool s3_client_skew_ms(const struct s3_client *c, int64_t *ret_ms);

#endif
