#!/usr/bin/env python3
"""Runs the Autobahn testsuite against websocket-echo, and compares each case with the expected result.

    swift build -c release --product websocket-echo
    Fixtures/autobahn/check.py --wstest PATH [--role server|client] [--cases '1.* 7.*'] [--record]

wstest is the program of autobahntestsuite 25.10.1, which needs Python 2.7. expected.json has a result for each case that is
not OK; --record writes it again. Exit status: 0 all as expected, 1 a difference, 2 the suite could not run.
"""
import argparse
import fnmatch
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "expected.json"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port, process):
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError("nothing listens on port %d" % port)


def run(options, role, folder):
    """The suite's report for one role: {case: {behavior, behaviorClose}}."""
    port = free_port()
    spec = {"outdir": str(folder), "cases": options.cases.split(), "exclude-cases": [], "exclude-agent-cases": {}}
    if role == "server":
        echo = [options.echo, "server", "--port", str(port), "--deflate"]
        spec["servers"] = [{"agent": role, "url": "ws://127.0.0.1:%d/" % port}]
        mode = "fuzzingclient"
    else:
        echo = [options.echo, "client", "--url", "ws://127.0.0.1:%d" % port, "--agent", role, "--deflate"]
        spec["url"] = "ws://127.0.0.1:%d" % port
        mode = "fuzzingserver"
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    suite = [options.wstest, "-m", mode, "-s", str(path)] + (["-u", "0"] if role == "client" else [])
    first, second = (echo, suite) if role == "server" else (suite, echo)
    with open(folder / "log", "w") as log:
        background = subprocess.Popen(first, stdout=log, stderr=log)
        try:
            wait_for(port, background)
            subprocess.run(second, stdout=log, stderr=log, timeout=options.limit, check=False)
        finally:
            background.terminate()
            background.wait()
    report = json.loads((folder / "index.json").read_text())
    return report[role]


def results(report):
    """The cases whose result is not OK, each as two words: of its behavior, and of its close."""
    return {
        case: [entry["behavior"], entry["behaviorClose"]]
        for case, entry in report.items()
        if [entry["behavior"], entry["behaviorClose"]] != ["OK", "OK"]
    }


def natural(case):
    return [int(number) for number in case.split(".")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wstest", required=True)
    parser.add_argument("--echo", default=str(HERE.parent.parent / ".build/release/websocket-echo"))
    parser.add_argument("--role", choices=["server", "client"])
    parser.add_argument("--cases", default="*")
    parser.add_argument("--limit", type=int, default=1800, help="seconds for one role")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    differences = 0
    for role in [options.role] if options.role else ["server", "client"]:
        with tempfile.TemporaryDirectory() as folder:
            report = run(options, role, pathlib.Path(folder))
        found = results(report)
        print("%s: %d cases, %d of them OK" % (role, len(report), len(report) - len(found)))
        if options.record:
            expected[role] = {"cases": len(report), "not OK": {case: found[case] for case in sorted(found, key=natural)}}
            continue
        wanted = expected[role]
        patterns = options.cases.split()
        if options.cases == "*" and len(report) != wanted["cases"]:
            print("  %d cases were expected" % wanted["cases"])
            differences += 1
        for case in sorted(set(found) | set(wanted["not OK"]), key=natural):
            if not any(fnmatch.fnmatch(case, pattern) for pattern in patterns):
                continue
            here, there = found.get(case, ["OK", "OK"]), wanted["not OK"].get(case, ["OK", "OK"])
            if here != there:
                print("  %s: %s, expected %s" % (case, " ".join(here), " ".join(there)))
                differences += 1
    if options.record:
        EXPECTED.write_text(json.dumps(expected, indent=1) + "\n")
    return 1 if differences else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, KeyError, RuntimeError, subprocess.TimeoutExpired) as error:
        print("the suite could not run: %s" % error, file=sys.stderr)
        sys.exit(2)
