"""The two agents: proposals from parents and history; decisions on challengers. See results as data, never run code."""
