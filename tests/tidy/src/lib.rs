//! Measures the rules of the house.
