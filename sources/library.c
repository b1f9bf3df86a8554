#include <curl/curl.h>
#include <mysql.h>

#include "sources/http.h"
#include "sources/library.h"

bool library_init(struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        return err_say(err, "cannot initialise libcurl");
    }
    if (mysql_library_init(0, NULL, NULL) != 0) {
        return err_say(err, "cannot initialise the MariaDB client library");
    }
    return true;
}

void library_fini(void)
{
    http_close_idle();
    mysql_library_end();
    curl_global_cleanup();
}
