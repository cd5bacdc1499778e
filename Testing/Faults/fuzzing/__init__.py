"""Mutated inputs: what strangers' files and requests may hold, and the rule for each of them.

Every input ends in one clear :class:`~microctsr_core.MicroCTSRError` or in a right result; never in
another exception, a crash, a hang, more than 2 GB of memory, a write outside the output folder, or
code run from the file.
"""
