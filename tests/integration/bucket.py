"""A bucket of the test's own, filled with rows that can be told apart."""

import uuid

import botocore.config
import botocore.session

HEADER = "id,name,amount,created"
COLUMNS = "id BIGINT, name VARCHAR(64), amount DECIMAL(10,2), created DATETIME"


def s3_client(server, path_style=True):
    """`server` has .endpoint .access_key .secret_key .region and perhaps .session_token."""
    session = botocore.session.Session()
    return session.create_client(
        "s3", endpoint_url=server.endpoint, aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        aws_session_token=getattr(server, "session_token", None), region_name=server.region,
        config=botocore.config.Config(
            signature_version="s3v4", connect_timeout=10, read_timeout=30,
            retries={"max_attempts": 3}, request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if path_style else "auto"}))


def csv_text(first_id, n, header=False):
    """`n` rows with ids from `first_id`."""
    lines = [HEADER] if header else []
    lines += ["%d,name-%d,%d.%02d,2024-05-%02d 12:%02d:%02d"
              % (i, i, i % 1000, i % 100, i % 28 + 1, i // 60 % 60, i % 60)
              for i in range(first_id, first_id + n)]
    return "\n".join(lines) + "\n"


class Bucket:
    """Objects put here carry row ids 1, 2, 3, … over the bucket, so every row is known by its id."""

    def __init__(self, server, name=None):
        self.server = server
        self.name = name or "sluice-" + uuid.uuid4().hex[:12]
        self.client = s3_client(server)
        self.n_rows = 0
        self.keys = []

    def create(self):
        self.client.create_bucket(Bucket=self.name)
        return self

    def put(self, key, body):
        """Any object."""
        self.client.put_object(Bucket=self.name, Key=key,
                               Body=body.encode() if isinstance(body, str) else body)
        self.keys.append(key)

    def put_rows(self, key, n=10, header=False):
        """A CSV file with the next `n` row ids; returns them."""
        first = self.n_rows + 1
        self.put(key, csv_text(first, n, header))
        self.n_rows += n
        return range(first, first + n)

    def list(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name,
                                                                      Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def remove(self, key):
        self.client.delete_object(Bucket=self.name, Key=key)

    def delete(self):
        for key in self.list():
            self.remove(key)
        self.client.delete_bucket(Bucket=self.name)

    def uri(self, pattern):
        return "s3://%s/%s" % (self.name, pattern)

    def tvf(self, pattern, **properties):
        """S3(…) for this bucket; `properties` add to or replace the usual ones, None removes."""
        values = {"uri": self.uri(pattern), "format": "csv", "column_separator": ",",
                  "s3.endpoint": self.server.endpoint, "s3.region": self.server.region,
                  "s3.access_key": self.server.access_key,
                  "s3.secret_key": self.server.secret_key,
                  "s3.session_token": getattr(self.server, "session_token", None),
                  "use_path_style": "true"}
        values.update(properties)
        return "S3(%s)" % ", ".join('"%s" = "%s"' % item for item in values.items()
                                    if item[1] is not None)
