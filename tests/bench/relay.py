"""
Measures what Sluice's relay costs beside other relays, in one run and interleaved: no relay at all
(direct), a bare epoll relay (floor), HAProxy in TCP mode, nginx stream and sluice, each with two
threads, in front of MariaDB and of a fake server that costs next to nothing. README.md beside this
file says what each case is and how to read the tables.

Everything runs on free ports of 127.0.0.1 in a private directory and is ended afterwards. A full
run takes about seven minutes and wants a quiet machine: compare figures of one run only.
"""

import argparse
import pathlib
import sys


def parse_arguments(argv):
    parser = argparse.ArgumentParser(prog="tests/bench/relay", description=__doc__.strip(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="SLUICE_BUILD names the build to be measured; without "
                                            "it that is build/.")
    parser.add_argument("--quick", action="store_true",
                        help="seconds instead of minutes: shows that all cases work; the figures "
                             "mean nothing")
    parser.add_argument("--only", metavar="CASE", action="append", default=[],
                        help="this case, or those that begin so, or fit a pattern (*-16); may be "
                             "given more than once")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="rounds of each case (5; of the short ones three times as many)")
    parser.add_argument("--candidates", metavar="A,B,...",
                        help="only these of direct, floor, haproxy, nginx, sluice")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path,
                        help="writes all figures there, too, round by round")
    parser.add_argument("--list", action="store_true", help="names the cases")
    return parser.parse_args(argv)


def main(argv):
    options = parse_arguments(argv)
    import runner  # late: --help needs none of the packages
    runner.run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
