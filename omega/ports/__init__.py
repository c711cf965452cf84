"""What the domain needs of the world: small Protocols, their value types and their errors, one file each.

Ports speak the world's vocabulary (`str`, `bytes`, `datetime`, JSON mappings, Arrow tables) and import
nothing of ours.
"""
