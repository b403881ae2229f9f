//! Fuzz targets of Causeway; see `fuzz_targets/`.
