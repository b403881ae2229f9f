//! NIC backends: tap, loopback, adapters.
