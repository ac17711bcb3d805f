"""Opens pages in Debian's Chromium and prints what their scripts saw, as one JSON object.

usage: pages.py PLAN   (PLAN is JSON: the addresses, the session and the certificate of the edge under test)

The pages come from this program's own server, over TLS, as pages of two other origins: one that the edge lists and one that
it does not. Every request to the edge is a real one: nothing is intercepted.
"""

import http.server
import json
import ssl
import sys
import threading

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
# Each wait of a page, in milliseconds: a test machine is slow, and an answer that never comes must end the test.
PATIENCE = 30_000


class Page(http.server.BaseHTTPRequestHandler):
    """Any path is a page; it shows its own address."""

    def do_GET(self):
        body = f"<!doctype html><title>page</title><p id=path>{self.path}</p>".replace("&", "&amp;").encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(plan):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", plan["pages_port"]), Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(plan["certificate"], plan["key"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


# The scripts of the pages. Each returns what it saw; an answer that the browser hides is its error.
ASK = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return { status: answer.status, body: await answer.text(), headers: Object.fromEntries(answer.headers) };
  } catch (error) { return { error: error.name }; }
}"""

SOCKET = """([url, protocols]) => new Promise((done) => {
  const socket = protocols.length ? new WebSocket(url, protocols) : new WebSocket(url);
  socket.onopen = () => socket.send("hello");
  socket.onmessage = (message) => { done({ echo: message.data, protocol: socket.protocol }); socket.close(); };
  socket.onerror = () => done({ error: "refused" });
})"""

EVENTS = """(url) => new Promise((done) => {
  const seen = [];
  const events = new EventSource(url, { withCredentials: true });
  events.onmessage = (event) => { seen.push(event.data); if (seen.length === 3) { events.close(); done({ seen }); } };
  events.onerror = () => { events.close(); done({ seen, error: "refused" }); };
})"""

UPLOAD = """([url, size]) => new Promise((done) => {
  const request = new XMLHttpRequest();
  let progress = 0, last = 0;
  request.upload.onprogress = (event) => { progress += 1; last = event.loaded; };
  request.onload = () => done({ status: request.status, body: request.responseText, progress, last });
  request.onerror = () => done({ error: "hidden", progress });
  request.open("PUT", url);
  request.withCredentials = true;
  request.setRequestHeader("content-type", "application/octet-stream");
  request.send(new Uint8Array(size));
})"""


def main():
    plan = json.loads(sys.argv[1])
    serve(plan)
    seen = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            # Every name is this machine; nothing of Chromium's own goes anywhere.
            args=["--host-resolver-rules=MAP * 127.0.0.1", "--no-sandbox", "--disable-dev-shm-usage"],
        )
        seen["browser"] = browser.version
        # The certificate is the test's own, for one name.
        context = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(PATIENCE)
        api, cookie = plan["api"], plan["cookie"]
        signed_in = {"name": cookie["name"], "value": cookie["value"], "url": api, "secure": True, "sameSite": "Lax"}
        page = context.new_page()
        page.goto(plan["listed"] + "/app")

        def ask(path, **options):
            return page.evaluate(ASK, [api + path, {"credentials": "include", **options}])

        seen["anonymous"] = ask("/books/1")
        seen["anonymous_socket"] = page.evaluate(SOCKET, [plan["socket"] + "/live", []])
        seen["token_socket"] = page.evaluate(SOCKET, [plan["socket"] + "/live", ["chat.v2", "bearer." + plan["token"]]])
        seen["token_alone"] = page.evaluate(SOCKET, [plan["socket"] + "/live", ["bearer." + plan["token"]]])
        seen["forged_token"] = page.evaluate(SOCKET, [plan["socket"] + "/live", ["chat.v2", "bearer.x"]])
        seen["once"] = ask("/few")
        seen["too_often"] = ask("/few")
        context.add_cookies([signed_in])
        seen["read"] = ask("/books/1")
        put = {"method": "PUT", "body": "{}", "headers": {"content-type": "application/json", "x-page": "1"}}
        seen["changed"] = ask("/books/1", **put)
        seen["backend_rules"] = ask("/own/1")
        seen["socket"] = page.evaluate(SOCKET, [plan["socket"] + "/live", []])
        seen["events"] = page.evaluate(EVENTS, api + "/events")
        seen["upload"] = page.evaluate(UPLOAD, [api + "/upload", plan["upload_bytes"]])

        page.goto(plan["unlisted"] + "/app")
        seen["other_page_reads"] = ask("/books/1")
        seen["other_page_changes"] = ask("/books/2", **put)
        seen["other_page_posts"] = ask("/books/3", method="POST", body="a=b")
        seen["other_page_socket"] = page.evaluate(SOCKET, [plan["socket"] + "/live", []])

        context.clear_cookies()
        page.goto(api + "/pages/1?a=1&b=2")
        seen["opened"] = {"url": page.url, "path": page.text_content("#path")}
        context.add_cookies([signed_in])
        answer = page.goto(api + "/pages/1?a=1&b=2")
        seen["opened_signed_in"] = {"url": page.url, "status": answer.status}
        browser.close()
    print(json.dumps(seen))


main()
