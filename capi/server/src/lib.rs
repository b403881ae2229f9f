//! The daemon as a library: channel server, control socket, engine loop, configuration.
