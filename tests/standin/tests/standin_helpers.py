"""What the tests share besides fixtures."""

import os

import pymysql
import pytest


def rows(connection, sql):
    with connection.cursor() as k:
        k.execute(sql)
        return k.fetchall()


def error_of(connection, sql):
    """(code, text) of a statement that must fail."""
    with pytest.raises(pymysql.err.MySQLError) as e:
        rows(connection, sql)
    return e.value.args


def ok_info(connection, sql):
    """(affected, warnings, info text) of a statement that must succeed with an OK packet."""
    with connection.cursor() as k:
        affected = k.execute(sql)
        message = connection._result.message
    return affected, connection._result.warning_count, message[1:].decode() if message else ""


class S3:
    """A bucket of one's own."""

    def __init__(self, url, bucket):
        import botocore.config
        import botocore.session
        self.url, self.bucket = url, bucket
        self.access, self.secret = (os.environ.get("S3_ACCESS_KEY", "AKIDEXAMPLE"),
                                    os.environ.get("S3_SECRET_KEY", "wJalrXUtnFEMI"))
        self.client = botocore.session.Session().create_client(
            "s3", region_name="us-east-1", endpoint_url=url, aws_access_key_id=self.access,
            aws_secret_access_key=self.secret, config=botocore.config.Config(
                s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                response_checksum_validation="when_required", proxies={}))
        self.client.create_bucket(Bucket=bucket)

    def put(self, key, data):
        self.client.put_object(Bucket=self.bucket, Key=key,
                               Body=data.encode() if isinstance(data, str) else data)

    def call(self, key, fmt="csv", **more):
        props = {"uri": "s3://%s/%s" % (self.bucket, key), "s3.endpoint": self.url,
                 "s3.region": "us-east-1", "s3.access_key": self.access,
                 "s3.secret_key": self.secret, "use_path_style": "true", "format": fmt}
        props.update((k.replace("__", "."), v) for k, v in more.items())
        return "S3(%s)" % ", ".join('"%s" = "%s"' % kv for kv in props.items() if kv[1] is not None)
