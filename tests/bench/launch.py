"""A program that runs another and prints to stderr what the kernel says it took. It stays small and imports next to
nothing: the peak of a child begins with what its parent had resident."""

import os
import sys
import time

begun = time.monotonic()
child = os.posix_spawn(
    sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
)
_, _, usage = os.wait4(child, 0)
print(time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, file=sys.stderr)
