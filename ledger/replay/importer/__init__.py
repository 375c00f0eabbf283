"""A real cluster's audit log becomes a ledger: read twice (an index first, then the bodies), ordered by revision.

    lines -> record -> rules (what did this request do?) -> plan (at which revision?) -> conclude (what did it leave?)
                       naming (of what?)                    unlogged (what is missing?)  doubts (what is not told of it?)

`ledger.replay.importer.run.import_log` joins them; docs/adr/0009 says why it is cut so.
"""
