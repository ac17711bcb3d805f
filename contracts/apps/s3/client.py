"""A program with boto3, the client library of Amazon: it prints each answer as it arrived, one JSON object in a line.

usage: client.py HOST:PORT"""

import base64
import http.client
import io
import json
import sys

import boto3
import urllib3
import urllib3.util.connection
from botocore.config import Config

ADDRESS = sys.argv[1].rsplit(":", 1)
# The program knows the store by its name alone, wherever it is: the name is signed.
connect = urllib3.util.connection.create_connection
urllib3.util.connection.create_connection = lambda _, *rest, **more: connect((ADDRESS[0], int(ADDRESS[1])), *rest, **more)

step = ""


class Recorded(http.client.HTTPResponse):
    """An answer that prints itself when it was read."""

    def begin(self):
        super().begin()
        self.pieces = []
        if self.length == 0 or self._method == "HEAD":
            self.show()

    def read(self, amount=None):
        piece = super().read(amount)
        if self.pieces is not None:
            self.pieces.append(piece)
            if self.isclosed():
                self.show()
        return piece

    def show(self):
        if self.pieces is not None:
            body = base64.b64encode(b"".join(self.pieces)).decode()
            head = {"status": self.status, "reason": self.reason, "headers": self.msg.items()}
            print(json.dumps({"step": step, **head, "body": body}))
            self.pieces = None


http.client.HTTPConnection.response_class = Recorded


def said(name):
    global step
    step = name


def store(secret="a-secret-that-opens-this-store-alone"):
    return boto3.client(
        "s3",
        endpoint_url="http://app.test",
        region_name="us-east-1",
        aws_access_key_id="AKIAEXAMPLEOFNOBODY0",
        aws_secret_access_key=secret,
        config=Config(signature_version="s3v4", retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


s3 = store()
said("create a bucket")
s3.create_bucket(Bucket="desk")
said("put an object with a key that must be encoded")
key = "a b/ü+~*'()&=%41.txt"
s3.put_object(Bucket="desk", Key=key, Body=b"text of it\n", ContentType="text/plain", Metadata={"Writer": "Zoe  Z"})
said("get it")
assert s3.get_object(Bucket="desk", Key=key)["Body"].read() == b"text of it\n"
said("get a range of it")
s3.get_object(Bucket="desk", Key=key, Range="bytes=5-6")["Body"].read()
said("put a large object, which asks before it sends (Expect)")
large = bytes(number % 251 for number in range(3 * 1024 * 1024))
s3.put_object(Bucket="desk", Key="large", Body=io.BytesIO(large))
said("get it back")
assert s3.get_object(Bucket="desk", Key="large")["Body"].read() == large


def in_chunks(params, **_):
    params["context"]["checksum"]["request_algorithm"]["in"] = "trailer"


said("put an object in chunks with a trailer (aws-chunked)")
s3.meta.events.register("before-call.s3.PutObject", in_chunks)
s3.put_object(Bucket="desk", Key="chunks", Body=io.BytesIO(b"chunk " * 1000), ChecksumAlgorithm="CRC32")
s3.meta.events.unregister("before-call.s3.PutObject", in_chunks)
said("get what came in chunks")
assert s3.get_object(Bucket="desk", Key="chunks")["Body"].read() == b"chunk " * 1000

said("begin an upload in parts")
upload = s3.create_multipart_upload(Bucket="desk", Key="parts")["UploadId"]
parts = []
for number, body in [(1, large), (2, b"the end")]:
    said(f"upload part {number}")
    part = s3.upload_part(Bucket="desk", Key="parts", UploadId=upload, PartNumber=number, Body=body)
    parts.append({"PartNumber": number, "ETag": part["ETag"]})
said("list the parts")
s3.list_parts(Bucket="desk", Key="parts", UploadId=upload)
said("end the upload")
s3.complete_multipart_upload(Bucket="desk", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
said("list the objects")
s3.list_objects_v2(Bucket="desk", Prefix="", Delimiter="/")
said("head of the object in parts")
s3.head_object(Bucket="desk", Key="parts")
said("copy")
s3.copy_object(Bucket="desk", Key="copy", CopySource={"Bucket": "desk", "Key": key})

pool = urllib3.PoolManager(retries=False)
said("get by a presigned URL")
url = s3.generate_presigned_url("get_object", Params={"Bucket": "desk", "Key": key}, ExpiresIn=300)
assert pool.request("GET", url).status == 200, url
said("put by a presigned URL")
url = s3.generate_presigned_url("put_object", Params={"Bucket": "desk", "Key": "by url"}, ExpiresIn=300)
assert pool.request("PUT", url, body=b"put").status == 200, url
said("a presigned URL for another object is refused")
assert pool.request("GET", url.replace("by%20url", "large"), preload_content=True).status == 403

said("another secret is refused")
try:
    store("another-secret").list_buckets()
    sys.exit("a wrong signature was accepted")
except s3.exceptions.ClientError as error:
    assert error.response["Error"]["Code"] == "SignatureDoesNotMatch", error
said("delete")
s3.delete_objects(Bucket="desk", Delete={"Objects": [{"Key": "copy"}, {"Key": "none"}]})
