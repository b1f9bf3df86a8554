"""python -m standin --dir DIR …: see README.md."""

import argparse
import asyncio
import os
import signal
import sys

from .auth import parse_user
from .engine import Engine
from .knobs import Knobs
from .profiles import PROFILES
from .server import Server


def arguments():
    a = argparse.ArgumentParser(prog="standin", description="A stand-in for an Apache Doris FE.")
    a.add_argument("--dir", required=True, help="everything durable lives here")
    a.add_argument("--port", type=int, default=0, help="MySQL port, 0 = any free one")
    a.add_argument("--http-port", type=int, default=0)
    a.add_argument("--profile", choices=sorted(PROFILES), default="4.0")
    a.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD[:GRANT;GRANT]")
    a.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE")
    return a.parse_args()


async def serve(args, server):
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start(args.port, args.http_port)
    print("ready mysql=%d http=%d pid=%d" % (server.mysql_port, server.http_port, os.getpid()),
          flush=True)
    await stop.wait()
    await server.stop()


def main():
    args = arguments()
    profile = PROFILES[args.profile]
    knobs = Knobs(profile)
    try:
        users = [parse_user(text) for text in args.user]
        for text in args.knob:
            name, _, value = text.partition("=")
            knobs.set(name, value)
    except ValueError as e:
        sys.exit("standin: %s" % e)
    os.makedirs(args.dir, exist_ok=True)
    engine = Engine(args.dir, profile, knobs)
    for user in users:
        engine.save_user(user)
    server = Server(engine, profile, knobs)
    try:
        asyncio.run(serve(args, server))
    except OSError as e:
        sys.exit("standin: cannot listen: %s" % e)
    engine.close()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
