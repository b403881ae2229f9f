//! Loom's models of the algorithms: every interleaving that the memory model allows, of the code that runs.
