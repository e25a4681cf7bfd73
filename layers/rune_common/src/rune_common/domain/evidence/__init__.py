"""The evidence bundle: what a run's log proves, in files that anybody can check offline (runs-api.md 7).

No I/O of its own: events come from an iterator, bytes go to files that the caller opens, signatures come from
a `Signer`. What is held in memory does not grow with the number of events.
"""
