# SPDX-License-Identifier: GPL-2.0-only


class Missing(Exception):
    """A file, a line or a counter that a row or a check needs is not there.

    A row is "n/a" then, and a check fails.
    """
