"""The worker: a supervisor that looks after tasks, and processes that carry them out (docs/adr/0008).

supervisor      takes tasks, keeps their leases, ends them; never runs what a user asked for
  guard         one for each process below it; whatever happens, it leaves no process behind
    child       carries out one task after the other
      ...       whatever that starts
"""
