/*
 * What must not be shown: the one list of the names whose values are secrets (passwords, keys,
 * tokens), and the masking of such values in any text. The log masks every value it writes; whoever
 * shows a text to a client, or stores it, masks it here first. Pure; any thread.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>

#include "base/span.h"

#define SECRET_MASK "*XXX" /* as Doris writes it (DatasourcePrintableMap) */

/*
 * Is a property of this name a secret? In any letter case, behind any prefix that ends in '.', '_'
 * or '-', the words joined by either of them or by nothing: s3.secret_key, AWS_SECRET_KEY,
 * fs.oss.accessKeySecret, property.sasl.jaas.config.
 */
bool secret_is_key(struct span key);

/*
 * The text with the values of such names replaced by *XXX, between the quotes that were written.
 * Works on any text, SQL, JSON, a URL or what does not parse, and rather masks too much. The caller
 * owns the result.
 */
char *secret_mask(struct span text);

/*
 * Replaces a known secret wherever it stands in the text, as it is or escaped as in a string of SQL;
 * the text never gets longer. Secrets of fewer than four bytes are let through, they would blacken
 * ordinary words.
 */
void secret_blacken(char *text, const char *secret);

#endif
