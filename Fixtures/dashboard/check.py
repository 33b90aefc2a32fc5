#!/usr/bin/env python3
"""Looks at `culvert dashboard` in Chromium: check.py CULVERT [FOLDER]

Starts a server, clients and dashboards on loopback, and opens the page in a headless Chromium by its debugging pipe.
Screenshots go to FOLDER. Each line of the output is a claim that holds; the first one that does not ends the program with 1.
"""
import http.client, json, os, random, re, shutil, signal, socket, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from chromium import Browser

CULVERT = sys.argv[1]
WORK = tempfile.mkdtemp(prefix="culvert-dashboard-")
SHOTS = sys.argv[2] if len(sys.argv) > 2 else WORK
PROCESSES = []


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
            claim(f"{text} within {within} s", bool(value), f"{took:.1f} s")
            return value
        time.sleep(0.05)


class Process:
    """A process, with the lines of both outputs."""

    def __init__(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("CULVERT_")}
        environment.update(HOME=WORK, XDG_RUNTIME_DIR=WORK, XDG_STATE_HOME=WORK)
        self.lines = []
        self.process = subprocess.Popen(
            [CULVERT, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        PROCESSES.append(self.process)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def line(self, word, within=15):
        end = time.monotonic() + within
        while time.monotonic() < end:
            for line in list(self.lines):
                if word in line:
                    return line
            time.sleep(0.02)
        raise SystemExit(f"no line with {word} in {self.lines}")


def request(address, method, path, **fields):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in fields.items()})
    answer = connection.getresponse()
    answer.body = answer.read()
    return answer


def moment(seconds_ago):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))


