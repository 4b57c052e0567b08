"""Bytes from outside: fetched under guards, decoded and parsed in killable processes."""
