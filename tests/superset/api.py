"""Superset's REST API as one signed-in user."""

import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request

import bed
import procs


class ApiError(Exception):
    """A status other than 2xx; the text has what Superset said."""


class Api:
    """call() with the token, the session's cookie and the CSRF token that changes want."""

    def __init__(self, url, user=bed.USER, password=bed.PASSWORD):
        self.url = url
        self.headers = {"Content-Type": "application/json", "Referer": url}
        # No proxy of the environment: everything is on this machine.
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        token = self.post("security/login", username=user, password=password, provider="db",
                          refresh=False)["access_token"]
        self.headers["Authorization"] = "Bearer " + token
        self.headers["X-CSRFToken"] = self.get("security/csrf_token/")["result"]

    def call(self, method, path, document=None):
        request = urllib.request.Request(
            "%s/api/v1/%s" % (self.url, path), method=method, headers=self.headers,
            data=None if document is None else json.dumps(document).encode())
        try:
            with self.opener.open(request, timeout=procs.patience(60)) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as e:
            raise ApiError("%s %s: %d %s" % (method, path, e.code,
                                             e.read().decode(errors="replace")[:2000])) from None

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self.call("GET", path)

    def post(self, path, **document):
        return self.call("POST", path, document)
