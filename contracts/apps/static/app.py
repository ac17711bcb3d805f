"""A static server: whitenoise with the files of this directory, and one that is compressed beforehand."""

import gzip
import os
import tempfile

from whitenoise import WhiteNoise


def absent(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "7")])
    return [b"absent\n"]


root = tempfile.mkdtemp(dir=os.environ.get("HOME"))
text = b"".join(b"line %d\n" % number for number in range(2000))
files = {
    "index.html": b"<!doctype html><title>Static</title>\n",
    "text.txt": text,
    "text.txt.gz": gzip.compress(text, mtime=0),
    "bytes.bin": bytes(number % 251 for number in range(100_000)),
    "empty.txt": b"",
    "with space.txt": b"a space\n",
}
for name, content in files.items():
    path = os.path.join(root, name)
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))
app = WhiteNoise(absent, root=root, index_file=True, max_age=60)