class FakeRole(threading.Thread):
    """An admin socket with the status of many clients, whose bytes grow."""

    def __init__(self, path, count):
        super().__init__(daemon=True)
        self.began, self.random = time.time(), random.Random(7)
        self.clients = [self.client(number) for number in range(1, count + 1)]
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        self.start()

    def client(self, number):
        pick = self.random
        place = pick.choice(["berlin", "lyon", "osaka", "quito", "malmo", "perth", "turin", "derby"])
        kind = pick.choice(["plant", "office", "lab", "store", "depot"])
        return {
            "number": number, "client": f"{kind}-{place}", "name": f"{kind}-{place}/gw-{number:04}", "age": pick.randrange(60, 900000),
            "peer": f"203.0.113.{pick.randrange(1, 255)}:{pick.randrange(20000, 60000)}", "front": pick.choice(["127.0.0.1:41234", None, None]),
            "rate": pick.choice([0, 0, 0, 900, 12000, 250000, 4000000]), "tunnels": pick.choice([1, 1, 2, 3]), "resumes": pick.choice([0, 0, 1, 4, 17]),
            "state": pick.choice(["up"] * 40 + ["lost", "draining", "refused", "down"]), "visitors": pick.choice([0, 0, 1, 2, 5, 40]),
        }

    def status(self, wanted):
        seconds = time.time() - self.began
        sessions = []
        for client in self.clients:
            lost, moved = client["state"] == "lost", int(client["rate"] * (seconds + 60 + 8 * random.random()))
            tunnels = [
                {"tunnel": index, "transport": "tcp", "address": "0.0.0.0 ::", "port": 20000 + client["number"] + 1000 * index,
                 "visitors": client["visitors"] if index == 0 else 0, "visitors_so_far": client["number"] % 97, "bytes_to_service": moved // 3,
                 "bytes_to_visitor": moved, "endings": []} for index in range(client["tunnels"])]
            if client["state"] == "down":
                tunnels[0].update(is_service_up=False, service_problem="connect: 127.0.0.1:22 refused the connection")
            if client["state"] == "refused":
                tunnels.append({"tunnel": 9, "transport": "tcp", "wanted": "port 443", "refusal": "port not allowed: this client may have 8000-8099",
                                "visitors": 0, "visitors_so_far": 0, "bytes_to_service": 0, "bytes_to_visitor": 0, "endings": []})
            visitors = []
            if client["number"] == wanted:
                visitors = [{"stream": 2 * index + 2, "address": f"198.51.100.{index + 1}:{40000 + index}", "tunnel": 0, "transport": "tcp",
                             "port": tunnels[0]["port"], "since": moment(30 * index + 5), "bytes_to_service": 900 * index, "bytes_to_visitor": 81234 * index}
                            for index in range(client["visitors"])]
                tunnels[0]["endings"] = [
                    {"address": f"198.51.100.77:{50000 + index}", "transport": "tcp", "since": moment(400 + 60 * index), "ended": moment(30 + 60 * index),
                     "reason": "finished" if index != 1 else "reset by the other end: service unreachable", "is_finished": index != 1,
                     "bytes_to_service": 512, "bytes_to_visitor": 40960 * index} for index in range(4)]
            session = {
                "number": client["number"], "client": client["client"], "name": client["name"], "peer": client["peer"], "software": "culvert/0.1.0",
                "version": 1, "since": moment(client["age"]), "round_trip_ms": 8 + client["number"] % 60, "is_draining": client["state"] == "draining",
                "has_carrier": not lost, "last_seen": moment(14 if lost else client["number"] % 9), "carriers": 1 + client["resumes"],
                "resumes": client["resumes"], "streams": client["visitors"], "queued_bytes": 0, "buffered_bytes": 0, "bytes_to_service": moved // 3,
                "bytes_to_visitor": moved, "tunnels": tunnels, "visitors": visitors, "endings": []}
            session["lanes"] = [] if lost else [
                {"number": lane, "since": moment(60 + lane), "round_trip_ms": 9.5 + lane, "retransmitted_segments": 3 * lane, "unacknowledged_bytes": 4096 * lane,
                 "bytes": 81234 + moved // 2, "peer": client["peer"], **({"rate": 1500000} if lane else {})} for lane in range(1 + client["number"] % 3)]
            if client["front"]:
                session["front"] = client["front"]
            if lost:
                session.update(without_since=moment(14), last_loss="the connection was reset", last_loss_at=moment(14))
            else:
                session["carrier_since"] = moment(min(client["age"], 3300 + client["number"] % 200))
            sessions.append(session)
        gone = [{"client": "office-lyon", "name": f"office-lyon/gw-9{index}", "peer": f"192.0.2.{index}:40000", "software": "culvert/0.1.0",
                 "since": moment(90000), "gone_since": moment(100 + 700 * index), "reason": "no new carrier came within 2 min",
                 "places": ["port 20022"]} for index in range(1, 4)]
        total = sum(session["bytes_to_visitor"] for session in sessions)
        return {"role": "server", "version": "0.1.0", "started": moment(900000), "now": moment(0), "is_accepting": True, "handshakes": 2,
                "sessions": sessions, "gone": gone, "totals": {"sessions": 4000, "visitors": 90000, "bytes_to_service": total // 3,
                                                              "bytes_to_visitor": total, "dropped_datagrams": {}}}

    def run(self):
        while True:
            connection = self.listener.accept()[0]
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            wanted = re.search(rb"session=(\d+)", head)
            body = json.dumps(self.status(int(wanted[1]) if wanted else 0)).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            connection.close()


def dashboard(path):
    process = Process("dashboard", "--admin", "unix:" + path)
    return process, process.line("dashboard http://").split(" ")[1]


def doors(url):
    """What the dashboard answers without the cookie."""
    base, secret = url.split("/#")
    address = base.removeprefix("http://")
    page = request(address, "GET", "/")
    claim("the page needs no cookie", page.status == 200)
    claim("the page has less than 40 kB", len(page.body) < 40_000, f"{len(page.body)} B")
    ours = {"X_Culvert_Dashboard": "1"}
    for method, path in [("GET", "/login"), ("POST", "/login"), ("GET", "/api/status"), ("POST", "/api/kick?name=x"), ("POST", "/api/renew"),
                         ("GET", "/style.css"), ("GET", "/favicon.ico"), ("GET", "/metrics"), ("GET", "//"), ("GET", "/%2e/")]:
        for fields in [{}, ours, {**ours, "X_Culvert_Secret": "0" * 32, "Cookie": "culvert_dashboard=1"}]:
            answer = request(address, method, path, **fields)
            if answer.status != 403:
                claim(f"{method} {path} is 403 without the cookie", False, answer.status)
    claim("every path but the page is 403 without the cookie", True)
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:" + address.split(":")[1]]:
        if request(address, "GET", "/", Host=host).status != 421:
            claim(f"Host: {host} is refused", False)
    claim("another Host is refused", True)
    return address, secret


def small(browser):
    """One server with real clients."""
    server = Process("server", "--listen", "127.0.0.1:0", "--public-address", "127.0.0.1", "--admin", f"unix:{WORK}/server.sock")
    url = server.line("listening ").split(" ")[1]
    service = socket.create_server(("127.0.0.1", 0))
    remote = f"0:127.0.0.1:{service.getsockname()[1]}"
    _, page = dashboard(f"{WORK}/server.sock")
    address, secret = doors(page)
    browser.size(1440, 900)
    browser.open(page)
    until("the page shows a server without clients", 5, lambda: browser.js("document.getElementById('empty')?.textContent") == "No client has connected yet.")
    claim("the secret is not in the address any more", browser.js("location.href") == page.split("#")[0])
    claim("the secret works once", request(address, "POST", "/login", X_Culvert_Dashboard="1", X_Culvert_Secret=secret).status == 403)
    claim("scripts do not see the cookie", browser.js("document.cookie") == "")

    row = lambda name: f"[...document.querySelectorAll('tr.row')].find(r => r.querySelector('.name').textContent === 'anybody/{name}')"
    first = Process("client", url, "-R", remote, "--name", "first", "--encryption", "required")
    first.line("tunnel tcp://")
    seal = re.search("sealed=([0-9A-Z-]+)", first.line("session opened"))[1]
    until("a client appears", 2, lambda: browser.js(f"{row('first')}?.classList.contains('up')"))
    visitor = socket.create_connection(("127.0.0.1", int(first.line("tunnel tcp://").split(" ")[1].split(":")[-1])))
    browser.js(f"{row('first')}.click()")
    until("an opened client shows its visitor", 3, lambda: f"127.0.0.1:{visitor.getsockname()[1]}" in browser.js("document.querySelector('.detail').textContent"))
    claim("an opened client shows the key of its sealed session", "sealed" + seal in browser.js("document.querySelector('.detail').textContent"), seal)
    first.process.kill()
    until("a killed client is red", 2, lambda: browser.js(f"{row('first')}?.classList.contains('lost')"))
    red = browser.js(f"getComputedStyle({row('first')}.querySelector('.state')).color")
    claim("red is red", red == "rgb(192, 50, 43)", red)
    browser.key("Escape")

    second = Process("client", url, "-R", remote, "--name", "second")
    second.line("tunnel tcp://")
    until("another client appears", 2, lambda: browser.js(f"{row('second')}?.classList.contains('up')"))
    browser.key("/")
    claim("/ goes to the search", browser.js("document.activeElement.id") == "search")
    for letter in "second":
        browser.key(letter)
    until("the search leaves one client", 1, lambda: browser.js("document.querySelectorAll('tr.row').length") == 1)
    browser.key("Enter")
    browser.key("x")
    claim("a kick asks first", browser.js("document.getElementById('ask').open") is True)
    browser.js("document.getElementById('askYes').click()")
    second.line("kicked by the operator")
    until("a kicked client is gone", 2, lambda: browser.js(f"{row('second')}?.classList.contains('gone')"))
    browser.key("Escape")

    client, client_page = None, None
    third = Process("client", url, "-R", remote, "-L", "0:127.0.0.1:9", "--name", "third", "--admin", f"unix:{WORK}/third.sock")
    third.line("tunnel tcp://")
    renewed = f"{row('third')}.click()"
    until("a third client appears", 2, lambda: browser.js(f"{row('third')}?.classList.contains('up')"))
    browser.js(renewed)
    browser.js("[...document.querySelectorAll('.detail button')].find(b => b.textContent === 'Renew').click()")
    browser.js("document.getElementById('askYes').click()")
    third.line("session resumed")
    until("a renewed client has resumed once", 3, lambda: "resumes1" in browser.js("document.querySelector('.detail').textContent"))
    browser.shot("small-light")
    requests = list(browser.requests)
    _, client_page = dashboard(f"{WORK}/third.sock")
    browser.open(client_page)
    until("a client's page shows its tunnel and its forward", 5, lambda: (lambda text: "Tunnels" in text and "Forwards" in text)(browser.js("document.getElementById('own')?.textContent || ''")))
    browser.shot("client-light")
    claim("no console error", not browser.errors, browser.errors)
    foreign = [one for one in requests if not one.startswith(("http://127.0.0.1:", "data:", "about:"))]
    claim("no foreign request", not foreign, foreign)


def large(browser):
    """A thousand clients."""
    FakeRole(f"{WORK}/fake.sock", 1000)
    _, page = dashboard(f"{WORK}/fake.sock")
    browser.size(1440, 900)
    browser.open(page)
    until("a thousand clients are there", 10, lambda: "of 1,003" in (browser.js("document.getElementById('count')?.textContent") or ""))
    worst = 0
    for _ in range(10):
        time.sleep(1)
        worst = max(worst, browser.js("performance.getEntriesByName('refresh')[0].duration"))
    claim("1,000 clients refresh in under 100 ms of script time", worst < 100, f"{worst:.1f} ms at most in 10 refreshes")
    for width, height, name in [(1440, 900, "wide"), (1024, 768, "middle"), (700, 900, "tablet"), (360, 740, "narrow")]:
        browser.size(width, height, 2 if width < 500 else 1)
        for scheme in ["light", "dark"]:
            browser.scheme(scheme)
            browser.shot(f"{name}-{scheme}")
        claim(f"nothing is wider than {width} px", browser.js("document.documentElement.scrollWidth") <= width)
    browser.size(1440, 900)
    browser.js("document.querySelector('#h-state button').click()")
    browser.js("document.querySelectorAll('tr.row')[3].click()")
    time.sleep(1.5)
    for scheme in ["light", "dark"]:
        browser.scheme(scheme)
        browser.shot(f"trouble-{scheme}")
    browser.js("document.querySelector('#h-visitors button').click()")
    time.sleep(0.5)
    browser.js("document.querySelectorAll('tr.row')[0].click()")
    time.sleep(1.5)
    browser.shot("opened-dark")
    browser.scheme("light")
    browser.shot("opened-light")
    browser.size(360, 740, 2)
    browser.shot("opened-narrow")
    heads = browser.js("[...document.querySelectorAll('.inner th')].every(h => h.offsetHeight > 0)")
    claim("its tables have their heads", heads is True)
    claim("an opened client fits into 360 px", browser.js("document.documentElement.scrollWidth") <= 360)
    browser.key("?")
    browser.shot("keys-narrow")
    browser.key("Escape")
    claim("no console error with many clients", not browser.errors, browser.errors)


def main():
    try:
        browser = Browser(WORK, shots=SHOTS)
        PROCESSES.append(browser.process)
        small(browser)
        large(browser)
    finally:
        for process in reversed(PROCESSES):
            process.kill()
            process.wait()
        shutil.rmtree(WORK, ignore_errors=True)


main()
