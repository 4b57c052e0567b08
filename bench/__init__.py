"""`make bench`: the CPU a scan costs, stage by stage, beside the pipeline people write first.

    footage    two rendered videos of 720p H.264, a gallery, and random weights of a real size, made once per run
    naive      everything decoded, one picture per second, every network and every search one item at a time
    ours       what `scan` calls, unchanged, with a clock on its stages
    report     ratios

Both sides look at the same files, in processes of their own, with one thread per numeric library; they take turns, so
that a machine that slows down slows both. Compared are CPU-seconds, not wall time: cores are what is paid for.
Loading models and starting workers is left out on both sides.
"""
