#!/usr/bin/env python3
"""Looks at a web app at a host name in Chromium: check.py URL CERTIFICATE [FOLDER]

URL is that of service.py, through the tunnel. Names below example.test are mapped to loopback. For https, CERTIFICATE is trusted.
A screenshot goes to FOLDER. Each line of the output is a claim that holds; the first one that does not ends the program with 1.
"""
import base64, hashlib, os, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from chromium import Browser

URL, CERTIFICATE = sys.argv[1:3]
WORK = tempfile.mkdtemp(prefix="culvert-names-")
IS_SECURE = URL.startswith("https:")


def claim(text, holds, found=""):
    print(("ok   " if holds else "FAIL ") + text + (f" ({found})" if found != "" else ""), flush=True)
    if not holds:
        sys.exit(1)


def until(text, within, condition):
    """Waits for a condition, and claims it with the time that it took."""
    began = time.monotonic()
    while True:
        value = condition()
        took = time.monotonic() - began
        if value or took > within:
            claim(f"{text} within {within} s", bool(value), f"{took:.2f} s")
            return
        time.sleep(0.02)


def key_hash():
    """The hash of the certificate's key, as Chromium takes it."""
    key = subprocess.run(["openssl", "x509", "-in", CERTIFICATE, "-pubkey", "-noout"], check=True, capture_output=True).stdout.decode()
    body = "".join(line for line in key.splitlines() if not line.startswith("-"))
    return base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode()


def look(browser):
    browser.open(URL)
    until("the page's 30 images are there", 15, lambda: browser.js("typeof result !== 'undefined' && result.images") == 30)
    until("a WebSocket echoes 100 messages of up to 99 kB", 15, lambda: browser.js("result.echoed") == 100)
    until("it closes with 1000", 5, lambda: browser.js("result.close") == 1000)
    until("the event source is open before its first event", 5, lambda: browser.js("result.isOpen"))
    for data in ["one", "two", "three", "last"]:
        began = browser.js("performance.now()")
        count = browser.js(f"fetch('/tick?data={data}', {{method: 'POST'}}).then(answer => answer.text())")
        if not count.startswith("1"):
            claim("the service sends the event to one visitor", False, count)
        until(f"the event {data} comes as it is sent", 1, lambda: (browser.js("result.events.at(-1)?.[0]")) == data)
        took = browser.js("result.events.at(-1)[1]") - began
        claim("and it is not held back", took < 200, f"{took:.0f} ms")
    if IS_SECURE:
        until("a streamed upload of 4 MiB ends", 10, lambda: browser.js("result.upload?.bytes") == 64 * 65536)
        claim("with the right bytes", browser.js("result.upload.sha256") == hashlib.sha256(b"\7" * 64 * 65536).hexdigest())
    protocols, wanted = browser.js("protocols()"), ["h2"] if IS_SECURE else ["http/1.1"]
    claim(f"each resource came over {wanted[0]}", protocols == wanted, protocols)
    # 200 is the answer to an extended CONNECT (RFC 8441).
    claim("the WebSocket " + ("shares the HTTP/2 connection" if IS_SECURE else "is an upgrade"), browser.handshakes == [200 if IS_SECURE else 101], browser.handshakes)
    browser.shot("names")
    claim("no console error", not browser.errors, browser.errors)


def main():
    browser = Browser(
        WORK, "--host-resolver-rules=MAP *.example.test 127.0.0.1", f"--ignore-certificate-errors-spki-list={key_hash()}",
        shots=sys.argv[3] if len(sys.argv) > 3 else WORK)
    try:
        look(browser)
    finally:
        browser.process.kill()
        browser.process.wait()
        shutil.rmtree(WORK, ignore_errors=True)


main()
