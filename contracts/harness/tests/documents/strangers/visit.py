"""Visits httpbin in Debian's Chromium and lets the browser record each request (HAR).

usage: visit.py PORT FILE"""

import sys

from playwright.sync_api import sync_playwright

PORT, FILE = sys.argv[1:]
# Each wait, in milliseconds: a test machine is slow, and an answer that never comes must end the test.
PATIENCE = 30_000

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path="/usr/bin/chromium",
        args=["--no-sandbox", "--host-resolver-rules=MAP app.test 127.0.0.1"],
    )
    context = browser.new_context(record_har_path=FILE)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    origin = f"http://app.test:{PORT}"
    page.goto(f"{origin}/links/3/0")
    page.click("a >> nth=1")
    page.goto(f"{origin}/forms/post")
    page.fill("[name=custname]", "Zoë & sons")
    page.check("[value=bacon]")
    page.click("button")
    page.wait_for_url("**/post")
    page.goto(f"{origin}/redirect-to?url=/html")
    page.evaluate("fetch('/anything?a=%20', { method: 'PATCH', body: '{\"price\": 1.0}' }).then((answer) => answer.text())")
    context.close()
    browser.close()
