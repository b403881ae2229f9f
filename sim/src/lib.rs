//! Deterministic network simulator: the production engine over simulated links.
