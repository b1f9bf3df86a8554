"""WSGI filters for tests/s3/swift.py: access keys for s3api, and a cache in the process."""

from swift.common.swob import HTTPUnauthorized


def keys_factory(_global_conf, keys="", account="main", **_local_conf):
    """Access keys as AWS has them (no "account:user"), all of one account."""
    secrets = dict(pair.split("=", 1) for pair in keys.split())
    target = "AUTH_" + account

    def deny(req):
        return HTTPUnauthorized(request=req)

    def allow(_req):
        return None

    def make(app):
        def call(env, start_response):
            auth = env.get("s3api.auth_details")
            env["swift.authorize"] = deny
            secret = secrets.get(auth["access_key"]) if auth else None
            if secret is not None and auth["check_signature"](secret):
                # s3api put the access key where the account belongs.
                env["PATH_INFO"] = env["PATH_INFO"].replace(auth["access_key"], target, 1)
                env["REMOTE_USER"] = target
                env["swift.authorize"] = allow
                env["swift_owner"] = True
                env["swift.clean_acl"] = lambda _header, value: value
            return app(env, start_response)
        return call
    return make


class Cache:
    """The part of the memcache client that Swift's proxy uses; nothing ever expires."""

    def __init__(self):
        self.data = {}

    def get(self, key, **_options):
        return self.data.get(key)

    def set(self, key, value, **_options):
        self.data[key] = value

    def incr(self, key, delta=1, **_options):
        self.data[key] = int(self.data.get(key, 0)) + delta
        return self.data[key]

    def decr(self, key, delta=1, **options):
        return self.incr(key, -delta, **options)

    def delete(self, key, **_options):
        self.data.pop(key, None)

    def get_multi(self, keys, *_args, **_options):
        return [self.data.get(key) for key in keys]

    def set_multi(self, mapping, *_args, **_options):
        self.data.update(mapping)


def cache_factory(_global_conf, **_local_conf):
    cache = Cache()

    def make(app):
        def call(env, start_response):
            env["swift.cache"] = cache
            return app(env, start_response)
        return call
    return make
