"""A page in Chromium, for checks that look at one."""
import base64, json, os, shutil, subprocess, threading, time


class Browser:
    """A page in a headless Chromium, driven by the DevTools protocol over its pipe.

    Its profile and its log are in `folder`, and screenshots in `shots`.
    """

    def __init__(self, folder, *options, shots=None):
        self.shots = shots or folder
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()

        def prepare():
            # Chromium reads from descriptor 3 and writes to 4.
            low, high = os.dup(to_read), os.dup(from_write)
            os.dup2(low, 3)
            os.dup2(high, 4)

        self.process = subprocess.Popen(
            [shutil.which("chromium") or "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--no-proxy-server", "--remote-debugging-pipe",
             f"--user-data-dir={folder}/chromium", *options, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(f"{folder}/chromium.log", "w"), close_fds=False, preexec_fn=prepare)
        os.close(to_read)
        os.close(from_write)
        self.pipe, self.answers, self.number = to_write, {}, 0
        self.errors, self.requests, self.handshakes, self.session = [], [], [], None
        self.has_answer = threading.Condition()
        threading.Thread(target=self.read, args=(from_read,), daemon=True).start()
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.send(domain + ".enable")

    def read(self, descriptor):
        rest = b""
        while True:
            chunk = os.read(descriptor, 1 << 20)
            if not chunk:
                return
            *messages, rest = (rest + chunk).split(b"\0")
            for message in messages:
                self.take(json.loads(message))

    def take(self, message):
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"])[:600])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.errors.append(json.dumps(parameters["args"])[:600])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(json.dumps(parameters["entry"])[:600])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Network.webSocketHandshakeResponseReceived":
            self.handshakes.append(parameters["response"]["status"])
        elif "id" in message:
            with self.has_answer:
                self.answers[message["id"]] = message
                self.has_answer.notify_all()

    def send(self, method, **parameters):
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.pipe, json.dumps(message).encode() + b"\0")
        with self.has_answer:
            if not self.has_answer.wait_for(lambda: number in self.answers, timeout=30):
                raise SystemExit(f"no answer to {method}")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise SystemExit(f"{method}: {answer['error']}")
        return answer["result"]

    def js(self, expression):
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, url):
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=url)

    def key(self, key):
        text = key if len(key) == 1 else {"Enter": "\r"}.get(key)
        down = {"type": "keyDown", "key": key, "windowsVirtualKeyCode": {"Enter": 13, "Escape": 27}.get(key, 0)}
        self.send("Input.dispatchKeyEvent", **({**down, "text": text} if text else down))
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def size(self, width, height, scale=1):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 500)

    def scheme(self, name):
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def shot(self, name):
        time.sleep(0.3)
        data = self.send("Page.captureScreenshot", format="png")["data"]
        with open(f"{self.shots}/{name}.png", "wb") as file:
            file.write(base64.b64decode(data))
