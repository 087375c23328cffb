"""The web page: runs, one run live, its lineage, candidates and pull requests, on this machine alone.

Pages are made on the server out of the same readings as the command line's; the browser is given few scripts of ours
and nothing from elsewhere. Every text of a candidate, a model or a journal is a stranger's and is escaped.
"""
