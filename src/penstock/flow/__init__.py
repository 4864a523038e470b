"""The steps of a pipeline's graph: each takes artifacts and gives one, and knows one stage.

Every function here is pure: the same artifacts and parameters give the same bytes.
"""
