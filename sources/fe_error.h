/*
 * What the texts of an FE's errors mean. Doris has one error number (1105) for nearly everything,
 * so only the text tells; the spellings of 2.0 to 4.1 and of the cloud mode are in here and nowhere
 * else. Data of the user may stand in a text (first_error_msg: …), so what would make us believe in
 * a commit is looked for only where the FE itself speaks. Pure; any thread.
 */
#ifndef SOURCES_FE_ERROR_H
#define SOURCES_FE_ERROR_H

#include <stdbool.h>

#include "base/span.h"

enum fe_error_kind {
    FE_ERROR_OTHER,
    FE_ERROR_LABEL_USED, /* the label given is there already */
    FE_ERROR_COMMITTED,  /* "transaction commit successfully, BUT data …": it is loaded */
};

/* Spans into the text; empty when absent. */
struct fe_error_parts {
    enum fe_error_kind kind;
    bool is_data_error;   /* the files are at fault (fe_data.h) */
    bool is_column_error; /* a column was not found: the statement's fault, or the first file's */
    struct span txn_id;   /* of FE_ERROR_LABEL_USED: the transaction that has the label */
    struct span tracking_url; /* where the refused rows can be read */
    struct span first_error;  /* the first refused row, as 4.0 tells it */
};

/* `label` is the label of the INSERT that was answered. */
struct fe_error_parts fe_error_read(struct span text, const char *label);

/* "transaction with label <label> does not exist", exactly that and no more. */
bool fe_error_is_unknown_label(struct span text, const char *label);
/* The session variable does not exist in this version. */
bool fe_error_is_unknown_variable(int code, struct span text);
/* The account lacks a privilege. */
bool fe_error_is_denied(int code, struct span text);
bool fe_error_is_missing_database(int code, struct span text);
/* The table or its database does not exist. */
bool fe_error_is_missing_table(int code, struct span text);

#endif
