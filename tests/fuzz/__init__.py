"""Every parser of ours, and strangers' bytes for it.

targets    one function per parser: bytes in, nothing out, an exception when a promise is broken
seeds      inputs that are well formed, made when asked for
mutate     from seeds to inputs that are not
test_targets   a short run, the same each time (`make test`)
__main__       a long one (`make fuzz`)
"""
