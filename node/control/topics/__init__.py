"""The commands of the control socket, a module for each part of the node that they speak to.

A module has its commands in a table, `COMMANDS`: name, function, and the names of its arguments. A function is handed
the node's parts and the arguments of one call, starts what is asked, and returns it as a `Pending`.
"""
