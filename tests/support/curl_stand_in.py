"""As much of curl as the printed commands use, for machines that have none.

python curl_stand_in.py -N URL -H "Name: value" -d BODY
"""

import argparse
import sys
import urllib.request


def main() -> None:
    """Send the request and copy the answer to standard output."""
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("url")
    parser.add_argument("-N", action="store_true")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d", default=None)
    wanted = parser.parse_args()
    body = None if wanted.d is None else wanted.d.encode()
    request = urllib.request.Request(wanted.url, data=body)
    for header in wanted.H:
        name, _, value = header.partition(": ")
        request.add_header(name, value)
    with urllib.request.urlopen(request, timeout=30) as response:
        sys.stdout.write(response.read().decode())


if __name__ == "__main__":
    main()
