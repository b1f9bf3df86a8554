"""
Headless Chromium, driven by its DevTools protocol over a pair of named pipes: no port, no driver
program, no websocket. One page; look() and wait_for() ask it with JavaScript.
"""

import base64
import json
import os
import pathlib
import select
import time

import procs

PROGRAM = "/usr/bin/chromium"
SIZE = (1920, 1000)
# Descriptors 3 and 4 are where --remote-debugging-pipe reads and writes.
LAUNCH = 'exec 3<"$0" 4>"$1"; shift; exec "$@"'
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-breakpad", "--disable-crash-reporter", "--metrics-recording-only",
    "--disable-features=MediaRouter,OptimizationHints", "--force-color-profile=srgb",
    "--hide-scrollbars", "--mute-audio", "--no-proxy-server", "--lang=en-US",
    # Nothing but this machine, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=%d,%d" % SIZE, "--remote-debugging-pipe",
]
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Backspace": (8, ""), "a": (65, "")}
CTRL = 2
# Texts of the page's leaves; what an element on top of them covers does not count.
SHOWN = """texts => {
    const seen = new Set();
    for (const e of document.querySelectorAll('body *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
        const r = e.getBoundingClientRect();
        const top = r.width && document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
        if (top && (top === e || e.contains(top) || top.contains(e))) seen.add(e.innerText.trim());
    }
    return texts.every(t => seen.has(t));
}"""


class BrowserError(Exception):
    """Chromium refused a command, or a script in the page failed."""


class Browser(procs.Process):
    """start(), then open(), wait_for(), click(), type_text() and screenshot()."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        to_it, from_it = directory / "to-chromium", directory / "from-chromium"
        super().__init__("chromium", directory, [
            "/bin/bash", "-c", LAUNCH, to_it, from_it, PROGRAM, *FLAGS,
            "--user-data-dir=%s" % (directory / "profile"), "about:blank"],
            {"HOME": str(directory), "XDG_CONFIG_HOME": str(directory),
             "XDG_CACHE_HOME": str(directory)})
        # Both ends are held open here, so that neither open() waits for the other side.
        self._pipes = []
        for path in (to_it, from_it):
            os.mkfifo(path, 0o600)
            self._pipes.append(os.open(path, os.O_RDWR))
        self._rest, self._n, self._session = b"", 0, None
        self._timeout = procs.patience(30)

    def wait_started(self):
        """Until there is a page that listens to us."""
        self.call("Browser.getVersion")
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target,
                                  flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=SIZE[0], height=SIZE[1],
                  deviceScaleFactor=1, mobile=False)

    def close_pipes(self):
        while self._pipes:
            os.close(self._pipes.pop())

    def kill9(self):
        super().kill9()
        self.close_pipes()

    # --- the protocol ---

    def call(self, method, **params):
        """The result of one command."""
        self._n += 1
        message = {"id": self._n, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._pipes[0], data):]
        deadline = time.monotonic() + self._timeout
        while True:
            reply = self._receive(deadline, method)
            if reply.get("id") == self._n:
                break
        if "error" in reply:
            raise BrowserError("%s: %s" % (method, reply["error"].get("message")))
        return reply["result"]

    def _receive(self, deadline, what):
        while b"\0" not in self._rest:
            self.must_live()
            ready, _, _ = select.select(self._pipes[1:], [], [], 0.5)
            if ready:
                self._rest += os.read(self._pipes[1], 1 << 20)
            elif time.monotonic() > deadline:
                raise TimeoutError("Chromium did not answer %s" % what)
        line, self._rest = self._rest.split(b"\0", 1)
        return json.loads(line)

    # --- the page ---

    def look(self, script):
        """The value of a JavaScript expression in the page; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                          awaitPromise=True)
        if "exceptionDetails" in found:
            detail = found["exceptionDetails"]
            raise BrowserError("%s: %s" % (detail.get("exception", {}).get(
                "description", detail.get("text")), script[:300]))
        return found["result"].get("value")

    def text(self):
        return self.look("document.body ? document.body.innerText : ''")

    def open(self, url):
        found = self.call("Page.navigate", url=url)  # answers when the new document is there
        if found.get("errorText"):
            raise BrowserError("%s: %s" % (url, found["errorText"]))
        self.wait_for("document.readyState === 'complete'", "the page " + url)

    def wait_for(self, script, what, timeout=60.0):
        """Until the expression is true; what the page showed goes into the failure."""
        try:
            return procs.wait_until(lambda: self.look("!!(%s)" % script), timeout, what,
                                     interval=0.1)
        except TimeoutError as e:
            raise TimeoutError("%s; the page %s shows:\n%s" % (
                e, self.look("location.href"), self.text()[:3000])) from None

    def wait_text(self, *texts, timeout=60.0):
        script = "%s.every(t => document.body && document.body.innerText.includes(t))"
        self.wait_for(script % json.dumps(texts), "%s on the page" % (texts,), timeout)

    def place(self, script):
        """The middle of the element that the expression gives, once it is there and stays put."""
        wanted = ("(() => { const e = %s; if (!e) return null; e.scrollIntoView({block: 'nearest'});"
                  " const r = e.getBoundingClientRect();"
                  " return r.width ? [r.x + r.width / 2, r.y + r.height / 2] : null })()" % script)
        last = []

        def look():
            last.append(self.look(wanted))
            return last[-1] if len(last) > 1 and last[-1] == last[-2] else None
        try:
            return procs.wait_until(look, 60, "a place for " + script, interval=0.1)
        except TimeoutError as e:
            raise TimeoutError("%s; the page shows:\n%s" % (e, self.text()[:3000])) from None

    def click(self, script):
        """Clicks with the mouse on the element that the expression gives."""
        x, y = self.place(script)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1,
                      button="none" if kind == "mouseMoved" else "left")

    def key(self, name, modifiers=0):
        code, text = KEYS[name]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, modifiers=modifiers,
                      windowsVirtualKeyCode=code, text=text if kind == "keyDown" else "",
                      code="Key" + name.upper() if len(name) == 1 else name)

    def type_text(self, text):
        """Into what has the focus, in place of all that is in it."""
        self.key("a", CTRL)
        self.key("Backspace")
        self.call("Input.insertText", text=text)

    def leave(self):
        """Takes the mouse to a corner, so that no hint stays open over the page."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=SIZE[0] - 3, y=SIZE[1] - 3)
        self.wait_for("![...document.querySelectorAll('[role=tooltip]')].some("
                      "e => e.checkVisibility({opacityProperty: true, visibilityProperty: true}))",
                      "hints to go", 10)

    def wait_shown(self, *texts):
        """Until each text is to be seen: inside the window, and nothing lies over its middle."""
        self.wait_for("(%s)(%s)" % (SHOWN, json.dumps(texts)), "%s to be seen" % (texts,))

    def screenshot(self, path):
        """Once two pictures are the same: what moves has come to rest."""
        last = [None]

        def take():
            before, last[0] = last[0], self.call("Page.captureScreenshot", format="png")["data"]
            return before == last[0]
        procs.wait_until(take, 30, "a page at rest", interval=0.2)
        pathlib.Path(path).write_bytes(base64.b64decode(last[0]))
