"""Uses the web application in Debian's Chromium as a person does, and prints what the person saw, as one JSON object.

usage: person.py PLAN   (PLAN is JSON: the addresses of the edge under test, and where its mail arrives)

Every request is a real one: nothing is intercepted. When the session must look old, this program prints the access token on
a line of its own and reads one that has expired, of the same session, from its input.
"""

import json
import pathlib
import re
import sys

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
# Each wait of a page, in milliseconds: a test machine is slow, and an answer that never comes must end the test.
PATIENCE = 60_000
ACCESS = "madome_access_token"

# Every address of the application, with the headline of a person who is signed in.
PAGES = {
    "/": "Welcome back, Demo",
    "/books": "Books",
    "/books/3": "Sample book 3",
    "/books/tags/artist/some%20artist": "artist: some artist",
    "/tastes": "Likes",
    "/histories": "History",
    "/search/books?q=Sample": "Search",
    "/settings": "Settings",
    "/profile": "Demo",
    "/profile/edit": "Change the name",
    "/profile/passkey": "Passkeys",
    "/no/such/page": "Page not found",
}

# A refused style or script is an event of the page, and no exception.
VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI}`))"""


def newest_code(mail):
    newest = max(pathlib.Path(mail).glob("*.json"))
    return json.loads(newest.read_text())["variables"]["authcode"]


class Person:
    def __init__(self, page, plan):
        self.page, self.plan = page, plan

    def opens(self, path):
        return self.page.goto(self.plan["web"] + path).status

    def reads(self, headline):
        """Waits for the headline; returns the path in the address bar."""
        self.page.get_by_role("heading", level=1, name=headline, exact=True).wait_for()
        return self.page.evaluate("location.pathname + location.search")

    def requests_code(self):
        self.page.get_by_label("E-mail").fill("demo@example.com")
        self.page.get_by_role("button", name="Send a code").click()

    def enters(self, code):
        self.page.get_by_label("Code").fill(code)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def alert(self):
        return self.page.get_by_role("alert").text_content()

    def clicks(self, name):
        self.page.get_by_role("link", name=name, exact=True).click()

    def cookies(self):
        return {cookie["name"]: cookie for cookie in self.page.context.cookies(self.plan["api"] + "/auth/token")}


def main():
    plan = json.loads(sys.argv[1])
    seen = {"console": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            # Every name is this machine; nothing of Chromium's own goes anywhere.
            args=["--host-resolver-rules=MAP * 127.0.0.1", "--no-sandbox", "--disable-dev-shm-usage"],
        )
        # The certificate is the test's own, for one name.
        context = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        # A refusal of the API is in the console, too; the test expects those, and no others.
        page.on("console", lambda line: seen["console"].append(f"{line.type}: {line.text} {line.location['url']}")
                if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen["console"].append(f"exception: {error}"))
        person = Person(page, plan)

        # A deep link without a session: the sign-in stands in the page's place.
        seen["deep_link"] = [person.opens("/books/3"), person.reads("Sign in")]
        person.requests_code()
        person.page.get_by_label("Code").wait_for()
        person.enters("WRONGCODE000")
        seen["wrong_code"] = person.alert()
        person.enters(newest_code(plan["mail"]))
        seen["signed_in"] = person.reads("Sample book 3")
        seen["cookies"] = person.cookies()
        seen["script_reads"] = page.evaluate("document.cookie")

        page.reload()
        seen["reloaded"] = person.reads("Sample book 3")
        person.clicks("Read")
        page.get_by_text("Page 1", exact=True).wait_for()
        person.clicks("Next")
        page.get_by_text("Page 2", exact=True).wait_for()
        page.reload()
        page.get_by_text("Page 2", exact=True).wait_for()
        seen["reader"] = page.evaluate("location.pathname + location.search")
        page.go_back()
        page.get_by_text("Page 1", exact=True).wait_for()
        page.go_back()
        seen["back"] = person.reads("Sample book 3")
        page.go_forward()
        page.get_by_text("Page 1", exact=True).wait_for()
        seen["forward"] = page.evaluate("location.pathname + location.search")

        seen["pages"] = {path: [person.opens(path), person.reads(headline)] for path, headline in PAGES.items()}
        person.opens("/books")
        page.get_by_text("Sample book", exact=False).first.wait_for()
        if "pictures" in plan:
            page.screenshot(path=plan["pictures"] + "/books.png")

        # The access token expires while the application is open.
        before = person.cookies()[ACCESS]
        print(before["value"], flush=True)
        kept = ("name", "domain", "path", "expires", "httpOnly", "secure", "sameSite")
        expired = {key: before[key] for key in kept} | {"value": sys.stdin.readline().strip()}
        context.add_cookies([expired])
        person.clicks("History")
        seen["renewed"] = person.reads("History")
        page.get_by_text("You have not read a book yet.").wait_for()
        after = person.cookies()[ACCESS]["value"]
        seen["is_new_token"] = after not in (before["value"], expired["value"])

        seen["missing_asset"] = page.evaluate("fetch('/assets/index-OLD.js').then((answer) => answer.status)")
        person.clicks("Settings")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_text("You are signed out.").wait_for()
        seen["cookies_after"] = sorted(person.cookies())
        person.clicks("Books")
        seen["signed_out"] = person.reads("Sign in")

        # The limit of the edge allows two codes.
        person.requests_code()
        page.get_by_label("Code").wait_for()
        page.get_by_role("button", name="Another address").click()
        person.requests_code()
        seen["too_often"] = person.alert()
        if "pictures" in plan:
            page.screenshot(path=plan["pictures"] + "/refused.png")
        browser.close()
    seen["console"] = sorted(re.sub(r":\d+/", "/", line) for line in seen["console"])
    print(json.dumps(seen))


main()
