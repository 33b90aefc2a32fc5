#!/usr/bin/env python3
"""Looks at two host names of one server in one browser: two.py URL-ONE CERTIFICATE-ONE URL-TWO CERTIFICATE-TWO [FOLDER]

Each service answers with its name and the head that it got. Names below example.test are mapped to loopback, and the two
certificates are trusted. Each line of the output is a claim that holds; the first one that does not ends the program with 1.
"""
import base64, hashlib, os, shutil, subprocess, sys, tempfile, time
from urllib.parse import urlsplit

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from chromium import Browser

SITES = [("one", sys.argv[1], sys.argv[2]), ("two", sys.argv[3], sys.argv[4])]
WORK = tempfile.mkdtemp(prefix="culvert-names-")


def claim(text, holds, found=""):
    print(("ok   " if holds else "FAIL ") + text + (f" ({found})" if found != "" else ""), flush=True)
    if not holds:
        sys.exit(1)


def key_hash(certificate):
    """The hash of a certificate's key, as Chromium takes it."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], check=True, capture_output=True).stdout.decode()
    body = "".join(line for line in key.splitlines() if not line.startswith("-"))
    return base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode()


def text(browser):
    """The text of the page, once it has one."""
    began = time.monotonic()
    while time.monotonic() - began < 15:
        shown = browser.js("document.body ? document.body.innerText : ''")
        if shown:
            return shown
        time.sleep(0.02)
    return ""


def look(browser):
    for name, url, _ in SITES * 2:
        own = urlsplit(url).hostname
        other = next(urlsplit(site[1]).hostname for site in SITES if site[0] != name)
        browser.open(url)
        shown = text(browser)
        claim(f"{own} shows the service {name}", shown.startswith(name), shown[:60])
        claim("with its own Host and without the other's", f"Host: {own}" in shown and other not in shown)
        claim("over HTTP/2", browser.js("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2")
        answers = browser.js(
            "Promise.all([...Array(50).keys()].map(i => fetch('/' + i, {headers: {'X-Of': '%s'}}).then(a => a.text())))"
            ".then(all => all.map((text, i) => text.startsWith('%s\\nGET /' + i + ' ') && text.includes('x-of: %s')).every(Boolean))"
            % (name, name, name))
        claim("and 50 requests at once get their own answers", answers is True, answers)
        browser.shot(f"names-{name}")
    claim("no console error", not browser.errors, browser.errors)


def main():
    hashes = ",".join(key_hash(site[2]) for site in SITES)
    browser = Browser(
        WORK, "--host-resolver-rules=MAP *.example.test 127.0.0.1", f"--ignore-certificate-errors-spki-list={hashes}",
        shots=sys.argv[5] if len(sys.argv) > 5 else WORK)
    try:
        look(browser)
    finally:
        browser.process.kill()
        browser.process.wait()
        shutil.rmtree(WORK, ignore_errors=True)


main()
