#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/fuzz/session_rig.h"

enum { VALID_S = 24 * 3600 };

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();
    assert(x != NULL);
    X509_NAME *name = X509_get_subject_name(x);
    int is_ok = X509_set_version(x, X509_VERSION_3) &&
                ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
                X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL &&
                X509_gmtime_adj(X509_getm_notAfter(x), VALID_S) != NULL &&
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fuzz",
                                           -1, -1, 0) &&
                X509_set_issuer_name(x, name) && X509_set_pubkey(x, key) &&
                X509_sign(x, key, EVP_sha256()) > 0;
    assert(is_ok);
    return x;
}

void rig_write_certificate(char path[RIG_PATH_SIZE])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert(key != NULL);
    X509 *x = make_certificate(key);
    int n = snprintf(path, RIG_PATH_SIZE, "/tmp/fuzz-session-XXXXXX");
    assert(n > 0 && n < RIG_PATH_SIZE);
    int fd = mkstemp(path); /* 0600, as a key has to be */
    assert(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert(f != NULL);
    int is_ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) && PEM_write_X509(f, x);
    assert(is_ok);
    int rc = fclose(f);
    assert(rc == 0);
    X509_free(x);
    EVP_PKEY_free(key);
}
